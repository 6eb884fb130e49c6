"""Estimating the platform's fixed rate window from the counts in its answers."""

from collections import deque
from dataclasses import dataclass

from dispatcher.domain.answer import QuotaReading

_DRIFT = 1e-4
"""Share of the time gone by that two clocks may have drifted apart."""
_STALE = 2.0
"""Windows without a count after which the estimate is given up."""
_REMEMBERED = 3
"""Windows over which the use of other programs is averaged."""
_NOISE = 0.03
"""Share of the quota below which others' use is taken for a wrong count of ours."""
_YIELD = 0.15
"""Share of the quota that is left to others in addition where they had too little."""
_TAPER = 14.0
"""What is kept for others is let go in the last one of so many parts of the window."""


@dataclass(frozen=True, slots=True)
class QuotaSample:
    """One answer that told the platform's count.

    ``number`` is the request's place among all that were sent, from 1; ``sent`` and
    ``heard`` are seconds on the caller's clock.
    """

    number: int
    sent: float
    heard: float
    reading: QuotaReading

    @property
    def middle(self) -> float:
        """The likeliest moment at which the platform counted the request."""
        return (self.sent + self.heard) / 2


@dataclass(frozen=True, slots=True)
class WindowBudget:
    """What is left of a window.

    ``free`` requests of its ``quota`` are for us; it is open to what is sent in the next
    ``seconds``. ``sharp``: that end is known well enough to hurry for it. ``alone``: nobody
    else uses the quota, and the window is no longer than configured.
    """

    free: float
    quota: int
    seconds: float
    sharp: bool
    alone: bool


class WindowPhase:
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
        return round((time - (self._low + self._high) / 2) / self._period) * self._period


class OtherUsage:
    """What other programs with the same client take of each window of ``quota`` requests."""

    def __init__(self, quota: int) -> None:
        self._noise = _NOISE * quota
        self._extra = _YIELD * quota
        self._past: deque[float] = deque(maxlen=_REMEMBERED)

    def record(self, seen: float, *, exhausted: bool) -> None:
        """Note what they took of a window; where nothing was left they may have wanted more."""
        wanted = seen + self._extra if exhausted else seen
        self._past.append(wanted if seen >= self._noise else 0.0)

    def amend(self, seen: float) -> None:
        """Note that they took more of the window noted last."""
        if self._past and seen >= self._noise:
            self._past[-1] = max(self._past[-1], seen)

    def to_come(self, seen: float, left: float, unseen: float) -> float:
        """Return what they are expected to take until the window ends.

        ``seen`` is what they took so far; ``left`` is the share of the window that is left,
        ``unseen`` the same from the moment of that count on. What they took of every window
        is kept for them almost to the end, be it a burst that comes late; beyond that
        their even share of the time.
        """
        if not self._past:
            return seen / max(1 - unseen, 0.1) * unseen if seen >= self._noise else 0.0
        average = sum(self._past) / len(self._past)
        least = min(self._past) if len(self._past) > 1 else 0.0
        kept = (least - seen) * min(left * _TAPER, 1.0) + (average - least) * unseen
        return min(max(average - seen, 0.0), max(kept, average * unseen))


