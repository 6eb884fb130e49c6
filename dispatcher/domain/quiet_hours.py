"""Quiet hours: a daily time without messages, in the time zone of the person."""

import re
from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

_WINDOW = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class QuietPeriod:
    """A period that is quiet as a whole, or not at all.

    It is from ``begin`` up to, but not including, ``end`` (seconds since the epoch).
    """

    begin: float
    end: float
    quiet: bool


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A daily window of local time; it includes midnight if ``end`` is before ``begin``.

    At a change to or from summer time, the window is longer or shorter by the change. A bound in
    the hour that is skipped counts as the moment of the change. If a bound occurs twice, the
    window begins with the first and ends with the second one, so that no quiet time is lost.
    """

    begin: time
    end: time

    @classmethod
    def parse(cls, text: str) -> "QuietHours":
        """Parse a window such as "21:00-08:00".

        Raises:
            ValueError: the text has another form, or the window is empty.

        """
        found = _WINDOW.fullmatch(text)
        if found is None:
            raise ValueError('must be a window such as "21:00-08:00"')
        begin = time(int(found[1]), int(found[2]))
        end = time(int(found[3]), int(found[4]))
        if begin == end:
            raise ValueError("begins when it ends")
        return cls(begin, end)

    def period_at(self, now: float, zone: tzinfo) -> QuietPeriod:
        """Return the period that includes ``now`` (seconds since the epoch)."""
        today = datetime.fromtimestamp(now, zone).date()
        windows = [self._window(today + _DAY * days, zone) for days in (-2, -1, 0, 1, 2)]
        for begin, end in windows:
            if begin <= now < end:
                return QuietPeriod(begin, end, quiet=True)
        since = max((end for _, end in windows if end <= now), default=now)
        until = min((begin for begin, _ in windows if begin > now), default=now)
        return QuietPeriod(since, until, quiet=False)

    def _window(self, day: date, zone: tzinfo) -> tuple[float, float]:
        """Return the bounds of the window that begins on ``day``."""
        last_day = day if self.end > self.begin else day + _DAY
        begin = _timestamp(day, self.begin, zone, last=False)
        return begin, _timestamp(last_day, self.end, zone, last=True)


def _timestamp(day: date, at: time, zone: tzinfo, *, last: bool) -> float:
    """Return the first or the last time at which it is ``at``, or the change that skips it."""
    local = datetime.combine(day, at, zone)
    first, second = local.timestamp(), local.replace(fold=1).timestamp()
    if first > second:
        return _offset_change(int(second), int(first), zone)
    return second if last else first


def _offset_change(low: int, high: int, zone: tzinfo) -> float:
    """Return the time between ``low`` and ``high`` at which the zone's offset changes."""
    old, moments = _offset(low, zone), range(low, high)
    changed = bisect_left(moments, x=True, key=lambda moment: _offset(moment, zone) != old)
    return float(low + changed)


def _offset(moment: int, zone: tzinfo) -> timedelta | None:
    return datetime.fromtimestamp(moment, UTC).astimezone(zone).utcoffset()
