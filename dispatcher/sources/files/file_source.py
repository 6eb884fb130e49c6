"""Files that are there: one by its path, or many by a glob."""

from collections.abc import AsyncIterator, Iterator, Mapping
from glob import glob, has_magic
from pathlib import Path

from dispatcher.ports import Batch, Position, SourceError
from dispatcher.sources.batching import read_content
from dispatcher.sources.files.byte_source import FileContent, shown
from dispatcher.sources.files.replaced_file import put_replaced, replaced_position
from dispatcher.sources.options import Layout, RowRules
from dispatcher.sources.thread_bridge import BatchChannel, iterate_in_thread


class FileSource:
    """Reads a file, or all files that a glob matches when reading begins, sorted by path.

    Each file goes on from its known position; one that is done is passed over. A path that
    exists is a path, whatever characters it has. A match that is gone when its turn comes was
    renamed: the glob is matched again for it.
    """

    def __init__(self, path: str, rules: RowRules, layout: Layout | None = None) -> None:
        self._path = path
        self._rules = rules
        self._layout = layout or Layout()

    def batches(self, known: Mapping[str, Position]) -> AsyncIterator[Batch]:
        """Yield the rows of all files from where each was left.

        Raises:
            SourceError: nothing is there, a file cannot be read, or its header lacks a column.

        """
        return iterate_in_thread(lambda outlet: self._read(known, outlet))

    def _read(self, known: Mapping[str, Position], outlet: BatchChannel) -> None:
        read: set[str] = set()
        complete = False
        while not complete:
            complete = True
            for path in self._paths():
                try:
                    content = FileContent(path)
                except SourceError:
                    if path == self._path or Path(path).exists():
                        raise
                    complete = False
                    continue
                with content:
                    if content.fingerprint not in read:
                        self._read_one(content, known, outlet)
                    read.add(content.fingerprint)

    def _read_one(
        self, content: FileContent, known: Mapping[str, Position], outlet: BatchChannel
    ) -> None:
        start = known.get(content.fingerprint)
        before = replaced_position(content, known) if start is None else None
        if before is not None:
            put_replaced(content, before, self._others(content), outlet)
        if start is None or not start.done:
            read_content(content, start, self._rules, self._layout, outlet)

    def _others(self, content: FileContent) -> Iterator[str]:
        return (path for path in self._paths() if shown(path) != content.name)

    def _paths(self) -> list[str]:
        if Path(self._path).is_dir():
            raise SourceError(
                f"{self._path}: is a folder; set watch = true to take files as they come, "
                "or give a glob"
            )
        if not has_magic(self._path) or Path(self._path).exists():
            return [self._path]
        matches = glob(self._path, recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern
        found = sorted(path for path in matches if Path(path).is_file())
        if not found:
            raise SourceError(f"{self._path}: no file matches; check the pattern and the folder")
        return found
