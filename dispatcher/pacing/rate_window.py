"""Estimates the platform's current rate window from the counts in its answers."""

from collections import deque
from dataclasses import dataclass

from dispatcher.domain.answer import QuotaReading
from dispatcher.pacing.other_usage import OtherUsage
from dispatcher.pacing.sent_history import SentHistory
from dispatcher.pacing.window_timing import WindowLength, WindowPhase
from dispatcher.pacing.window_use import UncountedUse, WindowUse

_STALE_WINDOWS = 2.0
"""Windows without a count after which the estimate is given up."""


@dataclass(frozen=True, slots=True)
class QuotaSample:
    """One answer with the platform's count.

    ``number`` is the position of its request among all that were sent, from 1; ``sent`` and
    ``received`` are monotonic seconds.
    """

    number: int
    sent: float
    received: float
    reading: QuotaReading

    @property
    def middle(self) -> float:
        """The most likely moment at which the platform counted the request."""
        return (self.sent + self.received) / 2

    @property
    def round_trip(self) -> float:
        """Seconds from the request to its answer."""
        return self.received - self.sent


@dataclass(frozen=True, slots=True)
class WindowBudget:
    """What is left of a window.

    ``free`` requests of its ``quota`` are ours, to be sent within ``seconds``. ``rate`` is what
    the quota comes to per second, or the configured rate where the length of the window is not
    known. ``exact_end`` is true if the end is known well enough to raise the rate for it;
    ``alone`` if nobody else uses the quota.
    """

    free: float
    quota: float
    rate: float
    seconds: float
    exact_end: bool
    alone: bool


