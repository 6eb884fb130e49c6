"""Keeping to the quota."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from dispatcher.domain.answer import QuotaReading
from dispatcher.domain.status import Step


class Permit(Protocol):
    """The right to make one request now. `answered` or `unused` is called, once."""

    def complete(self, reading: QuotaReading | None) -> None:
        """Tell that the request came to an end, and the platform's count if it told."""
        ...

    def release(self) -> None:
        """Give the right back: the request was not made."""
        ...

    def issued_by(self, pacer: "Pacer") -> bool:
        """Tell whether that pacer gave it; not an end of the permit."""
        ...


class Pacer(Protocol):
    """Keeps to the quota: permits in the order asked; sends, then look backs, then checks."""

    async def acquire(self, step: Step) -> Permit | None:
        """Wait for the right to make one request; None when waiting was broken off."""
        ...

    def enqueue(self, step: Step, future: "asyncio.Future[Permit | None]") -> Callable[[], None]:
        """Stand in line with a future that may stand in other lines, too.

        It gets what `permit` returns, unless it is done before. Return what leaves the line.
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
        """Let every waiting caller (or every one that waits for a check) return with None."""
        ...

    @property
    def rate(self) -> float:
        """Requests per second at which permits are given just now."""
        ...

    @property
    def quota_used(self) -> float:
        """Share of the current window's quota that is used, from 0 to 1."""
        ...
