"""Writes log lines in a thread of its own, so that a slow disk or pipe blocks nothing else."""

import os
import threading
from contextlib import suppress
from logging.handlers import QueueListener
from pathlib import Path
from queue import SimpleQueue
from typing import BinaryIO

FLUSH_SECONDS = 0.1
"""Longest wait of a line before it is written; an urgent line does not wait."""

MOST_BYTES = 16 * 1024 * 1024
"""Size of the lines that may wait for a slow target; further lines are dropped and counted."""


class LogWriter(QueueListener):
    """Takes lines without waiting, and writes all that wait with one call.

    Every method may be called from any thread. A file is opened again if log rotation renamed or
    removed it; a binary stream stays open after `close`. ``dropped`` counts the lines that the
    target did not take.
    """

    def __init__(self, target: Path | BinaryIO) -> None:
        self._path = target if isinstance(target, Path) else None
        self._out = _append(target) if isinstance(target, Path) else target
        self._lines: SimpleQueue[bytes | None] = SimpleQueue()
        super().__init__(self._lines)
        self._lock = threading.Lock()
        self._bytes = self.dropped = 0
        self._urgent = threading.Event()
        self._closed = False
        self.start()

    def put(self, line: bytes) -> None:
        """Take a line, to be written within a tenth of a second."""
        with self._lock:
            if self._closed or self._bytes + len(line) > MOST_BYTES:
                self.dropped += 1
                return
            self._bytes += len(line)
            self._lines.put(line)

    def put_now(self, line: bytes) -> None:
        """Take a line, to be written at once."""
        self.put(line)
        self._urgent.set()

    def close(self, seconds: float = 1.0) -> bool:
        """Write what waits; return False if the target did not take it in ``seconds``."""
        with self._lock:
            self._closed = True
        self._urgent.set()
        stop = threading.Thread(target=self.stop, daemon=True)  # `stop` itself has no time limit
        stop.start()
        stop.join(seconds)
        if stop.is_alive():
            return False
        if self._path is not None:
            self._out.close()
        return True

    def handle(self, record: bytes) -> None:  # type: ignore[override]  # lines, not LogRecords
        """Write the first line, and all lines that wait behind it."""
        self._urgent.wait(FLUSH_SECONDS)
        self._urgent.clear()
        waiting = [self._lines.get() for _ in range(self._lines.qsize())]
        if None in waiting:  # from `stop`: it is the last, and ends the thread
            self.enqueue_sentinel()
        lines = [record, *filter(None, waiting)]
        data = b"".join(lines)
        with self._lock:
            self._bytes -= len(data)
        with suppress(OSError):  # the file that is open is kept
            self._reopen_if_moved()
        try:
            _write_all(self._out, data)
        except (OSError, ValueError):  # the disk is full, the pipe's reader or the stream is gone
            with self._lock:
                self.dropped += len(lines)

    def _reopen_if_moved(self) -> None:
        # `WatchedFileHandler` closes the file before it opens the new one, so a folder that is
        # gone would cost lines; and it makes files that other users may read.
        path, out = self._path, self._out
        if path is None or (
            path.exists() and os.path.samestat(path.stat(), os.fstat(out.fileno()))
        ):
            return
        self._out = _append(path)
        out.close()


def _append(path: Path) -> BinaryIO:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    return os.fdopen(descriptor, "ab", buffering=0)


def _write_all(out: BinaryIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        written = out.write(view)
        if not written:  # a raw stream that does not block returns None
            raise BlockingIOError
        view = view[written:]
    out.flush()
