"""A folder into which files are put while the daemon runs."""

import os
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path

from dispatcher.domain.contact import RejectedRow
from dispatcher.domain.errors import list_mistakes
from dispatcher.ports import Batch, SourceError, Stream
from dispatcher.sources.batching import read_content
from dispatcher.sources.files.byte_source import ChangedError, FileContent, printable_path
from dispatcher.sources.files.column_check import problems_of
from dispatcher.sources.files.file_place import BEGINNING
from dispatcher.sources.files.folder_scan import FolderScan, is_temporary
from dispatcher.sources.files.replaced_file import put_replaced
from dispatcher.sources.files.signatures import MissingPackageError, UnreadableFormatError
from dispatcher.sources.options import Layout, RowRules, Timing
from dispatcher.sources.rows.columns_error import ColumnsError
from dispatcher.sources.thread_bridge import BatchChannel, iterate_in_thread

_WHY_UNREAD = {
    "changed": "changed while it was read",
    "unreadable": "cannot be read",
    "header": "does not have the columns that the settings need",
    "package": "needs a package that is not installed",
}
"""Why a file is not read now, and is read when that is over."""


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
        return problems_of(paths, known, self._rules, self._layout)

    def _watch(self, known: dict[str, Stream], channel: BatchChannel) -> None:
        if problems := self.column_problems(known):
            raise SourceError(list_mistakes(problems) if len(problems) > 1 else problems[0])
        scan = FolderScan(self._timing.stable_seconds)
        self._read_complete(scan, known, channel)
        if self._once:
            if scan.pending:
                channel.wait(self._timing.stable_seconds)
                self._read_complete(scan, known, channel)
            return
        while True:
            channel.wait(self._timing.poll_seconds)
            self._read_complete(scan, known, channel)

    def _read_complete(
        self, scan: FolderScan, known: dict[str, Stream], channel: BatchChannel
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
                    if why := self._read_file(content, known, channel):
                        self._unread[name] = why
            except SourceError as error:
                if Path(path).exists():
                    reason = "changed" if isinstance(error, ChangedError) else "unreadable"
                    self._unread[name] = _WHY_UNREAD[reason]
                    row = RejectedRow(printable_path(path), 1, reason, str(error), b"")
                    channel.put(Batch((), (row,)))
        self.waits_for = describe_unread(scan.incomplete(time.monotonic()), self._unread)

    def _read_file(
        self, content: FileContent, known: dict[str, Stream], channel: BatchChannel
    ) -> str:
        """Read one file, unless it is done; mark it as done. Return why it cannot be read, or "".

        What the settings or the installation may have caused is not done: it would be the same for
        all files, and nobody would be written to once it is mended.
        """
        start = known.get(content.fingerprint)
        if start is not None and start.done:
            return ""
        if start is None and (replaced := put_replaced(content, known, self._paths, channel)):
            known[replaced.fingerprint] = replaced
        end = BEGINNING.to_stream(content.name, content.fingerprint, done=True)
        try:
            read_content(content, start, self._rules, self._layout, channel)
        except ColumnsError as error:
            detail = f"{error.detail}. Then restart, or write the file again: it is not done"
            row = RejectedRow(content.name, error.line, "header", detail, error.raw)
            channel.put(Batch((), (row,)))
            return _WHY_UNREAD["header"]
        except MissingPackageError as error:
            detail = f"{error.detail}. Then restart: the file is not done"
            row = RejectedRow(content.name, 1, "format", detail, b"")
            channel.put(Batch((), (row,)))
            return _WHY_UNREAD["package"]
        except UnreadableFormatError as error:
            row = RejectedRow(content.name, 1, "format", error.detail, b"")
            channel.put(Batch((), (row,), stream=end))
        known[content.fingerprint] = end
        return ""

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
