"""Threads that look things up in a ledger, beside the thread that writes to it."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from dispatcher.ledgers.read.reader import connect
from dispatcher.ports import LedgerError

T = TypeVar("T")
R = TypeVar("R")

READERS = 2
_CACHE = "PRAGMA cache_size = 20"  # pages: look-ups are in order, and need the inner pages alone


class LookupThreads:
    """Runs look-ups in threads, each with a read-only connection that is opened when needed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="ledger-ahead")
        self._connections: SimpleQueue[sqlite3.Connection | None] = SimpleQueue()
        for _ in range(READERS):
            self._connections.put(None)
        self._closed = False

    async def run(
        self, items: Sequence[T], look_up: Callable[[sqlite3.Connection, Sequence[T]], R]
    ) -> list[R | None]:
        """Look up a part of ``items`` in each thread; the result of a failed part is None."""
        if self._closed or not items:
            return [None]
        loop = asyncio.get_running_loop()
        parts = [part for n in range(READERS) if (part := items[n::READERS])]
        return await asyncio.gather(
            *(loop.run_in_executor(self._threads, self._read, look_up, part) for part in parts)
        )

    async def close(self) -> None:
        """End the threads and their connections. More than once does no harm."""
        self._closed = True
        await asyncio.shield(asyncio.to_thread(self._end))

    def _end(self) -> None:
        self._threads.shutdown()
        while not self._connections.empty():
            connection = self._connections.get()
            if connection is not None:
                connection.close()

    def _read(
        self, look_up: Callable[[sqlite3.Connection, Sequence[T]], R], items: Sequence[T]
    ) -> R | None:
        connection = self._connections.get()
        try:
            # a key may be no valid Unicode
            with suppress(sqlite3.Error, LedgerError, ValueError):
                if connection is None:
                    connection = connect(self._path)
                    connection.execute(_CACHE)
                return look_up(connection, items)
            return None
        finally:
            self._connections.put(connection)
