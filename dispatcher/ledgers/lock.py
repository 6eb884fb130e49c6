"""One daemon per ledger: an exclusive lock on a file beside it."""

import fcntl
import os
from pathlib import Path

from dispatcher.ledgers.faults import wrong
from dispatcher.ports import LedgerError

MODE = 0o600
"""Owner only: the ledger holds messages and addresses."""


class HeldError(LedgerError):
    """Another process has the ledger; ``holder`` is its process id, or "unknown"."""

    def __init__(self, words: str, holder: str) -> None:
        super().__init__(words)
        self.holder = holder


class Lock:
    """Holds the lock from its making until `release`; the kernel frees it if we are killed.

    Raises:
        HeldError: another process holds it.
        LedgerError: the file cannot be made.

    """

    def __init__(self, ledger: Path) -> None:
        real = ledger.resolve()  # two names of one ledger share its lock
        path = real.with_name(real.name + ".lock")
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
        except OSError as error:
            reason = error.strerror or str(error)
            raise wrong(
                ledger,
                f"its lock file {path} cannot be opened ({reason}); make the directory and the "
                "file writable for this user, or set ledger.path to a place that is",
            ) from None
        self._take(ledger, path)

    def _take(self, ledger: Path, path: Path) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._fd)
            raise HeldError(
                f"ledger {ledger}: another dispatcher (pid {holder}) works on it and holds {path}; "
                "wait for it or stop it, or give this run a ledger of its own with ledger.path",
                holder,
            ) from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let another process have the ledger; more than once does no harm."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
