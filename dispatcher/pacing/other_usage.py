"""What other programs take of a quota that they share with this one."""

from collections import deque

_REMEMBERED = 3
"""Windows over which the use of other programs is averaged."""
_NOISE = 0.03
"""Share of the quota below which the use of others is taken for a wrong count of ours."""
_EXTRA = 0.15
"""Share of the quota that is left to others in addition after a window that was exhausted."""
_KEPT_UNTIL = 1 / 14
"""Share of the window, at its end, in which what is kept for others is released."""


class OtherUsage:
    """What other programs with the same client take of each window of ``quota`` requests."""

    def __init__(self, quota: float) -> None:
        self._noise = _NOISE * quota
        self._extra = _EXTRA * quota
        self._past: deque[float] = deque(maxlen=_REMEMBERED)

    def record(self, used: float, *, exhausted: bool) -> None:
        """Record what they took of a window; if it was exhausted they may have wanted more."""
        wanted = used + self._extra if exhausted else used
        self._past.append(wanted if used >= self._noise else 0.0)

    def amend(self, used: float) -> None:
        """Record that they took more of the last recorded window."""
        if self._past and used >= self._noise:
            self._past[-1] = max(self._past[-1], used)

    def expected(self, used: float, time_left: float, uncounted: float) -> float:
        """Return how many requests they are expected to make until the window ends.

        ``used`` is what they took so far. ``time_left`` is the share of the window that is left
        now, ``uncounted`` the share that was left when that was counted. What they took of every
        past window is kept for them almost to the end, because a burst may come late; what they
        took of some is kept in proportion to the time.
        """
        if not self._past:
            return used / max(1 - uncounted, 0.1) * uncounted if used >= self._noise else 0.0
        average = sum(self._past) / len(self._past)
        least = min(self._past) if len(self._past) > 1 else 0.0
        released = min(time_left / _KEPT_UNTIL, 1.0)
        kept = (least - used) * released + (average - least) * uncounted
        return min(max(average - used, 0.0), max(kept, average * uncounted))
