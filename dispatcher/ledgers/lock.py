"""The lock of a ledger: an exclusive lock on a file beside it, held by one process."""

import fcntl
import os
from pathlib import Path

from dispatcher.ledgers.errors import ledger_error
from dispatcher.ports import LedgerLockedError

MODE = 0o600
"""Owner only: the ledger holds messages and addresses."""

_MAX_LOCK_FILE = 4096
"""Bytes of a lock file that are read: a pid, the path of a socket, and a mark."""


class LedgerLock:
    """The held lock, from its creation until `release`. The kernel frees it if we are killed.

    Raises:
        LedgerLockedError: another process holds it.
        LedgerError: the file cannot be created.

    """

    def __init__(self, ledger: Path) -> None:
        path = _path(ledger)
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
        except OSError as error:
            reason = error.strerror or str(error)
            raise ledger_error(
                ledger,
                f"its lock file {path} cannot be opened ({reason}); make the directory and the "
                "file writable for this user, or set ledger.path to a place that is",
            ) from None
        self._take(ledger, path)

    def _take(self, ledger: Path, path: Path) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            pid, socket = _read_holder(os.pread(self._fd, _MAX_LOCK_FILE, 0))
            os.close(self._fd)
            raise LedgerLockedError(
                f"ledger {ledger}: another dispatcher (pid {pid}) works on it and holds {path}; "
                "wait for it or stop it, or give this run a ledger of its own with ledger.path",
                pid,
                socket,
            ) from None
        self._socket, self._mark = "", _read_mark(os.pread(self._fd, _MAX_LOCK_FILE, 0))
        self._write()

    @property
    def mark(self) -> str:
        """What an earlier holder recorded with `record_mark`; empty if there is nothing."""
        return self._mark

    def record_mark(self, mark: str) -> None:
        """Record one line for the next holders of the lock."""
        self._mark = mark
        self._write()

    def record_socket(self, path: str) -> None:
        """Record the path of our control socket, for processes that find the ledger locked."""
        self._socket = path
        self._write()

    def _write(self) -> None:
        lines = (str(os.getpid()), self._socket, self._mark)
        content = os.fsencode("".join(f"{line}\n" for line in lines))
        os.pwrite(self._fd, content, 0)
        os.ftruncate(self._fd, len(content))

    def release(self) -> None:
        """Release the lock. More than once does no harm."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def read_lock_holder(ledger: Path) -> tuple[str, str]:
    """Return pid and socket path of the last process that held the lock, or empty strings.

    The process may have ended since.
    """
    try:
        with _path(ledger).open("rb") as file:
            return _read_holder(file.read(_MAX_LOCK_FILE))
    except OSError:
        return "", ""


def _path(ledger: Path) -> Path:
    real = ledger.resolve()  # two names of one ledger share its lock
    return real.with_name(real.name + ".lock")


def _read_mark(content: bytes) -> str:
    """Read the mark from a lock file."""
    return "".join(os.fsdecode(content).split("\n")[2:3])


def _read_holder(content: bytes) -> tuple[str, str]:
    """Read the pid and the socket path from a lock file."""
    lines = os.fsdecode(content).split("\n")
    return lines[0].strip() or "unknown", "".join(lines[1:2])
