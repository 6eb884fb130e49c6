"""The one thread of a run that writes to the database; see `session` for what it survives."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import copy
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, TypeVar

from dispatcher.domain.errors import DispatcherError
from dispatcher.domain.status import SendBlock, Status
from dispatcher.ledgers.codec import CHANGE_FIELDS, ChangeRecord
from dispatcher.ledgers.postgres.address import (
    PostgresAddress,
    ledger_error,
    load_psycopg,
    translate_error,
)
from dispatcher.ledgers.postgres.session import Session
from dispatcher.ledgers.postgres.text import dumps_bytes, loads
from dispatcher.ledgers.write.commit_times import CommitTimes
from dispatcher.ledgers.write.hand_over import Change, Group, HandOver, Job, Operation
from dispatcher.ports import LedgerError

if TYPE_CHECKING:
    from psycopg import Connection

T = TypeVar("T")

MAX_CHANGES = 256
"""Changes of one commit: the parts of a statement are joined one by one."""
MIN_HALVED = 32
"""So many changes are committed in two halves if nothing else is under way.

While the server works on one half, the event loop goes on with the contacts of the other one. Each
commit takes time of its own, so fewer changes are not halved.
"""
POLL_SECONDS = 1.0
"""How often the lease is renewed, and the nudge of an operator is looked for."""

_DELIVERED = (Status.NOTIFIED, Status.OPENED)
_STATUS, _RELATION = (2 + CHANGE_FIELDS["settle"].index(name) for name in ("status", "relation"))
"""Places of a settlement's fields, after its kind and id."""


