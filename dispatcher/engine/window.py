"""Estimating the platform's fixed rate window from the counts in its answers."""

from collections import deque
from dataclasses import dataclass

from dispatcher.domain.answer import Reading

_DRIFT = 1e-4
"""Share of the time gone by that two clocks may have drifted apart."""
_REMEMBERED = 3
"""Windows over which other programs' use is averaged."""
_NOISE = 0.03
_YIELD = 0.15
_GUARD = 0.05
_TAPER = 14.0
_STALE_WINDOWS = 2.0
"""Windows without a count after which the estimate is given up."""


@dataclass(frozen=True, slots=True)
class Counted:
    """One answer that told the platform's count.

    ``number`` is the request's place among all that were sent, from 1; ``sent`` and
    ``heard`` are seconds on the caller's clock.
    """

    number: int
    sent: float
    heard: float
    reading: Reading

    @property
    def middle(self) -> float:
        """The likeliest moment at which the platform counted the request."""
        return (self.sent + self.heard) / 2


@dataclass(frozen=True, slots=True)
class Room:
    """What is left of a window: requests free for us, the window's size, seconds until it ends.

    ``sharp`` is true where the end is known well enough to hurry for it.
    """

    free: float
    quota: int
    seconds: float
    sharp: bool
    shared: bool


class Boundary:
    """Where windows of a known period begin: an interval that narrows with evidence."""

    def __init__(self, period: float) -> None:
        self._period = period
        self._low = 0.0
        self._high = float("inf")

    @property
    def width(self) -> float:
        """Seconds of doubt; infinite before any evidence."""
        return self._high - self._low

    def see(self, low: float, high: float) -> None:
        """Take evidence that one boundary lies between the two times.

        Evidence that contradicts what is known replaces it: the windows have moved.
        """
        if self.width >= self._period or high - low >= self._period:
            if high - low < self.width:
                self._low, self._high = low, high
            return
        shift = self._shift((low + high) / 2)
        doubt = abs(shift) * _DRIFT
        lowest = max(low, self._low + shift - doubt)
        highest = min(high, self._high + shift + doubt)
        self._low, self._high = (lowest, highest) if lowest <= highest else (low, high)

    def near(self, time: float) -> float:
        """Return the likeliest boundary next to a time."""
        if self.width == float("inf"):
            return time
        return (self._low + self._high) / 2 + self._shift(time)

    def _shift(self, time: float) -> float:
        periods = round((time - (self._low + self._high) / 2) / self._period)
        return periods * self._period


