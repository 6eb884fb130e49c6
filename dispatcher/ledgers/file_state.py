"""The state of a ledger's file: its size, what is free on its disk, how long commits take."""

import os
from contextlib import suppress
from pathlib import Path

from dispatcher.domain.events import LedgerState
from dispatcher.ledgers.write.commit_times import CommitTimes


class FileState:
    """Measures one ledger's file; commits since the last measurement."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._commits = CommitTimes()

    def measure(self, commits: CommitTimes) -> LedgerState:
        """Return the present state; ``commits`` are all commits so far. It reads no contact."""
        before, self._commits = self._commits, commits
        return LedgerState(
            file_size(self._path), free_bytes(self._path), commits.mean_since(before)
        )


def file_size(path: Path) -> int:
    """Return the bytes of the file and of its write-ahead log."""
    size = 0
    for part in (path, path.with_name(path.name + "-wal")):
        with suppress(OSError):
            size += part.stat().st_size
    return size


def free_bytes(path: Path) -> int:
    """Return the bytes that this user may still write to the file's disk; 0 if not known."""
    try:
        disk = os.statvfs(path)
    except OSError:
        return 0
    return disk.f_bavail * disk.f_frsize
