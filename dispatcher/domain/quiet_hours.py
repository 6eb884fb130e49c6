"""Quiet hours: times and days without messages, in the time zone of the person."""

import re
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

_WINDOW = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|24:00)")
_HOLIDAY = re.compile(r"(?:(\d{4})-)?(\d{2})-(\d{2})")
_DAY_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_EVERY_DAY = frozenset(range(7))
_DAY_MINUTES = 24 * 60
_WEEK_MINUTES = 7 * _DAY_MINUTES
_SHORTEST_NAME = 3
_LEAP_YEAR = 2024
_MOST_DAYS = 400
"""How far the end of a quiet time is looked for."""
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
class QuietWindow:
    """A window of local time that begins on the days of the week ``days`` (0 is Monday).

    It goes over midnight if ``end`` is not after ``begin``; 00:00 to 00:00 is a whole day.
    """

    begin: time
    end: time
    days: frozenset[int] = _EVERY_DAY

    @classmethod
    def parse(cls, text: str) -> "QuietWindow":
        """Parse a window such as "21:00-08:00", "mon-fri 20:00-09:00" or "sat,sun".

        Raises:
            ValueError: the text has another form, or the window is empty.

        """
        *days, hours = text.split()
        if not days and hours[0].isalpha():
            days, hours = [hours], "00:00-24:00"
        found = _WINDOW.fullmatch(hours)
        if found is None or len(days) > 1:
            raise ValueError(_FORM)
        begin = time(int(found[1]), int(found[2]))
        end = time(int(found[3] or 0), int(found[4] or 0))
        if begin == end and found[3]:
            raise ValueError("begins when it ends")
        return cls(begin, end, _parse_days(days[0]) if days else _EVERY_DAY)

    def bounds(self, day: date, zone: tzinfo) -> tuple[float, float]:
        """Return when the window that begins on ``day`` begins and ends."""
        last_day = day if self.end > self.begin else day + _DAY
        begin = _timestamp(day, self.begin, zone, last=False)
        return begin, _timestamp(last_day, self.end, zone, last=True)

    def minutes(self) -> set[int]:
        """Return the minutes of a week that are in the window."""
        begin = self.begin.hour * 60 + self.begin.minute
        length = (self.end.hour * 60 + self.end.minute - begin) % _DAY_MINUTES or _DAY_MINUTES
        starts = [day * _DAY_MINUTES + begin for day in self.days]
        return {(s + minute) % _WEEK_MINUTES for s in starts for minute in range(length)}


_FORM = (
    'must be a window such as "21:00-08:00", with days of the week '
    '("mon-fri 20:00-09:00") or of days alone ("sat,sun"); ";" separates windows'
)
_WHOLE_DAY = QuietWindow(time(), time())


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Windows of local time, and whole days: holidays, by year, month and day.

    A holiday without a year is one of every year. At a change to or from summer time, a window is
    longer or shorter by the change. A bound in the hour that is skipped counts as the moment of
    the change. If a bound occurs twice, the window begins with the first and ends with the second
    one, so that no quiet time is lost.
    """

    windows: tuple[QuietWindow, ...]
    holidays: frozenset[tuple[int | None, int, int]] = frozenset()

    @classmethod
    def parse(cls, text: str, holidays: Iterable[str] = ()) -> "QuietHours":
        """Parse windows separated by ";", and holidays such as "2026-12-25" or "12-25".

        Raises:
            ValueError: the text has another form, or the windows leave no time for a message.

        """
        windows = tuple(QuietWindow.parse(part) for part in text.split(";") if part.strip())
        if text and not windows:
            raise ValueError(_FORM)
        if windows and len(set[int]().union(*(w.minutes() for w in windows))) == _WEEK_MINUTES:
            raise ValueError("leaves no time for a message")
        return cls(windows, frozenset(map(parse_holiday, holidays)))

    def period_at(self, now: float, zone: tzinfo) -> QuietPeriod:
        """Return the period that includes ``now`` (seconds since the epoch)."""
        today = datetime.fromtimestamp(now, zone).date()
        windows = [window for days in (-2, -1, 0, 1, 2) for window in self._on(today, days, zone)]
        begins = [begin for begin, end in windows if begin <= now < end]
        if begins:
            return QuietPeriod(min(begins), self._end_of_quiet(now, today, zone), quiet=True)
        since = max((end for _, end in windows if end <= now), default=now)
        until = min((begin for begin, _ in windows if begin > now), default=now + 86_400.0)
        return QuietPeriod(since, until, quiet=False)

    def _end_of_quiet(self, now: float, today: date, zone: tzinfo) -> float:
        """Return when the windows that include ``now``, and those that follow at once, end."""
        end = now
        for days in range(-2, _MOST_DAYS):
            windows = self._on(today, days, zone)
            for begin, window_end in sorted(windows):
                if begin <= end < window_end:
                    end = window_end
            if days > 0 and _is_before(end, today + _DAY * days, zone):
                break
        return end

    def _on(self, today: date, days: int, zone: tzinfo) -> list[tuple[float, float]]:
        """Return the bounds of the windows that begin so many days after ``today``."""
        day = today + _DAY * days
        found = [w.bounds(day, zone) for w in self.windows if day.weekday() in w.days]
        if not self.holidays.isdisjoint(
            ((day.year, day.month, day.day), (None, day.month, day.day))
        ):
            found.append(_WHOLE_DAY.bounds(day, zone))
        return found


def parse_holiday(text: str) -> tuple[int | None, int, int]:
    """Return the year (None for every year), the month and the day.

    Raises:
        ValueError: the text is not a date such as "2026-12-25" or "12-25".

    """
    found = _HOLIDAY.fullmatch(text.strip())
    problem = 'must have dates such as "2026-12-25", or "12-25" for every year'
    if found is None:
        raise ValueError(problem)
    year = int(found[1]) if found[1] else None
    try:
        day = date(year or _LEAP_YEAR, int(found[2]), int(found[3]))
    except ValueError:
        raise ValueError(problem) from None
    return year, day.month, day.day


def _parse_days(text: str) -> frozenset[int]:
    days: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        begin, end = _day(first), _day(last or first)
        days.update((begin + step) % 7 for step in range((end - begin) % 7 + 1))
    return frozenset(days)


def _day(name: str) -> int:
    found = [i for i, day in enumerate(_DAY_NAMES) if day.startswith(name.casefold())]
    if len(name) < _SHORTEST_NAME or not found:
        raise ValueError(_FORM)
    return found[0]


def _is_before(moment: float, day: date, zone: tzinfo) -> bool:
    return moment < datetime.combine(day, time(), zone).timestamp()


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
