"""The one thread that writes. Operations that arrive during a commit share the next one."""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty
from threading import Thread
from typing import Any, TypeVar

from dispatcher.ledgers.errors import ledger_error, translate_error
from dispatcher.ledgers.write.commit_times import CommitTimes
from dispatcher.ledgers.write.group_commit import commit
from dispatcher.ledgers.write.hand_over import Group, HandOver, Job
from dispatcher.ports import LedgerError

T = TypeVar("T")

_IDLE_SECONDS = 0.02
"""The writer is idle after this time without an operation."""


class Writer(HandOver):
    """Accepts operations on the event loop, and completes them once their commit is durable.

    The thread commits all that is queued as one group. ``idle_work`` runs in the thread when no
    operation arrives, until it returns False.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        idle_work: Callable[[sqlite3.Connection], bool],
    ) -> None:
        super().__init__()
        self._connection = connection
        self._path = path
        self._idle_work = idle_work
        self._may_have_idle_work = True
        self.commit_times = CommitTimes()
        """How long all commits of changes took so far."""
        self._thread = Thread(target=self._work, name="ledger", daemon=True)
        self._thread.start()

    def job(self, run: "Callable[[sqlite3.Connection], T]") -> "asyncio.Future[T]":
        """Call ``run`` in the writer's thread, within a transaction.

        It may be called twice: the second time alone, if its group failed.

        Raises:
            LedgerError: the ledger is closed or has failed.

        """
        future: asyncio.Future[T] = self._loop.create_future()
        self._accept(Job(run, future))
        return future

    async def close(self) -> None:
        """Write what is queued, and end the thread. More than once does no harm."""
        await asyncio.shield(self._close_queue())
        self._thread.join()

    def _closed_error(self) -> LedgerError:
        return ledger_error(self._path, "it is closed")

    def _work(self) -> None:
        """Run in the thread: commit group after group until `close`, or until the loop is gone."""
        more = True
        while more:
            group, more = self._with_queued(self._wait_and_idle())
            more = self._call_in_loop(self._complete, group, self._write(group)) and more
        _close(self._connection)
        self._call_in_loop(self._ended)

    def _wait_and_idle(self) -> Group | None:
        """Wait for operations, and do idle work until some arrive."""
        while self._may_have_idle_work and self._failure is None:
            try:
                return self._queue.get(timeout=_IDLE_SECONDS)
            except Empty:
                self._may_have_idle_work = self._work_while_idle()
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
        self._may_have_idle_work = True
        if self._failure is None:
            started = time.perf_counter()
            try:
                results = commit(self._connection, self._path, group)
            except Exception as error:  # noqa: BLE001 - callers wait for any kind of error
                self._failure = _as_ledger_error(self._path, error)
            else:
                self._measure(group, time.perf_counter() - started)
                return results
        return [LedgerError(str(self._failure)) for _ in group]

    def _measure(self, group: Group, seconds: float) -> None:
        """Count a commit, unless it waited for a job, which may read for long."""
        if Job not in map(type, group):
            self.commit_times = self.commit_times.plus(seconds)


def _as_ledger_error(path: Path, error: Exception) -> LedgerError:
    if isinstance(error, sqlite3.Error):
        return translate_error(path, error)
    return ledger_error(path, f"a write failed ({error}); start again, and report this")


def _close(connection: sqlite3.Connection) -> None:
    """Close the connection. What was committed is durable even if this fails."""
    with suppress(sqlite3.Error):
        connection.execute("PRAGMA optimize")
    with suppress(sqlite3.Error):
        connection.close()
