"""The one thread that writes: operations gather while a commit runs, and share the next one."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from dispatcher.domain.status import SendBlock
from dispatcher.ledgers.codec import Fields
from dispatcher.ledgers.errors import ledger_error, translate_error
from dispatcher.ledgers.write.group_commit import Change, Job, Operation, commit
from dispatcher.ports import LedgerError

T = TypeVar("T")
Group = list[Operation]

MAX_GROUP = 16
"""Operations that are handed over at once."""

_IDLE_SECONDS = 0.02
"""The writer is idle after this time without an operation."""


class Writer:
    """Takes operations on the event loop and answers each once its commit is durable.

    What one turn of the event loop brings is handed over together, since every hand-over wakes
    the thread; a long turn in several parts, so that the thread works while the turn goes on. The
    thread writes all that is queued as one group; while it does, the next one
    gathers, so the busier the disk the larger the groups.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        idle_work: Callable[[sqlite3.Connection], bool],
    ) -> None:
        self._connection = connection
        self._path = path
        self._idle_work = idle_work
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[Group | None] = SimpleQueue()
        self._gathered: Group = []
        self._failure: LedgerError | None = None
        self._idle_work_left = True
        self._closed: asyncio.Future[None] | None = None
        self._thread = Thread(target=self._work, name="ledger", daemon=True)
        self._thread.start()

    def change(self, fields: Fields) -> "asyncio.Future[SendBlock | None]":
        """Change one contact; cancelling what is returned takes nothing back.

        The answer to an intent is what stands against it, if anything; to all else None.

        Raises:
            LedgerError: the ledger is closed or has failed.

        """
        caller: asyncio.Future[SendBlock | None] = self._loop.create_future()
        self._take(Change(fields, caller))
        return caller

    def job(self, run: "Callable[[sqlite3.Connection], T]") -> "asyncio.Future[T]":
        """Let ``run`` read or write in the writer's thread, within a transaction.

        It may be called twice: a second time, alone, where the group that it was in failed.

        Raises:
            LedgerError: the ledger is closed or has failed.

        """
        caller: asyncio.Future[T] = self._loop.create_future()
        self._take(Job(run, caller))
        return caller

    async def close(self) -> None:
        """Write what is queued, and end the thread. More than once does no harm."""
        if self._closed is None:
            self._closed = self._loop.create_future()
            self._hand_over()
            self._queue.put(None)
        await asyncio.shield(self._closed)
        self._thread.join()

    def _take(self, operation: Operation) -> None:
        if self._failure is not None:
            raise LedgerError(str(self._failure))
        if self._closed is not None:
            raise ledger_error(self._path, "it is closed")
        if not self._gathered:
            self._loop.call_soon(self._hand_over)
        self._gathered.append(operation)
        if len(self._gathered) >= MAX_GROUP:
            self._hand_over()

    def _hand_over(self) -> None:
        if self._gathered:
            self._queue.put(self._gathered)
            self._gathered = []

    def _answered(self, group: Group, answers: list[Any]) -> None:
        for operation, answer in zip(group, answers, strict=True):
            caller = operation.caller
            if caller.done():
                continue
            if isinstance(answer, Exception):
                caller.set_exception(answer)
            else:
                caller.set_result(answer)

    def _ended(self) -> None:
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)

    def _work(self) -> None:
        """Run in the thread: one group after the other, until the loop says or is gone."""
        going = True
        while going:
            group, going = self._gather()
            going = self._tell(self._answered, group, self._write(group)) and going
        _close(self._connection)
        self._tell(self._ended)

    def _gather(self) -> tuple[Group, bool]:
        """Wait for operations; return all that are queued, and whether more may come."""
        taken = [self._next()]
        taken += [self._queue.get() for _ in range(self._queue.qsize())]
        groups = [group for group in taken if group is not None]
        return [operation for group in groups for operation in group], len(groups) == len(taken)

    def _next(self) -> Group | None:
        """Wait for operations, and do idle work until some arrive."""
        while self._idle_work_left and self._failure is None:
            try:
                return self._queue.get(timeout=_IDLE_SECONDS)
            except Empty:
                self._idle_work_left = self._work_while_idle()
        return self._queue.get()

    def _work_while_idle(self) -> bool:
        """Return whether there may be more idle work. The next group reports a database error."""
        try:
            return self._idle_work(self._connection)
        except Exception as error:  # noqa: BLE001 - no caller waits here, and the thread must go on
            if self._connection.in_transaction or not isinstance(error, sqlite3.Error):
                self._failure = _as_ledger_error(self._path, error)
            return False

    def _write(self, group: Group) -> list[Any]:
        self._idle_work_left = True
        if self._failure is None:
            try:
                return commit(self._connection, self._path, group)
            except Exception as error:  # noqa: BLE001 - whatever it is, callers are waiting
                self._failure = _as_ledger_error(self._path, error)
        return [LedgerError(str(self._failure)) for _ in group]

    def _tell(self, callback: Callable[..., None], *arguments: Any) -> bool:
        try:
            self._loop.call_soon_threadsafe(callback, *arguments)
        except RuntimeError:
            return False  # the event loop is gone: nobody is left to answer
        return True


def _as_ledger_error(path: Path, error: Exception) -> LedgerError:
    if isinstance(error, sqlite3.Error):
        return translate_error(path, error)
    return ledger_error(path, f"a write failed ({error}); start again, and report this")


def _close(connection: sqlite3.Connection) -> None:
    """End the connection; what was committed is durable whatever goes wrong here."""
    with suppress(sqlite3.Error):
        connection.execute("PRAGMA optimize")
    with suppress(sqlite3.Error):
        connection.close()
