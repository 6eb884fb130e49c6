"""Passes operations from the event loop to the one thread that writes, and their results back."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event
from typing import Any

from dispatcher.domain.status import SendBlock
from dispatcher.ledgers.codec import ChangeRecord
from dispatcher.ports import LedgerError

HAND_OVER_SIZE = 16
"""Operations that are passed to the thread at once."""


@dataclass(slots=True, eq=False)
class Change:
    """A transition of one contact.

    Its result is None, or for an intent the reason why it is not permitted.
    """

    record: ChangeRecord
    future: asyncio.Future[Any]


@dataclass(slots=True, eq=False)
class Job:
    """Any other read or write; its result is what ``run`` returns for a connection.

    ``campaign`` is the name of the one that it is for, if any. ``ended`` is for a thread that
    cannot wait for the future.
    """

    run: Callable[[Any], Any]
    future: asyncio.Future[Any]
    campaign: str = ""
    ended: Event | None = None


Operation = Change | Job
Group = list[Operation]


class HandOver(ABC):
    """Accepts operations on the event loop, and completes them once their results are known.

    The operations of one iteration of the event loop are passed to the thread together, because
    each hand-over wakes the thread; in parts of `HAND_OVER_SIZE`, so that the thread can start
    early. The thread takes all that are queued as one group.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[Group | None] = SimpleQueue()
        self._pending: Group = []
        self._failure: LedgerError | None = None
        self._closed: asyncio.Future[None] | None = None

    def change(self, record: ChangeRecord) -> "asyncio.Future[SendBlock | None]":
        """Change one contact. Cancelling the future does not cancel the change.

        The result of an intent is the reason why it is not permitted; all others are None.

        Raises:
            LedgerError: the ledger is closed or has failed.

        """
        future: asyncio.Future[SendBlock | None] = self._loop.create_future()
        self._accept(Change(record, future))
        return future

    @abstractmethod
    def _closed_error(self) -> LedgerError:
        """Return the error of an operation that comes after the end."""

    def _accept(self, operation: Operation) -> None:
        if self._failure is not None:
            raise copy(self._failure)
        if self._closed is not None:
            raise self._closed_error()
        if not self._pending:
            self._loop.call_soon(self._hand_over)
        self._pending.append(operation)
        if len(self._pending) >= HAND_OVER_SIZE:
            self._hand_over()

    def _hand_over(self) -> None:
        if self._pending:
            self._queue.put(self._pending)
            self._pending = []

    def _close_queue(self) -> "asyncio.Future[None]":
        """Let the thread end after what is queued; the future is done when it has ended."""
        if self._closed is None:
            self._closed = self._loop.create_future()
            self._hand_over()
            self._queue.put(None)
        return self._closed

    def _complete(self, group: Sequence[Operation], answers: Sequence[Any]) -> None:
        for operation, answer in zip(group, answers, strict=True):
            complete(operation.future, answer)

    def _ended(self) -> None:
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)

    # in the thread

    def _with_queued(self, first: Group | None) -> tuple[Group, bool]:
        """Return all operations that are queued, after ``first``, and whether more may follow."""
        taken = [first]
        taken += [self._queue.get() for _ in range(self._queue.qsize())]
        groups = [group for group in taken if group is not None]
        return [operation for group in groups for operation in group], len(groups) == len(taken)

    def _wait(self, seconds: float | None) -> Group | None:
        """Wait for operations; an empty group means that none came for ``seconds``."""
        try:
            return self._queue.get(timeout=seconds)
        except Empty:
            return []

    def _call_in_loop(self, callback: Callable[..., None], *arguments: Any) -> bool:
        try:
            self._loop.call_soon_threadsafe(callback, *arguments)
        except RuntimeError:
            return False  # the event loop is gone, and its callers with it
        return True


def complete(future: "asyncio.Future[Any]", answer: Any) -> None:
    """Complete a future, unless its caller has cancelled it; an exception is raised there."""
    if future.done():
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
