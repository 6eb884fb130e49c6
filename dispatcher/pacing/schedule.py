"""The rate at which requests may be sent: as configured, and as the platform's counts allow."""

from dispatcher.domain.answer import QuotaReading
from dispatcher.domain.events import QuotaUse
from dispatcher.pacing.rate_window import QuotaSample, RateWindow, WindowBudget

_SHARE = 0.985
"""Share of the quota that is planned for: at least 98% remain after delays of timers. The rest is
for jitter on the network, which moves requests into the next window."""
_SLACK = 0.01
"""Share of a window that may be caught up at once after a delay; together with _SHARE below 1, so
that no span as long as a window has more requests than its quota."""
_SLACK_WINDOWS = 4.0
"""Configured windows: the slack of a longer window is not larger, since its length may be an error
of the platform's answers."""
_PLANS_PER_WINDOW = 200
_LONGEST_PLAN_SECONDS = 0.25
_SAMPLES_PER_PLAN = 10
"""Counts that are used between two plans; with thousands a second more of them say no more."""
_RAISE_FROM = 1.2
_RAISE_LIMIT = 3.0
"""If this multiple of the usual rate is needed to use a window up, up to that multiple is used."""
_RAISE_UNTIL = 0.05
"""Share of the window, at its end, in which the rate is not raised any more."""

_LONGEST_STOP = 2.0
"""Configured windows without a request, after which one is permitted whatever was reported: from
its answer follows whether the platform still refuses."""


class RateSchedule:
    """How far apart requests are, so that ``quota`` per ``window`` seconds are never exceeded.

    Without counts from the platform the distance is fixed; with them, what is left of the
    platform's window is spread over the time left. Times are monotonic seconds.
    """

    def __init__(self, quota: float, window: float) -> None:
        self._window = RateWindow(quota, window)
        self._spacing = self._shortest = window / (_SHARE * quota)
        self._longest = _LONGEST_STOP * window
        self._longest_slack = _SLACK_WINDOWS * window
        self._set_slack()
        self._plan_at = float("-inf")
        self._sample_at = float("-inf")
        self._sent = 0

    def spacing(self, now: float) -> float:
        """Return the seconds between two requests."""
        if now >= self._plan_at:
            self._plan(now)
        return self._spacing

    @property
    def plan_seconds(self) -> float:
        """Seconds after which the spacing is planned again."""
        return min(self._window.length / _PLANS_PER_WINDOW, _LONGEST_PLAN_SECONDS)

    @property
    def rate(self) -> float:
        """Requests per second at present."""
        return 1 / self._spacing

    def count_sent(self) -> int:
        """Count a request; return its number, from 1."""
        self._sent += 1
        return self._sent

    def record(self, number: int, sent: float, now: float, reading: QuotaReading) -> None:
        """Take the platform's count from the answer to the request with that number."""
        if now >= self._sample_at:
            self._sample_at = now + self.plan_seconds / _SAMPLES_PER_PLAN
            self._window.record_sample(QuotaSample(number, sent, now, reading))
            self._set_slack()

    def uncount_sent(self) -> None:
        """Uncount a request that was not made."""
        self._sent -= 1

    def record_refusal(self, now: float) -> None:
        """Record that the platform has refused a request because the quota is used up."""
        self._window.record_refusal(now, self._sent)

    def quota_use(self, now: float) -> QuotaUse:
        """Return what was used of the quota in the last whole window, by whom."""
        use = self._window.last_use(now, self._sent)
        per_minute = 60.0 / use.seconds
        return QuotaUse(use.quota * per_minute, use.own * per_minute, use.others * per_minute)

    def _set_slack(self) -> None:
        """Follow the length of the window, which changes with the platform's counts alone."""
        self.slack = _SLACK * min(self._window.length, self._longest_slack)
        """Seconds of delay that may be caught up at once."""
        self.capacity = self.slack + self._shortest
        """Seconds of requests that may be sent at once: the slack, and one request."""

    def _plan(self, now: float) -> None:
        self._window.record_sent(now, self._sent)
        self._plan_at = now + self.plan_seconds
        budget = self._window.budget(now, self._sent)
        rate = _SHARE * self._window.configured_rate if budget is None else self._spread(budget)
        self._spacing = 1 / max(rate, 1 / self._longest)

    def _spread(self, budget: WindowBudget) -> float:
        """Return the rate that uses what is left of the window."""
        usual = _SHARE * budget.rate
        reserve = (1 - _SHARE) * budget.quota
        needed = (budget.free - reserve) / max(budget.seconds, self.plan_seconds)
        too_late = budget.seconds <= _RAISE_UNTIL * self._window.length
        if budget.exact_end and needed > _RAISE_FROM * usual and not too_late:
            return min(needed, _RAISE_LIMIT * usual)
        if budget.alone and budget.free > reserve / 3:
            return usual
        return min(needed, usual)