class Window:
    """The current window: when it ends, how much is used, how much others will take.

    ``quota`` requests per ``period`` seconds are the most that is ever assumed.
    """

    def __init__(self, quota: int, period: float) -> None:
        self._quota = quota
        self._period = period
        self._boundary = Boundary(period)
        self._marks: deque[tuple[float, int]] = deque()
        self._others: deque[float] = deque(maxlen=_REMEMBERED)
        self._end = 0.0
        self._first = self._first_before = 0
        self._best: Counted | None = None
        self._last: Counted | None = None
        self._trip = 0.0
        self._confirmed = True
        self._whole = False

    def mark(self, now: float, sent: int) -> None:
        """Note how many requests were sent so far; go to the next window when this one is over."""
        marks = self._marks
        marks.append((now, sent))
        while marks[0][0] < now - 2 * self._period:
            marks.popleft()
        last = self._last
        if last is None:
            return
        if now - last.heard > _STALE_WINDOWS * self._period and now > self._end:
            self._forget()
            return
        while now >= self._closing:
            self._turn(self._boundary.near(self._end))

    def read(self, counted: Counted) -> None:
        """Take the platform's count from an answer."""
        last = self._last
        if last is not None and counted.number <= last.number:
            return
        self._last = counted
        self._time_trip(counted.heard - counted.sent, first=last is None)
        dropped = last is not None and self._is_drop(last, counted)
        if dropped and last is not None:
            self._boundary.see(last.sent, counted.heard)
        self._see_reset(counted, first=last is None)
        if dropped and last is not None:
            self._begin(self._boundary_between(last, counted))
        self._confirmed |= dropped
        sure = self._confirmed or counted.sent > self._end - self._period + self._boundary.width
        if sure and counted.number > self._first:
            self._best = counted
        elif not dropped and self._others and not self._best:
            seen = counted.reading.count - (counted.number - self._first_before)
            self._others[-1] = max(self._others[-1], seen)

    def room(self, now: float, sent: int) -> Room | None:
        """Return what is left, or None where the platform does not tell."""
        if self._last is None:
            return None
        quota = min(self._quota, self._last.reading.allowed)
        others = self._others_to_come(now)
        free = quota - self._used(sent) - others
        sharp = self._boundary.width < self._period / 4
        return Room(free, quota, self._closing - now, sharp, others > 0)

    def used(self, now: float, sent: int) -> float:
        """Return the requests counted in the current window, by anyone; ours of one period
        where the platform does not tell.
        """
        if self._last is None:
            return sent - self._sent_until(now - self._period)
        return self._used(sent)

    @property
    def _closing(self) -> float:
        """The last moment at which a request leaves that is likely to count in this window."""
        return self._end - self._trip / 2 + self._guard

    @property
    def _guard(self) -> float:
        doubt = min(self._boundary.width, self._period) / 2
        return max(doubt - 0.02 * self._period, 0.0) * _GUARD

    def _time_trip(self, seconds: float, *, first: bool) -> None:
        if first or seconds < self._trip:
            self._trip = seconds
        else:
            self._trip += (seconds - self._trip) / 64

    def _used(self, sent: int) -> float:
        best = self._best
        return sent - self._first if best is None else best.reading.count + sent - best.number

    def _others_to_come(self, now: float) -> float:
        """Expect of others what they took on average, less what they took already.

        Never more than their even share of the time left, so that what they do not take
        is used before the window ends.
        """
        seen = self._seen_of_others()
        since = max(self._best.middle if self._best else 0.0, now - 2 * self._trip)
        left = min(max(self._end - since, 0.0) / self._period, 1.0)
        if self._others:
            average = sum(self._others) / len(self._others)
        else:
            average = seen / max(1 - left, 0.1) if seen > _NOISE * self._quota else 0.0
        least = min(self._others) if len(self._others) > 1 else 0.0
        taper = min(max(self._end - now, 0.0) / self._period * _TAPER, 1.0)
        return min(max(average - seen, 0.0), max((least - seen) * taper + (average-least)*left, average * left))

    def _seen_of_others(self) -> float:
        best = self._best
        return max(best.reading.count - (best.number - self._first), 0) if best else 0.0

    def _is_drop(self, last: Counted, counted: Counted) -> bool:
        """Whether a boundary lies between two counts, and not just a change of order."""
        fall = last.reading.count - counted.reading.count
        jump = counted.reading.reset - last.reading.reset
        if counted.sent >= last.heard:
            return fall > 0 or jump > 0
        if jump >= 2 or fall > 0.75 * counted.reading.allowed:
            return True
        on_the_wire = max(self._marks[-1][1] - last.number, 0)
        return jump > 0 and fall > 2 * on_the_wire + counted.reading.allowed / 20

    def _boundary_between(self, last: Counted, counted: Counted) -> float:
        start = self._boundary.near(counted.heard)
        if start > counted.heard:
            start -= self._period
        return start if start >= last.sent else counted.middle

    def _see_reset(self, counted: Counted, *, first: bool) -> None:
        reset = counted.reading.reset
        if reset > self._period + 1:
            self._end = counted.middle + reset
            return
        self._boundary.see(counted.sent + reset - 1, counted.heard + reset + 1)
        if first:
            self._end = self._boundary.near(counted.middle + reset)
            self._first = self._sent_until(self._end - self._period)
        elif abs(counted.middle + reset - self._end) <= self._period / 2 + 1:
            self._end = self._boundary.near(self._end)

    def _begin(self, start: float) -> None:
        """A window began at ``start``: by evidence, where `_turn` goes by expectation."""
        if abs(start + self._period - self._end) < self._period / 2:
            self._first = self._sent_until(start - self._trip / 2)
        else:
            self._turn(start)
        self._end = self._boundary.near(start + self._period)

    def _turn(self, start: float) -> None:
        if self._best is not None:
          if self._whole:
            self._others.append(self._others_of_window())
          self._first_before = self._first
        self._whole = True
        self._best = None
        self._confirmed = False
        self._first = self._sent_until(start - self._trip / 2)
        self._end = start + self._period

    def _others_of_window(self) -> float:
        seen = self._seen_of_others()
        if seen < _NOISE * self._quota:
            return 0.0
        last = self._last
        if last is not None and last.reading.count >= last.reading.allowed:
            return seen + _YIELD * self._quota
        return seen

    def _forget(self) -> None:
        self._boundary = Boundary(self._period)
        self._others.clear()
        self._best = self._last = None
        self._first = 0

    def _sent_until(self, time: float) -> int:
        later = None
        for moment, sent in reversed(self._marks):
            if moment <= time:
                if later is None:
                    return sent
                share = (time - moment) / (later[0] - moment)
                return sent + round(share * (later[1] - sent))
            later = moment, sent
        return 0 if later is None else later[1]
