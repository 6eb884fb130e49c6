"""The rate of events in the last seconds."""

SPAN = 60
"""Seconds that are kept."""


class RollingRate:
    """Counts per second over the last seconds, in a ring with one count a second."""

    def __init__(self, now: float) -> None:
        self._counts = [0] * SPAN
        self._second = int(now)
        self._started = now

    def add(self, now: float, by: int = 1) -> None:
        """Count ``by`` events at ``now``, in seconds of a monotonic clock."""
        second = int(now)
        if second != self._second:
            self._forget(second)
        self._counts[second % SPAN] += by

    def per_second(self, now: float, seconds: int) -> float:
        """Return the mean over the last full ``seconds`` (below 60), or over all if fewer passed.

        The second that has just begun is left out, except at the start.
        """
        second = int(now)
        self._forget(second)
        lasted = now - self._started
        if lasted < seconds:
            return sum(self._counts) / max(lasted, 1.0)
        window = min(seconds, SPAN - 1)
        return sum(self._counts[(second - back) % SPAN] for back in range(1, window + 1)) / window

    def _forget(self, second: int) -> None:
        for passed in range(self._second + 1, min(second, self._second + SPAN) + 1):
            self._counts[passed % SPAN] = 0
        self._second = max(second, self._second)
