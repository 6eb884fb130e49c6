"""Lines to a file or stream from a thread of its own, so that a slow disk stops nobody."""

import contextlib
import os
import threading
from pathlib import Path
from typing import BinaryIO

FLUSH_SECONDS = 0.1
"""How long a line may wait; an urgent one does not."""

MOST_BYTES = 16 * 1024 * 1024
"""Lines that wait for a target that does not take them; what is more is dropped and counted."""


class LogWriter:
    """Takes lines without waiting, writes them from a thread.

    Every method may be called from any thread. The target is a file, which `reopen` opens
    anew, or a binary stream, which stays the caller's to close.
    """

    def __init__(self, target: Path | BinaryIO) -> None:
        self._path = target if isinstance(target, Path) else None
        self._out = _append(target) if isinstance(target, Path) else target
        self._lock = threading.Lock()
        self._waiting: list[bytes] = []
        self._bytes = 0
        self._dropped = 0
        self._some, self._urgent, self._stale = (threading.Event() for _ in range(3))
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def put(self, line: bytes) -> None:
        """Take a line, to be written within a tenth of a second."""
        with self._lock:
            if self._closed or self._bytes + len(line) > MOST_BYTES:
                self._dropped += 1
                return
            self._waiting.append(line)
            self._bytes += len(line)
            first = len(self._waiting) == 1
        if first:
            self._some.set()

    def put_now(self, line: bytes) -> None:
        """Take a line, to be written at once."""
        self.put(line)
        self._urgent.set()

    def reopen(self) -> None:
        """Open the file anew (it was renamed by log rotation); of a stream, do nothing.

        What came before goes into the old file. If the file cannot be opened, the old one is
        kept.
        """
        self._stale.set()
        self._some.set()
        self._urgent.set()

    @property
    def dropped(self) -> int:
        """How many lines were dropped."""
        return self._dropped

    def close(self, seconds: float = 1.0) -> bool:
        """Write what is left; false if the target did not take it in ``seconds``."""
        with self._lock:
            self._closed = True
        self._some.set()
        self._urgent.set()
        self._thread.join(seconds)
        if self._thread.is_alive():
            return False
        if self._path is not None:
            self._out.close()
        return True

    def _run(self) -> None:
        while not self._closed:
            self._some.wait()
            self._urgent.wait(FLUSH_SECONDS)
            self._some.clear()
            self._urgent.clear()
            self._write()
            if self._stale.is_set():
                self._stale.clear()
                self._open_anew()
        self._write()

    def _write(self) -> None:
        with self._lock:
            lines, self._waiting, self._bytes = self._waiting, [], 0
        if not lines:
            return
        try:
            _write_all(self._out, b"".join(lines))
        except (OSError, ValueError):  # the disk is full, the pipe's reader or the stream is gone
            with self._lock:
                self._dropped += len(lines)

    def _open_anew(self) -> None:
        if self._path is None:
            return
        with contextlib.suppress(OSError):
            fresh = _append(self._path)
            self._out.close()
            self._out = fresh


def _append(path: Path) -> BinaryIO:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    return os.fdopen(descriptor, "ab", buffering=0)


def _write_all(out: BinaryIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        written = out.write(view)
        if not written:  # a raw stream that does not block says None
            raise BlockingIOError
        view = view[written:]
    out.flush()
