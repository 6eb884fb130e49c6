"""Quiet hours: when nobody wants to hear from a contact centre, by the clock on their own wall."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

_WINDOW = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class QuietPeriod:
    """A stretch of time that is quiet or loud as a whole; its bounds in seconds since the epoch.

    ``begin`` belongs to it, ``end`` does not.
    """

    begin: float
    end: float
    quiet: bool


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A daily window of wall-clock time, over midnight where it ends before it begins.

    Where clocks are changed inside of it, the window is as long as that night is. A bound that
    the wall clock leaps over is taken at the leap; of one that it shows twice, the window begins
    with the first and ends with the second, so that no quiet hour is ever cut short.
    """

    begin: time
    end: time

    @classmethod
    def parse(cls, text: str) -> "QuietHours":
        """Read a window such as "21:00-08:00".

        Raises:
            ValueError: it is not written so, or holds no time.

        """
        found = _WINDOW.fullmatch(text)
        if found is None:
            raise ValueError('must be a window such as "21:00-08:00"')
        begin = time(int(found[1]), int(found[2]))
        end = time(int(found[3]), int(found[4]))
        if begin == end:
            raise ValueError("begins when it ends")
        return cls(begin, end)

    def span(self, now: float, zone: tzinfo) -> QuietPeriod:
        """Return the quiet or the loud time around ``now`` (seconds since the epoch)."""
        today = datetime.fromtimestamp(now, zone).date()
        nights = [self._night(today + _DAY * days, zone) for days in (-2, -1, 0, 1, 2)]
        for begin, end in nights:
            if begin <= now < end:
                return QuietPeriod(begin, end, quiet=True)
        since = max((end for _, end in nights if end <= now), default=now)
        until = min((begin for begin, _ in nights if begin > now), default=now)
        return QuietPeriod(since, until, quiet=False)

    def _night(self, day: date, zone: tzinfo) -> tuple[float, float]:
        """Return the bounds of the window that begins on ``day``."""
        last = day if self.end > self.begin else day + _DAY
        return _instant(day, self.begin, zone, second=False), _instant(
            last, self.end, zone, second=True
        )


def _instant(day: date, at: time, zone: tzinfo, *, second: bool) -> float:
    """Return when the wall clock shows ``at``, or leaps over it; ``second``: for the last time."""
    wall = datetime.combine(day, at, zone)
    before, after = wall.timestamp(), wall.replace(fold=1).timestamp()
    if before > after:
        return _change(int(after), int(before), zone)
    return after if second else before


def _change(low: int, high: int, zone: tzinfo) -> float:
    """Return the moment between the two at which the zone's offset changes."""
    old = _offset(low, zone)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(middle, zone) == old:
            low = middle
        else:
            high = middle
    return float(high)


def _offset(moment: int, zone: tzinfo) -> timedelta | None:
    return datetime.fromtimestamp(moment, UTC).astimezone(zone).utcoffset()
