"""Chooses the source for a path."""

from pathlib import Path

from dispatcher.ports import Source, SourceError
from dispatcher.sources.files.file_set import LocalFiles
from dispatcher.sources.files.file_source import FileSource
from dispatcher.sources.files.folder_source import FolderSource
from dispatcher.sources.files.stream_source import StreamSource
from dispatcher.sources.options import Layout, RowRules, Timing


def open_source(
    path: str,
    rules: RowRules,
    *,
    watch: bool = False,
    once: bool = False,
    layout: Layout | None = None,
    timing: Timing | None = None,
) -> Source:
    """Return the source for a path, a glob, "-" (standard input), or a watched folder.

    Nothing is read yet: the source's ``batches`` raises if something is missing or unreadable.
    ``once`` makes a watched folder end after the files that it has now; the other sources always
    end. ``timing`` is for watched folders only.

    Raises:
        SourceError: ``watch`` is set and ``path`` is a file or standard input.

    """
    if watch:
        if path == "-" or Path(path).is_file():
            raise SourceError(
                f"{path}: is not a folder; only folders are watched: set watch = false"
            )
        return FolderSource(path, rules, layout, once=once, timing=timing)
    place = Path(path)
    if path == "-" or (place.exists() and not place.is_file() and not place.is_dir()):
        return StreamSource(path, rules, layout)
    return FileSource(LocalFiles(path), rules, layout)