class RateWindow:
    """The current window: when it ends, how much of it is used, and how much others will use.

    ``quota`` requests per ``length`` seconds are the configured rate, which is never exceeded
    whatever the platform reports. How long its windows are is learnt, and kept when the counts
    end.
    """

    def __init__(self, quota: float, length: float) -> None:
        self.configured_rate = quota / length
        self._length = WindowLength(length)
        self._history = SentHistory()
        self._uncounted = UncountedUse(self._history)
        self._samples: deque[QuotaSample] = deque()
        self._forget()

    def _forget(self) -> None:
        self._phase = WindowPhase(self.length)
        self._others = OtherUsage(self.quota)
        self._samples.clear()
        self._end = 0.0
        self._round_trip = 0.0
        self._first = self._first_before = 0
        self._last: QuotaSample | None = None
        self._best: QuotaSample | None = None
        self._is_whole = False
        self._confirmed = True
        self._use: WindowUse | None = None
        self._uncounted.start = self._history.newest[0] if self._history.newest else None

    @property
    def length(self) -> float:
        """Seconds that a window lasts, as far as is known."""
        return self._length.seconds

    @property
    def quota(self) -> float:
        """Requests per window at the configured rate."""
        return self.configured_rate * self.length

    def record_sent(self, now: float, sent: int) -> None:
        """Record how many requests were sent until now; begin the next window if it is time."""
        self._history.record(now, sent, 2 * self.length)
        if self._last is None:
            self._uncounted.begin(now)
            return
        if now > max(self._end, self._last.received + _STALE_WINDOWS * self.length):
            self._forget()
            return
        while now >= self._closing:
            self._begin_expected(self._phase.boundary_near(self._end))

    def record_refusal(self, now: float, sent: int) -> None:
        """Record that the quota is used up: others took what we did not take of the last window.

        Without counts from the platform nothing else shows what others take.
        """
        self._uncounted.record_refusal(now, self.quota, self.length, sent)

    def record_sample(self, sample: QuotaSample) -> None:
        """Take the platform's count from an answer; one that a later one overtook is ignored."""
        last = self._last
        if last is None:
            self._length.record_reset(sample.reading.reset)
            self._begin_with(sample)
        elif sample.number > last.number:
            self._update(last, sample)

    def budget(self, now: float, sent: int) -> WindowBudget | None:
        """Return what is left, or None if the platform reports no counts."""
        if self._last is None:
            return None
        quota = min(self.quota, self._last.reading.allowed)
        others = self._expected_of_others(now)
        free = quota - self._used(sent) - others
        exact_end = self._phase.width < self.length / 4 and self._length.is_exact
        is_known = self._length.is_observed or self._length.is_exact
        rate = quota / self.length if is_known else self.configured_rate
        alone = others == 0 and is_known
        return WindowBudget(free, quota, rate, self._closing - now, exact_end, alone)

    def last_use(self, now: float, sent: int) -> WindowUse:
        """Return what was used of the last window that is over; before that, of the present one.

        ``sent`` requests were sent until now. This changes nothing, and needs no request: a window
        is over when its time is.
        """
        if self._last is None:
            return self._uncounted.last(now, self.quota, self.length, sent)
        quota, length = self._last.reading.allowed, self.length
        if now < self._closing:
            so_far = self._used(sent)
            others = min(self._used_by_others, so_far)
            return self._use or WindowUse(quota, length, so_far - others, others)
        passed = int((now - self._closing) / length)
        if not passed:
            return self._closing_use(self._closing, sent)
        end = self._closing + passed * length
        return WindowUse(quota, length, self._history.between(end - length, end, sent))

    def _closing_use(self, end: float, sent: int | None = None) -> WindowUse:
        """Return the use of the present window, which ends then."""
        own = max(self._history.until(end, sent) - self._first, 0)
        allowed = self._last.reading.allowed if self._last is not None else self.quota
        return WindowUse(allowed, self.length, own, self._used_by_others)

    def _used(self, sent: int) -> float:
        best = self._best
        if best is None:  # a length that was never observed must not end all requests
            return max(sent - self._first, 0) if self._length.is_observed else 0
        return best.reading.count + max(sent - best.number, 0)

    def _expected_of_others(self, now: float) -> float:
        counted = self._best.middle if self._best else 0.0
        uncounted = (self._end - max(counted, now - 2 * self._round_trip)) / self.length
        time_left = (self._end - now) / self.length
        return self._others.expected(
            self._used_by_others, max(time_left, 0.0), min(max(uncounted, 0.0), 1.0)
        )

    @property
    def _used_by_others(self) -> float:
        """What others took of this window, as far as it was counted."""
        best = self._best
        return max(best.reading.count - (best.number - self._first), 0) if best else 0.0

    @property
    def _closing(self) -> float:
        """The time until which a request has to be sent to be counted in this window."""
        return self._end - self._round_trip / 2

    def _begin_with(self, sample: QuotaSample) -> None:
        """Begin with the first sample, in the middle of a window."""
        if self._phase.length != self.length:
            self._forget()
        self._last = self._best = sample
        self._samples.append(sample)
        self._round_trip = sample.round_trip
        self._record_reset(sample)
        until_end = min(sample.reading.reset, self.length)
        self._end = self._phase.boundary_near(sample.middle + until_end)
        self._first = self._history.until(self._end - self.length - self._phase.width / 2)

    def _update(self, last: QuotaSample, sample: QuotaSample) -> None:
        fallen_from = self._sample_before_fall(sample)
        self._learn_length(fallen_from, sample)
        before = last if self._is_new_window(last, sample) else fallen_from
        if self._phase.length != self.length:
            self._begin_with(sample)
        self._last = sample
        trip = sample.round_trip
        self._round_trip = min(trip, self._round_trip + (trip - self._round_trip) / 64)
        self._samples.append(sample)
        if before is not None:
            self._phase.narrow(before.sent, sample.received)
        self._record_reset(sample)
        if before is not None:
            self._begin_observed(self._boundary_between(before, sample))
        self._choose(sample)

    def _sample_before_fall(self, sample: QuotaSample) -> QuotaSample | None:
        """Return the newest sample that surely was counted before, if its count was higher."""
        samples = self._samples
        while len(samples) > 1 and samples[1].received <= sample.sent:
            samples.popleft()
        before = samples[0] if samples else sample
        if before.received > sample.sent or before.reading.count <= sample.reading.count:
            return None
        samples.clear()
        return before

    def _learn_length(self, before: QuotaSample | None, sample: QuotaSample) -> None:
        reset = sample.reading.reset
        if before is None:
            self._length.record_reset(reset)
            return
        expected = sample.received >= before.sent + before.reading.reset - 1
        boundary = before.sent, sample.received
        self._length.record_boundary(boundary, reset, expected=expected)

    def _choose(self, sample: QuotaSample) -> None:
        """Use this count, unless it may be the last one of the window before."""
        doubted_until = self._end - self.length + self._phase.width
        if (self._confirmed or sample.sent > doubted_until) and sample.number > self._first:
            self._best = sample
        elif self._best is None:
            self._others.amend(sample.reading.count - (sample.number - self._first_before))

    def _is_new_window(self, last: QuotaSample, sample: QuotaSample) -> bool:
        """Return whether a boundary lies between two counts, and not only a change of order."""
        fall = last.reading.count - sample.reading.count
        jump = sample.reading.reset - last.reading.reset
        if sample.sent >= last.received:
            return fall > 0 or jump > 0
        if jump > 1 or fall > 0.75 * sample.reading.allowed:
            return True
        newest = self._history.newest
        in_flight = max(newest[1] - last.number, 0) if newest else 0
        return jump > 0 and fall > 2 * in_flight + sample.reading.allowed / 20

    def _boundary_between(self, last: QuotaSample, sample: QuotaSample) -> float:
        start = self._phase.boundary_near(sample.received)
        if start > sample.received:
            start -= self.length
        return start if start >= last.sent else sample.middle

    def _record_reset(self, sample: QuotaSample) -> None:
        """Learn the phase from the reported seconds, which are rounded in an unknown way."""
        reset = sample.reading.reset
        self._phase.narrow(sample.sent + reset - 1, sample.received + reset + 1)
        end = sample.middle + reset
        if not self._length.is_observed:
            self._end = self._phase.boundary_near(end)
        elif abs(end - self._end) <= self.length / 2 + 1:
            self._end = self._phase.boundary_near(self._end)

    def _begin_observed(self, start: float) -> None:
        """Begin a window that a count shows."""
        if abs(start + self.length - self._end) >= self.length / 2:
            self._begin_expected(start)
        self._first = self._history.until(start - self._round_trip / 2)
        self._confirmed = True
        self._end = self._phase.boundary_near(start + self.length)

    def _begin_expected(self, start: float) -> None:
        """Begin a window because the time of the one before is over."""
        if self._is_whole:
            self._use = self._closing_use(start - self._round_trip / 2)
        if self._best is not None:
            if self._is_whole and self._last is not None:
                reading = self._last.reading
                exhausted = reading.count >= reading.allowed
                self._others.record(self._used_by_others, exhausted=exhausted)
            self._first_before = self._first
        self._is_whole = True
        self._confirmed = False
        self._best = None
        self._first = self._history.until(start - self._round_trip / 2)
        self._end = start + self.length
