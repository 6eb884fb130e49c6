"""A folder that files are put into while the daemon runs."""

import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

from dispatcher.domain.contact import RejectedRow
from dispatcher.ports import Batch, Position, SourceError
from dispatcher.sources.batching import put_header_row, read_content
from dispatcher.sources.files.byte_source import ChangedError, FileContent, shown
from dispatcher.sources.files.folder_scan import FolderScan
from dispatcher.sources.files.replaced_file import put_replaced, replaced_position
from dispatcher.sources.options import Layout, RowRules, Timing
from dispatcher.sources.rows.csv_header import CsvHeaderError
from dispatcher.sources.thread_bridge import BatchChannel, iterate_in_thread


class FolderSource:
    """Takes each file of a folder once it is complete, for as long as it is iterated.

    With ``once`` it takes what is there and ends; files that are still being written then are
    left for the next time. Folders within are not looked into. A file that cannot be read or
    whose header lacks a column is one rejected row and stops nothing: ``header`` files are
    done; ``unreadable`` ones are tried again when they change, or after a restart, and those
    that ``changed`` while they were read once they are complete.
    """

    def __init__(
        self,
        path: str,
        rules: RowRules,
        layout: Layout | None = None,
        *,
        once: bool = False,
        timing: Timing | None = None,
    ) -> None:
        self._path = path
        self._rules = rules
        self._layout = layout or Layout()
        self._once = once
        self._timing = timing or Timing()

    def batches(self, known: Mapping[str, Position]) -> AsyncIterator[Batch]:
        """Yield the rows of all files from where each was left.

        Raises:
            SourceError: the folder is not there or cannot be listed.

        """
        return iterate_in_thread(lambda outlet: self._watch(dict(known), outlet))

    def _watch(self, known: dict[str, Position], outlet: BatchChannel) -> None:
        arrivals = FolderScan(self._timing.stable_seconds)
        self._take_complete(arrivals, known, outlet)
        if self._once:
            if arrivals.pending:
                outlet.wait(self._timing.stable_seconds)
                self._take_complete(arrivals, known, outlet)
            return
        while True:
            outlet.wait(self._timing.poll_seconds)
            self._take_complete(arrivals, known, outlet)

    def _take_complete(
        self, arrivals: FolderScan, known: dict[str, Position], outlet: BatchChannel
    ) -> None:
        for name in arrivals.look(_entries(self._path), time.monotonic(), time.time()):
            outlet.check()
            self._take(str(Path(self._path) / name), known, outlet)

    def _take(self, path: str, known: dict[str, Position], outlet: BatchChannel) -> None:
        try:
            with FileContent(path) as content:
                self._read(content, known, outlet)
        except SourceError as error:
            if Path(path).exists():
                reason = "changed" if isinstance(error, ChangedError) else "unreadable"
                row = RejectedRow(shown(path), 1, reason, str(error), b"")
                outlet.put(Batch((), (row,)))

    def _read(self, content: FileContent, known: dict[str, Position], outlet: BatchChannel) -> None:
        """Read one file, unless it is done; mark it as done."""
        start = known.get(content.fingerprint)
        if start is not None and start.done:
            return
        before = replaced_position(content, known) if start is None else None
        if before is not None:
            aside = put_replaced(content, before, self._others(content), outlet)
            known[aside.fingerprint] = aside
        try:
            read_content(content, start, self._rules, self._layout, outlet)
        except CsvHeaderError as error:
            row = RejectedRow(content.name, error.line, "header", error.detail, error.raw)
            put_header_row(content, row, outlet)
        known[content.fingerprint] = Position(content.name, content.fingerprint, 0, 0, done=True)

    def _others(self, content: FileContent) -> Iterator[str]:
        paths = (str(Path(self._path) / name) for name in _entries(self._path))
        return (path for path in paths if shown(path) != content.name)


def _entries(path: str) -> dict[str, os.stat_result]:
    """Return the regular files of a folder, by name."""
    try:
        with os.scandir(path) as entries:
            found = {entry.name: _stat(entry) for entry in entries}
    except OSError as error:
        raise SourceError(
            f"{path}: the folder cannot be listed ({error.strerror}); "
            "check that it is there, that it is a folder, and that this user may read it"
        ) from error
    return {name: stat for name, stat in found.items() if stat is not None}


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    """Return what is known of a regular file; None of anything else, or if it is gone."""
    try:
        return entry.stat() if entry.is_file() else None
    except OSError:
        return None
