"""The pace at which requests may leave: a pure schedule, told the time by its caller."""

from dispatcher.domain.answer import QuotaReading
from dispatcher.pacing.rate_window import QuotaSample, RateWindow, WindowBudget

_SHARE = 0.98
"""Share of the quota that is planned for; the rest is for jitter on the wire."""
_SLACK = 0.01
"""Share of a window by which a late slot may be made up; together with _SHARE below 1, so
that no span as long as a window ever sees more requests than its quota."""
_TICKS = 200
"""Times per window that the plan is made anew."""
_LONGEST_TICK = 0.25
_HEARINGS = 10
"""Counts that are taken between two plans; with thousands a second the rest tells no more."""
_HURRY_FROM = 1.2
_HURRY_MOST = 3.0
"""Where so many times the usual pace would be needed, it is gone up to so many times."""


class RateSchedule:
    """Slots for requests, spread evenly over windows whose phase need not be known.

    ``quota`` requests per ``window`` seconds. Without counts from the platform the spacing
    is fixed; with them, what is left of the window is spread over the time left. Every
    method takes the time in seconds that never jump.
    """

    def __init__(self, quota: int, window: float) -> None:
        self._quota = quota
        self._length = window
        self._window = RateWindow(quota, window)
        self._slack = _SLACK * window
        self._tick = min(window / _TICKS, _LONGEST_TICK)
        self._usual = self._spacing = window / (_SHARE * quota)
        self._base = float("-inf")
        self._gate = float("-inf")
        self._held = float("-inf")
        self._plan_at = float("-inf")
        self._listen_at = float("-inf")
        self._sent = 0

    def take(self, now: float) -> int | None:
        """Return the number of a slot that is free now, counted from 1, or None."""
        if now >= self._plan_at:
            self._plan(now)
        gate = self._gate
        if now < gate:
            return None
        earliest = now - self._slack
        self._base = max(earliest, gate)
        self._gate = self._base + self._spacing
        self._sent += 1
        return self._sent

    def due(self, now: float) -> float:
        """Return when it is worth asking again."""
        if now < self._held:
            return self._held
        return min(self._gate, self._plan_at)

    def give_back(self) -> None:
        """Take a slot back whose request was not made."""
        self._sent -= 1
        self._base -= min(self._spacing, self._usual)
        self._gate = max(self._base + self._spacing, self._held)

    def read(self, number: int, sent: float, now: float, reading: QuotaReading) -> None:
        """Take the platform's count from the answer to the request in slot ``number``."""
        if now >= self._listen_at:
            self._listen_at = now + self._tick / _HEARINGS
            self._window.read(QuotaSample(number, sent, now, reading))

    def hold(self, until: float) -> None:
        """Give out no slot before ``until``."""
        self._held = max(self._held, until)
        self._gate = max(self._gate, self._held)

    def held(self, now: float) -> float:
        """Seconds from now on in which no slot is given out."""
        return max(self._held - now, 0.0)

    @property
    def rate(self) -> float:
        """Slots per second at present."""
        return 1 / self._spacing

    def used(self, now: float) -> float:
        """Return the share of the window's quota that is used, from 0 to 1."""
        return min(self._window.used(now, self._sent) / self._quota, 1.0)

    def _plan(self, now: float) -> None:
        self._plan_at = now + self._tick
        self._window.mark(now, self._sent)
        room = self._window.budget(now, self._sent)
        rate = 1 / self._usual if room is None else self._spread(room)
        self._spacing = 1 / rate if rate > 0 else float("inf")
        started = self._base > float("-inf")
        self._gate = max(self._base + self._spacing if started else now, self._held)

    def _spread(self, room: WindowBudget) -> float:
        usual = _SHARE * room.quota / self._length
        reserve = (1 - _SHARE) * room.quota
        needed = (room.free - reserve) / max(room.seconds, self._tick)
        if room.sharp and needed > _HURRY_FROM * usual and room.seconds > self._length / 20:
            return min(needed, _HURRY_MOST * usual)
        if room.alone and room.free > reserve / 3:
            return usual
        return min(needed, usual)
