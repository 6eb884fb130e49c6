"""A thread that reads from the database, with a connection of its own, so that no commit waits."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

from dispatcher.domain.errors import DispatcherError
from dispatcher.ledgers.postgres.address import (
    PostgresAddress,
    connect_again,
    is_away,
    ledger_error,
    load_psycopg,
    translate_error,
)
from dispatcher.ledgers.postgres.availability import Availability
from dispatcher.ledgers.postgres.watchdog import Watchdog
from dispatcher.ledgers.write.hand_over import complete
from dispatcher.ports import LedgerAwayError

if TYPE_CHECKING:
    from psycopg import Connection

T = TypeVar("T")

_STATEMENT_SECONDS = 60.0
_Reading = tuple[Callable[[Any], Any], "asyncio.Future[Any]"]


class PostgresReader:
    """Calls functions with a connection that only reads, one after the other.

    What was committed before the call is seen. While the server is away it waits, as the writer
    does.
    """

    def __init__(self, address: PostgresAddress, availability: Availability) -> None:
        self._address = address
        self._shared = availability
        self._availability = Availability(address)
        self._watchdog = Watchdog(_STATEMENT_SECONDS + 5.0)
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[_Reading | None] = SimpleQueue()
        self._connection: Connection[Any] | None = None
        self._closed: asyncio.Future[None] | None = None
        self._thread = Thread(target=self._work, name="ledger-reader", daemon=True)
        self._thread.start()

    def read(self, run: "Callable[[Connection[Any]], T]") -> "asyncio.Future[T]":
        """Call ``run`` in the thread; each of its statements sees a moment of its own.

        Raises:
            LedgerError: the ledger is closed or has failed.

        """
        if self._closed is not None:
            raise ledger_error(self._address, "it is closed")
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put((run, future))
        return future

    async def close(self) -> None:
        """Read what is queued, and end the thread."""
        if self._closed is None:
            self._closed = self._loop.create_future()
            self._availability.close()
            self._queue.put(None)
        await asyncio.shield(self._closed)
        self._thread.join()

    def _work(self) -> None:
        while (reading := self._queue.get()) is not None:
            run, future = reading
            answer: Any
            try:
                answer = self._read(run)
            except Exception as error:  # noqa: BLE001 - raised where it is awaited
                answer = self._as_error(error)
            self._call_in_loop(complete, future, answer)
        self._lose_connection()
        self._watchdog.stop()
        self._call_in_loop(self._ended)

    def _read(self, run: "Callable[[Connection[Any]], T]") -> T:
        psycopg = load_psycopg()
        while True:
            if self._shared.failure is not None:
                raise copy(self._shared.failure)
            try:
                found = self._read_once(run)
            except LedgerAwayError as error:
                self._availability.wait(error)
            except psycopg.Error as error:
                broken = self._connection is None or self._connection.closed
                if not broken and not is_away(error):
                    raise
                self._lose_connection()
                self._availability.wait(translate_error(self._address, error))
            else:
                self._availability.back()
                return found

    def _read_once(self, run: "Callable[[Connection[Any]], T]") -> T:
        if self._connection is None:
            self._connection = connect_again(
                self._address, application_name="dispatcher-reader",
                statement_seconds=_STATEMENT_SECONDS,
            )  # fmt: skip
        with self._watchdog.guard(self._connection):
            return run(self._connection)

    def _as_error(self, error: Exception) -> Exception:
        if isinstance(error, DispatcherError):
            return error
        if isinstance(error, load_psycopg().Error):
            return translate_error(self._address, error)
        return ledger_error(self._address, f"it cannot be read ({error}); report this")

    def _lose_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _ended(self) -> None:
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)

    def _call_in_loop(self, callback: Callable[..., None], *arguments: Any) -> None:
        with suppress(RuntimeError):  # the event loop is gone, and its callers with it
            self._loop.call_soon_threadsafe(callback, *arguments)
