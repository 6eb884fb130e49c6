"""Ends a connection whose server does not answer in time: a frozen server still acknowledges."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psycopg import Connection

ANSWER_SECONDS = 20.0
"""How long an answer may take."""
_LOOK_SECONDS = 0.5


class Watchdog:
    """Shuts the socket of a connection down if an answer is late, so that its reader fails."""

    def __init__(self, seconds: float | None = None) -> None:
        self._seconds = ANSWER_SECONDS if seconds is None else seconds
        self._late_at: float | None = None
        self._connection: Connection[Any] | None = None
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._watch, name="ledger-watchdog", daemon=True)
        self._thread.start()

    @contextmanager
    def guard(self, connection: "Connection[Any]") -> Iterator[None]:
        """Watch what is done with the connection in the block."""
        self.begin(connection)
        try:
            yield
        finally:
            self.end()

    def begin(self, connection: "Connection[Any]") -> None:
        """Begin to watch a connection."""
        self._connection = connection
        self._late_at = time.monotonic() + self._seconds

    def end(self) -> None:
        """End what `begin` began."""
        with self._lock:
            self._late_at = self._connection = None

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.wait(_LOOK_SECONDS):
            late_at = self._late_at
            if late_at is not None and time.monotonic() >= late_at:
                with self._lock:
                    if self._late_at == late_at and self._connection is not None:
                        self._late_at = None
                        shut_down(self._connection)


def shut_down(connection: "Connection[Any]") -> None:
    """End a connection for both sides, whatever another thread does with it."""
    with suppress(Exception):  # it may have ended meanwhile
        copy = socket.socket(fileno=os.dup(connection.fileno()))
        with copy:
            copy.shutdown(socket.SHUT_RDWR)