class RateWindow:
    """The current window: when it ends, how much is used, how much others will take.

    At most ``quota`` requests per ``period`` seconds are assumed, whatever is told.
    """

    def __init__(self, quota: int, period: float) -> None:
        self._quota = quota
        self._period = period
        self._marks: deque[tuple[float, int]] = deque()
        self._forget()

    def _forget(self) -> None:
        self._boundary = WindowPhase(self._period)
        self._others = OtherUsage(self._quota)
        self._end = 0.0
        self._trip = 0.0
        self._first = self._first_before = 0
        self._last: QuotaSample | None = None
        self._best: QuotaSample | None = None
        self._whole = self._long = False
        self._confirmed = True

    def mark(self, now: float, sent: int) -> None:
        """Note how many requests were sent; go to the next window when this one is over."""
        marks = self._marks
        marks.append((now, sent))
        while marks[0][0] < now - 2 * self._period:
            marks.popleft()
        if self._last is None:
            return
        if now > max(self._end, self._last.heard + _STALE * self._period):
            self._forget()
            return
        while now >= self._closing:
            self._turn(self._boundary.near(self._end))

    def read(self, counted: QuotaSample) -> None:
        """Take the platform's count from an answer."""
        last = self._last
        if last is None:
            self._begin_with(counted)
        elif counted.number > last.number:
            self._go_on(last, counted)

    def budget(self, now: float, sent: int) -> WindowBudget | None:
        """Return what is left, or None where the platform does not tell."""
        if self._last is None:
            return None
        quota = min(self._quota, self._last.reading.allowed)
        others = self._others_to_come(now)
        free = quota - self._used(sent) - others
        sharp = self._boundary.width < self._period / 4
        alone = others == 0 and not self._long
        return WindowBudget(free, quota, self._closing - now, sharp, alone)

    def used(self, now: float, sent: int) -> float:
        """Return the requests counted in this window; ours of one period if it is not told."""
        known = self._last is not None
        return self._used(sent) if known else sent - self._sent_until(now - self._period)

    def _used(self, sent: int) -> float:
        best = self._best
        if best is None:
            return max(sent - self._first, 0)
        return best.reading.count + max(sent - best.number, 0)

    def _others_to_come(self, now: float) -> float:
        counted = self._best.middle if self._best else 0.0
        unseen = (self._end - max(counted, now - 2 * self._trip)) / self._period
        left = (self._end - now) / self._period
        return self._others.to_come(self._seen, max(left, 0.0), min(max(unseen, 0.0), 1.0))

    @property
    def _seen(self) -> float:
        """What others took of this window, as far as it was counted."""
        best = self._best
        return max(best.reading.count - (best.number - self._first), 0) if best else 0.0

    @property
    def _closing(self) -> float:
        """Until when a request has to leave that is to count in this window."""
        return self._end - self._trip / 2

    def _begin_with(self, counted: QuotaSample) -> None:
        self._last = counted
        self._trip = counted.heard - counted.sent
        self._see_reset(counted)
        if not self._long:
            self._end = self._boundary.near(counted.middle + counted.reading.reset)
        self._first = self._sent_until(self._end - self._period - self._boundary.width / 2)
        self._best = counted

    def _go_on(self, last: QuotaSample, counted: QuotaSample) -> None:
        self._last = counted
        trip = counted.heard - counted.sent
        self._trip = min(trip, self._trip + (trip - self._trip) / 64)
        if dropped := self._is_drop(last, counted):
            self._boundary.see(last.sent, counted.heard)
        self._see_reset(counted)
        if dropped:
            self._begin(self._boundary_between(last, counted))
        self._choose(counted)

    def _choose(self, counted: QuotaSample) -> None:
        """Go by this count, unless it may be the last one of the window before."""
        doubted_until = self._end - self._period + self._boundary.width
        if (self._confirmed or counted.sent > doubted_until) and counted.number > self._first:
            self._best = counted
        elif self._best is None:
            self._others.amend(counted.reading.count - (counted.number - self._first_before))

    def _is_drop(self, last: QuotaSample, counted: QuotaSample) -> bool:
        """Whether a boundary lies between two counts, and not just a change of order."""
        fall = last.reading.count - counted.reading.count
        jump = counted.reading.reset - last.reading.reset
        if counted.sent >= last.heard:
            return fall > 0 or jump > 0
        if jump > 1 or fall > 0.75 * counted.reading.allowed:
            return True
        on_the_wire = max(self._marks[-1][1] - last.number, 0) if self._marks else 0
        return jump > 0 and fall > 2 * on_the_wire + counted.reading.allowed / 20

    def _boundary_between(self, last: QuotaSample, counted: QuotaSample) -> float:
        start = self._boundary.near(counted.heard)
        if start > counted.heard:
            start -= self._period
        return start if start >= last.sent else counted.middle

    def _see_reset(self, counted: QuotaSample) -> None:
        """Learn from the seconds told, which are whole and rounded in an unknown way."""
        reset = counted.reading.reset
        if reset > self._period + 1:
            self._long = True
            self._end = counted.middle + reset
            return
        self._boundary.see(counted.sent + reset - 1, counted.heard + reset + 1)
        if abs(counted.middle + reset - self._end) <= self._period / 2 + 1:
            self._end = self._boundary.near(self._end)

    def _begin(self, start: float) -> None:
        """Begin a window by evidence, where `_turn` goes by expectation."""
        if abs(start + self._period - self._end) >= self._period / 2:
            self._turn(start)
        self._first = self._sent_until(start - self._trip / 2)
        self._confirmed = True
        if not self._long:
            self._end = self._boundary.near(start + self._period)

    def _turn(self, start: float) -> None:
        if self._best is not None:
            if self._whole and self._last is not None:
                told = self._last.reading
                self._others.record(self._seen, exhausted=told.count >= told.allowed)
            self._first_before = self._first
        self._whole = True
        self._confirmed = self._long = False
        self._best = None
        self._first = self._sent_until(start - self._trip / 2)
        self._end = start + self._period

    def _sent_until(self, time: float) -> int:
        later: tuple[float, int] | None = None
        for moment, sent in reversed(self._marks):
            if moment <= time:
                if later is None:
                    return sent
                share = (time - moment) / (later[0] - moment)
                return sent + round(share * (later[1] - sent))
            later = moment, sent
        return 0 if later is None else later[1]
