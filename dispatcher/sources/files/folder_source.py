"""A folder into which files are put while the daemon runs."""

import os
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path

from dispatcher.domain.contact import RejectedRow
from dispatcher.domain.errors import list_mistakes
from dispatcher.ports import Batch, SourceError, Stream
from dispatcher.sources.files.byte_source import FileContent, printable_path
from dispatcher.sources.files.column_check import problems_of
from dispatcher.sources.files.folder_scan import FolderScan, is_temporary
from dispatcher.sources.files.rejecting_reader import WHY_UNREAD, RejectingReader
from dispatcher.sources.files.seekable_content import ChangedError
from dispatcher.sources.options import Layout, RowRules, Timing
from dispatcher.sources.thread_bridge import BatchChannel, iterate_in_thread


def describe_unread(incomplete: Sequence[str], unread: Mapping[str, str]) -> str:
    """Return which files of a folder are not read, and why; empty if there are none."""
    reasons = [f"{printable_path(name)} {why}" for name, why in sorted(unread.items())]
    reasons += [f"{printable_path(name)} is not complete yet" for name in incomplete]
    more = f", and {len(reasons) - 1:,} more" if len(reasons) > 1 else ""
    return reasons[0] + more if reasons else ""


class FolderSource:
    """Reads each file of a folder once it is complete, for as long as it is iterated.

    With ``once`` it reads the files that are complete and ends; the next run reads those that
    were still being written. Subfolders are ignored. The columns of the files that are there at the
    start are checked before any is read. A file that cannot be read, whose format is not read or,
    after the start, whose header lacks a column becomes one rejected row and does not stop the
    others.

    A file whose format is not read is done. One rejected with ``header``, ``unreadable``, or for a
    package that is not installed, is read again after it changed or after a restart: the settings
    or the installation may be wrong. One rejected with ``changed`` (while it was read) is read
    again once it is complete.
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
        self.watched = not once
        self.waits_for = ""
        self.lag = None
        self._unread: dict[str, str] = {}

    def batches(self, known: Mapping[str, Stream]) -> AsyncGenerator[Batch, None]:
        """Yield the rows of all files from where each was left.

        Raises:
            SourceError: the folder does not exist or cannot be listed, or the columns of a file
                that is there at the start are not as the settings need them, or a package that
                reads it is not installed.

        """
        return iterate_in_thread(lambda channel: self._watch(dict(known), channel), known)

    def column_problems(self, known: Mapping[str, Stream]) -> list[str]:
        """Return what is wrong with the columns of the files that are in the folder now.

        Raises:
            SourceError: the folder does not exist or cannot be listed.

        """
        paths = sorted(path for path in self._paths() if not is_temporary(Path(path).name))
        return problems_of(paths, FileContent, known, self._rules, self._layout)

    def _watch(self, known: dict[str, Stream], channel: BatchChannel) -> None:
        if problems := self.column_problems(known):
            raise SourceError(list_mistakes(problems) if len(problems) > 1 else problems[0])
        scan = FolderScan(self._timing.stable_seconds)
        reader = RejectingReader(self._rules, self._layout, known, self._paths, FileContent)
        self._read_complete(scan, reader, channel)
        if self._once:
            if scan.pending:
                channel.wait(self._timing.stable_seconds)
                self._read_complete(scan, reader, channel)
            return
        while True:
            channel.wait(self._timing.poll_seconds)
            self._read_complete(scan, reader, channel)

    def _read_complete(
        self, scan: FolderScan, reader: RejectingReader, channel: BatchChannel
    ) -> None:
        entries = _entries(self._path)
        complete = scan.look(entries, time.monotonic(), time.time())
        self._unread = {name: why for name, why in self._unread.items() if name in entries}
        for name in complete:
            channel.check()
            self._unread.pop(name, None)
            path = str(Path(self._path) / name)
            try:
                with FileContent(path) as content:
                    if why := reader.read(content, channel):
                        self._unread[name] = why
            except SourceError as error:
                if Path(path).exists():
                    reason = "changed" if isinstance(error, ChangedError) else "unreadable"
                    self._unread[name] = WHY_UNREAD[reason]
                    row = RejectedRow(printable_path(path), 1, reason, str(error), b"")
                    channel.put(Batch((), (row,)))
        self.waits_for = describe_unread(scan.incomplete(time.monotonic()), self._unread)

    def _paths(self) -> list[str]:
        return [str(Path(self._path) / name) for name in _entries(self._path)]


def _entries(path: str) -> dict[str, os.stat_result]:
    """Return the regular files of a folder, by name."""
    try:
        with os.scandir(path) as entries:
            stats = {entry.name: _stat(entry) for entry in entries}
    except OSError as error:
        raise SourceError(
            f"{path}: the folder cannot be listed ({error.strerror}); "
            "check that it exists, that it is a folder, and that this user may read it"
        ) from error
    return {name: stat for name, stat in stats.items() if stat is not None}


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    """Return the stat of a regular file; None for anything else, or if it no longer exists."""
    try:
        return entry.stat() if entry.is_file() else None
    except OSError:
        return None
