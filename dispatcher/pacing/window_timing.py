"""How long the platform's fixed windows are, and when the next one begins."""

import math

_CLOCK_DRIFT = 1e-4
"""Share of the elapsed time by which two clocks may drift apart."""
_EXACT = 1 / 16
"""Share of a window by which its length may be uncertain and is still taken for known."""
_SHORTEST_LEARNT = 0.5
"""Seconds; evidence of shorter windows is ignored."""

TimeSpan = tuple[float, float]
"""The lowest and the highest possible value."""


class WindowLength:
    """The length of a window in seconds: the configured one until answers contradict it.

    The platform reports the seconds until a window ends as whole numbers, rounded up, down or to
    the nearest: the truth is less than a second away. Where windows begin is visible more exactly,
    from the count that falls.
    """

    def __init__(self, configured: float) -> None:
        self._configured = configured
        self._possible: TimeSpan = (0.0, math.inf)
        self._last_reset = 0.0
        self._boundary: TimeSpan | None = None
        self._windows_since = 1
        """Windows that passed at least since that boundary, when the next one is seen."""
        self.seconds = configured

    @property
    def is_observed(self) -> bool:
        """Whether the beginning of a window has confirmed the length, or contradicted it."""
        return self._possible[1] < math.inf

    @property
    def is_exact(self) -> bool:
        """Whether the length is known well; the configured one is, unless it is contradicted."""
        low, high = self._possible
        return self.seconds == self._configured or high - low < _EXACT * self.seconds

    def record_reset(self, reset: float) -> None:
        """Learn from the reported seconds until the window ends.

        They show a longer window only if two answers in succession do: one may be wrong.
        """
        self._narrow(min(reset, self._last_reset) - 1, math.inf)
        self._last_reset = reset

    def record_boundary(self, boundary: TimeSpan, reset: float, *, expected: bool) -> None:
        """Learn from a boundary; ``reset`` is the first one that is reported after it.

        One that came before its reported time is not ``expected``: the platform began a new
        window early, or a count was wrong. It is only the beginning of the next window.
        """
        low, high = boundary
        by_reset = reset - 1, reset + 1 + high - low
        if expected:
            self._narrow(*by_reset)
        before = self._boundary
        if before is not None and low <= before[1]:
            self._boundary = max(low, before[0]), min(high, before[1])
        elif high - low > (reset + 1) / 2:  # it may contain several boundaries
            self._windows_since += 1
        else:
            self._boundary = boundary
            if before is not None and expected:
                self._record_distance((low - before[1], high - before[0]), by_reset)
            self._windows_since = 1

    def _record_distance(self, distance: TimeSpan, by_reset: TimeSpan) -> None:
        """Learn from the distance of two boundaries, of which some between may be missing."""
        shortest, longest = distance
        is_next = shortest <= by_reset[1] * self._windows_since
        candidates = [by_reset] if is_next else [self._possible, by_reset]
        for low, high in candidates:
            number = max(self._windows_since, math.ceil(shortest / high))
            if longest / number >= low:
                self._narrow(shortest / number, longest / number)
                return

    def _narrow(self, low: float, high: float) -> None:
        """Take an interval into account; one that contradicts the others replaces them."""
        if high < _SHORTEST_LEARNT:
            return
        both = max(low, self._possible[0]), min(high, self._possible[1])
        low, high = self._possible = both if both[0] <= both[1] else (max(low, 0.0), high)
        if low <= self._configured <= high:
            self.seconds = self._configured
        elif high == math.inf:
            self.seconds = low + 1
        else:
            self.seconds = (low + high) / 2
            whole = round(self.seconds)
            if low <= whole <= high and self.is_exact:
                self.seconds = whole


class WindowPhase:
    """When windows of a known length begin: an interval of time that evidence narrows."""

    def __init__(self, length: float) -> None:
        self.length = length
        self._low = 0.0
        self._high = math.inf

    @property
    def width(self) -> float:
        """Seconds of uncertainty; infinite before any evidence."""
        return self._high - self._low

    def narrow(self, low: float, high: float) -> None:
        """Take evidence that one boundary lies between the two times.

        Evidence that contradicts what is known replaces it: the windows have moved.
        """
        if self.width >= self.length or high - low >= self.length:
            if high - low < self.width:
                self._low, self._high = low, high
            return
        shift = self._shift((low + high) / 2)
        drift = abs(shift) * _CLOCK_DRIFT
        lowest = max(low, self._low + shift - drift)
        highest = min(high, self._high + shift + drift)
        self._low, self._high = (lowest, highest) if lowest <= highest else (low, high)

    def boundary_near(self, time: float) -> float:
        """Return the most likely boundary nearest to a time."""
        if self.width == math.inf:
            return time
        return (self._low + self._high) / 2 + self._shift(time)

    def _shift(self, time: float) -> float:
        return round((time - (self._low + self._high) / 2) / self.length) * self.length
