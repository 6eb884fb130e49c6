"""One daemon per ledger: an exclusive lock on a file beside it."""

import fcntl
import os
from pathlib import Path

from dispatcher.ledgers.errors import ledger_error
from dispatcher.ports import LedgerError

MODE = 0o600
"""Owner only: the ledger holds messages and addresses."""


_MOST_TOLD = 4096
"""Bytes of a lock file that are read: a pid, and the path of a socket."""


class LedgerLockedError(LedgerError):
    """Another process has the ledger; ``holder`` is its process id, or "unknown".

    ``socket`` is where it takes orders; empty if it told none.
    """

    def __init__(self, words: str, holder: str, socket: str) -> None:
        super().__init__(words)
        self.holder = holder
        self.socket = socket


class LedgerLock:
    """Holds the lock from its making until `release`; the kernel frees it if we are killed.

    Raises:
        HeldError: another process holds it.
        LedgerError: the file cannot be made.

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
            pid, socket = _read_holder(os.pread(self._fd, _MOST_TOLD, 0))
            os.close(self._fd)
            raise LedgerLockedError(
                f"ledger {ledger}: another dispatcher (pid {pid}) works on it and holds {path}; "
                "wait for it or stop it, or give this run a ledger of its own with ledger.path",
                pid,
                socket,
            ) from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def record_socket(self, path: str) -> None:
        """Write down where the holder takes orders, for those who find the lock held."""
        head = f"{os.getpid()}\n".encode()
        os.pwrite(self._fd, os.fsencode(path) + b"\n", len(head))

    def release(self) -> None:
        """Let another process have the ledger; more than once does no harm."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def read_lock_holder(ledger: Path) -> tuple[str, str]:
    """Return pid and socket of who held the lock last, which may be over; empty if nobody did."""
    try:
        with _path(ledger).open("rb") as file:
            return _read_holder(file.read(_MOST_TOLD))
    except OSError:
        return "", ""


def _path(ledger: Path) -> Path:
    real = ledger.resolve()  # two names of one ledger share its lock
    return real.with_name(real.name + ".lock")


def _read_holder(content: bytes) -> tuple[str, str]:
    """Read what `Lock` wrote: the pid, and behind it where its holder takes orders."""
    lines = os.fsdecode(content).split("\n")
    return lines[0].strip() or "unknown", "".join(lines[1:2])
