"""Keeping to the quota."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from dispatcher.domain.answer import QuotaReading
from dispatcher.domain.events import QuotaUse
from dispatcher.domain.status import Step


class Permit(Protocol):
    """The right to make one request now. Either `complete` or `release` is called, once."""

    def complete(self, reading: QuotaReading | None) -> None:
        """Record that the request ended, and the platform's count if it reported one."""
        ...

    def release(self) -> None:
        """Return the permit: the request was not made."""
        ...

    def issued_by(self, pacer: "Pacer") -> bool:
        """Return whether that pacer granted it; this does not end the permit."""
        ...


class Pacer(Protocol):
    """Keeps to the quota: permits for sends first, then look backs, then checks, each in order."""

    def try_acquire(self, step: Step) -> Permit | None:
        """Return the right to make one request if there is no need to wait for it, else None."""
        ...

    async def acquire(self, step: Step) -> Permit | None:
        """Wait for the right to make one request; None if the wait was cancelled."""
        ...

    def enqueue(self, step: Step, future: "asyncio.Future[Permit | None]") -> Callable[[], None]:
        """Queue a future that may be in the queues of other pacers, too.

        Its result is what `acquire` returns, unless it is done before. Return the function that
        removes it from the queue.
        """
        ...

    def hold(self, step: Step | None, seconds: float) -> None:
        """Permit nothing for ``step`` (None: nothing at all) for so long."""
        ...

    def hold_remaining(self, step: Step) -> float:
        """Seconds for which ``step`` is held from now on; 0 if it is not."""
        ...

    def endpoint_hold_remaining(self, step: Step) -> float:
        """Seconds for which ``step`` is held by a limit of its own; 0 if it is not."""
        ...

    def cancel_waiters(self, *, checks_only: bool) -> None:
        """Return None to every waiting caller, or to every one that waits for a check."""
        ...

    @property
    def rate(self) -> float:
        """Requests per second at which permits are granted at present."""
        ...

    @property
    def quota(self) -> QuotaUse:
        """What was used of the quota in the last whole window; before its end, in the present one.

        A window is over when its time is, whether requests are made or not. What others use is
        known from the platform's counts; without them, only from its refusals.
        """
        ...


class BackgroundPacer(Protocol):
    """Permits for the requests that a platform adapter makes beside those of the engine.

    They count against the same quota. They come after sends and look backs, but before checks:
    they end work that was begun, and a run that always has checks to make would never make them.
    """

    async def acquire_background(self) -> Permit:
        """Wait for the right to make one request. A hold of one step does not concern it."""
        ...