class PostgresWriter(HandOver):
    """Accepts operations on the event loop, and completes them once their commit is durable.

    Of what is queued, the changes are committed first, in parts of at most `MAX_CHANGES`, each one
    statement; then all jobs in one transaction. Each of these commits is a group of `Session`.
    ``on_nudge`` is called on the event loop when another process has changed something.

    What was answered is completed once the next part is with the server, so that server and event
    loop work at the same time.
    """

    def __init__(
        self, address: PostgresAddress, session: Session, on_nudge: Callable[[], None]
    ) -> None:
        super().__init__()
        self._address, self._session, self._on_nudge = address, session, on_nudge
        self._nudge = 0
        self._answered: list[tuple[Sequence[Operation], Sequence[Any]]] = []
        self._loop_is_there = True
        self._polled_at = time.monotonic()
        self.commit_times = CommitTimes()
        """How long all commits of changes took so far."""
        self._thread = Thread(target=self._work, name="ledger", daemon=True)
        self._thread.start()

    def job(self, run: "Callable[[Connection[Any]], T]", campaign: str = "") -> "asyncio.Future[T]":
        """Call ``run`` in the writer's thread, within a transaction that is this run's own.

        It may be called again: alone, if its group failed, and after a connection was lost.

        Raises:
            LedgerError: the ledger is closed or has failed.

        """
        future: asyncio.Future[T] = self._loop.create_future()
        self._accept(Job(run, future, campaign))
        return future

    def job_in_thread(self, run: "Callable[[Connection[Any]], object]") -> Event:
        """Do what `job` does, at once; the event is set at its end. An error is not reported."""
        ended = Event()
        future: asyncio.Future[Any] = self._loop.create_future()
        future.add_done_callback(_forget)
        self._accept(Job(run, future, ended=ended))
        self._hand_over()
        return ended

    async def close(self) -> None:
        """Write what is queued, give the leases back, and end the thread."""
        self._session.availability.close()
        await asyncio.shield(self._close_queue())
        self._thread.join()

    def _closed_error(self) -> LedgerError:
        return ledger_error(self._address, "it is closed")

    # in the thread

    def _work(self) -> None:
        """Commit group after group until `close`, or until the event loop is gone."""
        more = True
        while more and self._loop_is_there:
            first = self._wait(max(0.0, self._polled_at + POLL_SECONDS - time.monotonic()))
            group, more = self._with_queued(first)
            self._write(group)
            if time.monotonic() >= self._polled_at + POLL_SECONDS:
                self._complete_answered()
                self._poll()
            if self._queue.empty():
                self._complete_answered()
        self._complete_answered()
        with suppress(Exception):  # the leases run out by themselves
            self._session.leave()
        self._session.close()
        self._call_in_loop(self._ended)

    def _poll(self) -> None:
        """Renew the lease, and let the loop know if somebody has changed something."""
        self._polled_at = time.monotonic()
        if self._failure is not None:
            return
        try:
            nudge = self._session.renew()
        except Exception as error:  # noqa: BLE001 - no caller waits here, and the thread must go on
            self._fail(self._as_result(error))
            return
        finally:
            self._polled_at = time.monotonic()
        if nudge != self._nudge:
            self._nudge = nudge
            self._call_in_loop(self._on_nudge)

    def _fail(self, error: Exception) -> LedgerError:
        if not isinstance(error, LedgerError):
            error = ledger_error(
                self._address, f"a write failed ({error}); start again, and report this"
            )
        if self._failure is None:
            self._failure = self._session.availability.failure = error
            self._session.tenure.lost()
        return self._failure

    def _write(self, group: Group) -> None:
        """Commit a group part by part."""
        for part in _parts(group, halves=not self._answered):
            if isinstance(part[0], Job):
                self._complete_answered()
            answers = self._answers(part)
            self._answered.append((part, answers))
            for operation in part:
                if isinstance(operation, Job) and operation.ended is not None:
                    operation.ended.set()

    def _complete_answered(self) -> None:
        """Complete the operations whose answers are there."""
        answered, self._answered = self._answered, []
        for part, answers in answered:
            if not self._call_in_loop(self._complete, part, answers):
                self._loop_is_there = False

    def _answers(self, part: Sequence[Operation]) -> Sequence[Any]:
        if self._failure is None:
            try:
                return self._commit(part)
            except Exception as error:  # noqa: BLE001 - callers wait for any kind of error
                self._fail(self._as_result(error))
        assert self._failure is not None  # noqa: S101 - it is set above
        return [copy(self._failure) for _ in part]

    def _commit(self, part: Sequence[Operation]) -> Sequence[Any]:
        """Carry out and commit a part, or else each of its operations alone.

        Raises:
            LedgerError: the ledger has failed.

        """
        try:
            return self._together(part)
        except Exception:
            if self._session.availability.failure is not None:
                raise
        return [self._alone(operation) for operation in part]

    def _alone(self, operation: Operation) -> Any:
        try:
            return self._together([operation])[0]
        except Exception as error:
            if self._session.availability.failure is not None:
                raise
            return self._as_result(error)

    def _as_result(self, error: Exception) -> Exception:
        """Return the exception that the caller of a failed operation gets."""
        if isinstance(error, DispatcherError):
            return error
        if isinstance(error, load_psycopg().Error):
            return translate_error(self._address, error)
        return ledger_error(self._address, f"an operation was refused: {error}")

    def _together(self, part: Sequence[Operation]) -> Sequence[Any]:
        if isinstance(part[0], Change):
            return self._change(
                [operation.record for operation in part if type(operation) is Change]
            )
        jobs = [operation for operation in part if isinstance(operation, Job)]
        return self._session.commit([(job.run, job.campaign) for job in jobs])

    def _change(self, changes: Sequence[ChangeRecord]) -> Sequence[Any]:
        by_kind: dict[str, list[ChangeRecord]] = {}
        for fields in changes:
            kind: str = fields[0]
            if kind == "settle":
                delivered = fields[_RELATION] is not None and fields[_STATUS] in _DELIVERED
                kind = "deliver" if delivered else "settle"
            elif kind == "park":
                kind = "settle"
            by_kind.setdefault(kind, []).append(fields)
        payload = dumps_bytes(by_kind)
        started = time.perf_counter()
        answer = self._session.apply(
            payload, [fields[1] for fields in changes], self._complete_answered
        )
        self.commit_times = self.commit_times.plus(time.perf_counter() - started)
        if answer is None:
            return [None] * len(changes)
        blocked, refused = loads(answer)
        results: dict[int, Any] = {id_: SendBlock(why) for id_, why in blocked or ()}
        states = {
            id_: f"is {status}" if status else "is not in it" for id_, status in refused or ()
        }
        return [
            LedgerError(
                f"ledger {self._address.name}: cannot {kind} contact {id_}: it {states[id_]}"
            )
            if id_ in states
            else results.get(id_)
            for kind, id_, *_ in changes
        ]


def _forget(future: "asyncio.Future[Any]") -> None:
    """Take an exception that nobody waits for."""
    if not future.cancelled():
        future.exception()


def _parts(group: Group, *, halves: bool) -> list[list[Operation]]:
    """Return the parts of a group that are committed one after the other.

    Changes come before jobs. This order is safe: no job waits for a change, and no change refers
    to a contact that a job of the same group claims. A contact comes once in a part. With
    ``halves`` there are two parts at least if there are enough changes.
    """
    changes: list[list[Operation]] = []
    jobs: list[Operation] = []
    ids: set[int] = set()
    limit = MAX_CHANGES
    count = sum(isinstance(operation, Change) for operation in group)
    if halves and count >= MIN_HALVED:
        limit = min(limit, (count + 1) // 2)
    for operation in group:
        if isinstance(operation, Job):
            jobs.append(operation)
            continue
        id_ = operation.record[1]
        if not changes or id_ in ids or len(changes[-1]) >= limit:
            changes.append([])
            ids.clear()
        ids.add(id_)
        changes[-1].append(operation)
    return [*changes, jobs] if jobs else changes
