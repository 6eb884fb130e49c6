"""Finds look backs that fail: the sends in doubt that they would resolve wait then."""

from collections.abc import Callable

from dispatcher.domain.condition_facts import LookBackFault
from dispatcher.domain.events import Answered
from dispatcher.domain.status import Step

_NOT_FOUND = "404"


class LookBackStreak:
    """Look backs in a row that failed; ``monotonic`` is the clock."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._first = 0.0
        self._answers = 0
        self._last: Answered | None = None

    def take(self, event: Answered) -> None:
        """Count an answer of analytics; that there is no such conversation is a good one."""
        if event.step is not Step.LOOK_BACK:
            return
        if not event.failed or event.status == _NOT_FOUND:
            self._answers, self._last = 0, None
            return
        if self._last is None:
            self._first = self._monotonic()
        self._answers, self._last = self._answers + 1, event

    def describe(self, now: float) -> LookBackFault | None:
        """Return the failures so far; None if the last look back was answered."""
        if self._last is None:
            return None
        last = self._last
        seconds = now - self._first
        return LookBackFault(
            last.step.value, last.status, self._answers, seconds, last.correlation_id
        )
