"""What was used of a window of the quota, and by whom."""

from collections import deque
from dataclasses import dataclass

from dispatcher.pacing.sent_history import SentHistory

_REFUSALS_KEPT = 64


@dataclass(frozen=True, slots=True)
class WindowUse:
    """The requests of one window of ``seconds``.

    ``own`` are ours, ``others`` those of other programs as far as they are known, and ``quota``
    are those that the window permits.
    """

    quota: float
    seconds: float
    own: float = 0.0
    others: float = 0.0


class UncountedUse:
    """The use of windows while the platform reports no counts.

    Then nobody knows when its windows begin: they are taken to follow each other from ``start``
    on. What others take shows only when the platform refuses a request. Times are monotonic
    seconds.
    """

    def __init__(self, sent: SentHistory) -> None:
        self.start: float | None = None
        self._sent = sent
        self._refused: deque[tuple[float, float]] = deque(maxlen=_REFUSALS_KEPT)

    def begin(self, now: float) -> None:
        """Begin the first window, if it has not begun."""
        if self.start is None:
            self.start = now

    def record_refusal(self, now: float, quota: float, seconds: float, total: int) -> None:
        """Record that a quota is used up: others took what we did not take in so many seconds."""
        own = self._sent.between(now - seconds, now, total)
        self._refused.append((now, max(quota - own, 0.0)))

    def last(self, now: float, quota: float, seconds: float, total: int) -> WindowUse:
        """Return the use of the last window; before its end, that of the present one."""
        if self.start is None:
            return WindowUse(quota, seconds)
        passed = int((now - self.start) / seconds)
        end = self.start + passed * seconds if passed else now
        others = [taken for at, taken in self._refused if end - seconds <= at <= end]
        own = self._sent.between(end - seconds, end, total)
        return WindowUse(quota, seconds, own, max(others, default=0.0))
