"""The files that a source reads: those that exist now, each opened by its path."""

from glob import glob, has_magic
from pathlib import Path
from typing import Protocol

from dispatcher.ports import SourceError
from dispatcher.sources.files.byte_source import FileContent
from dispatcher.sources.files.seekable_content import SeekableContent


class FileSet(Protocol):
    """The files that a source reads, wherever they are."""

    def paths(self) -> list[str]:
        """Return the paths of the files that exist now, sorted.

        Raises:
            SourceError: there is none, or they cannot be listed.

        """
        ...

    def open(self, path: str) -> SeekableContent:
        """Open one of them.

        Raises:
            SourceError: it cannot be opened.

        """
        ...

    def was_renamed(self, path: str) -> bool:
        """Return True if a file of `paths` does not exist any more and may have another name."""
        ...


class LocalFiles:
    """A file by its path, or all files that a glob matches.

    A path that exists is used as a path even if it has a glob's characters.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def paths(self) -> list[str]:
        """Return the path, or those that the glob matches now.

        Raises:
            SourceError: the path is a folder, or the glob matches no file.

        """
        if Path(self._path).is_dir():
            raise SourceError(
                f"{self._path}: is a folder; set watch = true to read files as they arrive, "
                "or use a glob"
            )
        if not has_magic(self._path) or Path(self._path).exists():
            return [self._path]
        matches = glob(self._path, recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern
        paths = sorted(path for path in matches if Path(path).is_file())
        if not paths:
            raise SourceError(f"{self._path}: no file matches; check the pattern and the folder")
        return paths

    def open(self, path: str) -> FileContent:
        """Open a file.

        Raises:
            SourceError: it cannot be opened.

        """
        return FileContent(path)

    def was_renamed(self, path: str) -> bool:
        """Return True if a match of the glob does not exist any more."""
        return path != self._path and not Path(path).exists()
