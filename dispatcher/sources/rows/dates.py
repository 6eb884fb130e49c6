"""Parses the dates of the input: those that programs export by default, or a format of the user."""

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from email.utils import parsedate_to_datetime
from zoneinfo import ZoneInfo

_PER_SECOND = {10: 1, 13: 1000, 16: 1_000_000, 19: 1_000_000_000}
"""Units of a second by the number of digits, from September 2001 to the year 2286."""
_DAY_AND_HOUR = 10

_ISO = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d|\d{8}|\d{4}-W\d\d-\d)"
    r"(?:[Tt ](?P<time>\d\d(?::\d\d(?::\d\d)?|\d\d(?:\d\d)?)?)"
    r"(?:(?<=\d\d:\d\d:\d\d|.[Tt ]\d{6})[.,](?P<fraction>\d{1,9}))?"
    r"(?: ?(?P<zone>[Zz]|[+-]\d\d(?::?\d\d)?|[A-Za-z][\w/+-]*))?)?",
    re.ASCII,
)
_USUAL = re.compile(
    r"....-..-..(?:[T ]..:..(?::..(?:\.\d{3}(?:\d{3})?)?)?(?:Z|[+-](?:0.|1[0-3]):[0-5].)?)?",
    re.ASCII,
).fullmatch
"""The places of the signs in the forms that nearly all dates have.

`datetime.fromisoformat` checks the digits. It takes forms that are not dates here, too, and the
test for digits would take twice the time.
"""
_NUMERIC = re.compile(
    r"(?P<first>\d{1,2})(?P<separator>[./-])(?P<second>\d{1,2})(?P=separator)(?P<year>\d{4})"
    r"(?:,? (?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second_of_minute>\d\d)(?:\.0+)?)?"
    r"(?: ?(?P<half>[AaPp])[Mm])?)?",
    re.ASCII,
)
_MAIL = re.compile(
    r"(?:[A-Z][a-z]{2}, )?\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d(?::\d\d)? (?:[+-]\d{4}|GMT)",
    re.ASCII,
)
_EPOCH = re.compile(r"(?P<whole>\d+)(?:\.(?P<fraction>\d+))?", re.ASCII)
_NO_ZONE_NAME = re.compile(r"(?<!%)(?:%%)*%Z")
_SAMPLES = (
    datetime(2031, 12, 24, 13, 45, 56, tzinfo=UTC),
    datetime(2029, 3, 8, 1, 2, 3, tzinfo=UTC),
)
_WIDEST_OFFSET = timedelta(hours=14)
_NONEXISTENT = "has a day or a time that does not exist"
_NOON = 12
_MONTHS = 12


class DateParser:
    """Parses dates. One without an offset is in ``zone``; one without a time is its midnight.

    It accepts what warehouses, programs and spreadsheets export by default: ISO 8601 with a blank
    or a T, up to nine digits of a fraction and an offset, ``Z``, ``UTC`` or the name of a time
    zone, with or without a blank before it; seconds, milliseconds, microseconds or nanoseconds
    since the epoch; the dates of mail headers (RFC 5322); and day, month and year in numbers if
    they can only be read in one way. A value in ``custom`` is read before all of these.
    """

    def __init__(self, zone: tzinfo, custom: str | None = None) -> None:
        self._zone = zone
        self._custom = custom

    def seconds(self, value: str) -> float:
        """Return a date as seconds since the epoch.

        Raises:
            ValueError: it is not a date, or can be read in two ways; the message continues the
                sentence "the column ...", and never has the value.

        """
        try:
            # Without another call for nearly all dates: one per row costs much of its time.
            if self._custom is None and _USUAL(value) is not None:
                try:
                    moment = datetime.fromisoformat(value)
                except ValueError:
                    moment = _builtin(value)
            else:
                moment = self._custom_date(value) or _builtin(value)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=self._zone)
            return moment.timestamp()
        except OverflowError as error:
            raise ValueError("has a date that is out of range") from error

    def _custom_date(self, value: str) -> datetime | None:
        if self._custom is None:
            return None
        try:
            return datetime.strptime(value, self._custom)  # noqa: DTZ007 - the caller adds a zone
        except ValueError:
            return None


def check_date_format(value: str) -> None:
    """Check a format of `datetime.strptime`.

    Raises:
        ValueError: it does not give a whole date, or has the name of a time zone, which is read
            and then ignored; the message says so.

    """
    if _NO_ZONE_NAME.search(value):
        raise ValueError("has %Z, whose names are not unambiguous; use %z for an offset")
    for sample in _SAMPLES:
        try:
            text = sample.strftime(value)
            parsed = datetime.strptime(text, value)  # noqa: DTZ007 - only its figures count
        except (ValueError, re.error) as error:
            raise ValueError(f"is not a format of dates ({error})") from None
        if parsed.date() != sample.date():
            raise ValueError("has no year, month and day")
        if parsed.hour not in (0, sample.hour):
            raise ValueError("has hours from 1 to 12 without %p")


def _builtin(value: str) -> datetime:
    for pattern, parse in _PARSERS:
        if match := pattern.fullmatch(value):
            return parse(match)
    raise ValueError(
        "is not a date that is recognised: write 2026-11-22 18:00:00+01:00, or set "
        "source.date_format"
    )


def _iso(match: re.Match[str]) -> datetime:
    day, clock, fraction, zone = match.group("date", "time", "fraction", "zone")
    try:
        moment = datetime.combine(date.fromisoformat(day), time.fromisoformat(clock or "00"))
    except ValueError:
        raise ValueError(_NONEXISTENT) from None
    if fraction is not None:
        moment = moment.replace(microsecond=_microseconds(fraction))
    return moment if zone is None else moment.replace(tzinfo=_zone(zone))


def _microseconds(fraction: str) -> int:
    """Return the digits of a fraction of a second as microseconds; more digits are dropped."""
    return int(fraction[:6].ljust(6, "0"))


def _zone(name: str) -> tzinfo:
    if name.upper() in {"Z", "UTC", "GMT"}:
        return UTC
    if name[0] in "+-":
        return _offset(name)
    if "/" in name:
        with suppress(ValueError, OSError, KeyError):
            return ZoneInfo(name)
    raise ValueError(
        "has a date with an abbreviation or name of a time zone that is not unambiguous: "
        "write the offset, such as +01:00"
    )


def _offset(name: str) -> tzinfo:
    digits = name[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    if offset > _WIDEST_OFFSET:
        raise ValueError("has an offset from UTC that does not exist")
    return timezone(-offset if name[0] == "-" else offset)


def _numeric(match: re.Match[str]) -> datetime:
    first, second, year = int(match["first"]), int(match["second"]), int(match["year"])
    if first != second and first <= _MONTHS and second <= _MONTHS:
        raise ValueError(
            "has a date whose first number can be the day or the month: "
            'set source.date_format, such as "%d/%m/%Y"'
        )
    month, day = (first, second) if first <= _MONTHS else (second, first)
    hour, half = int(match["hour"] or 0), (match["half"] or "").lower()
    if half and not 1 <= hour <= _NOON:
        raise ValueError(_NONEXISTENT)
    if half:
        hour = hour % _NOON + (_NOON if half == "p" else 0)
    minute, second = int(match["minute"] or 0), int(match["second_of_minute"] or 0)
    try:
        return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - the caller adds a zone
    except ValueError:
        raise ValueError(_NONEXISTENT) from None


def _epoch(match: re.Match[str]) -> datetime:
    whole, fraction = match.group("whole", "fraction")
    per_second = _PER_SECOND.get(len(whole))
    if per_second is None or whole.startswith("0") or _is_day_and_hour(whole):
        raise ValueError(
            "has a number that is neither seconds, milliseconds nor microseconds since 1970; "
            "for dates of a spreadsheet, format the cells as text such as 2026-11-22 18:00"
        )
    seconds, rest = divmod(int(whole), per_second)
    microseconds = rest * 1_000_000 // per_second
    if fraction and per_second == 1:
        microseconds = _microseconds(fraction)
    return datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=microseconds)


def _is_day_and_hour(digits: str) -> bool:
    """Return True for ten digits that can be a day and an hour of this century."""
    if len(digits) != _DAY_AND_HOUR or not digits.startswith("20"):
        return False
    try:
        datetime.strptime(digits, "%Y%m%d%H")  # noqa: DTZ007 - only whether it is one counts
    except ValueError:
        return False
    return True


def _mail(match: re.Match[str]) -> datetime:
    try:
        return parsedate_to_datetime(match.group())
    except ValueError:
        raise ValueError(_NONEXISTENT) from None


_PARSERS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], datetime]], ...] = (
    (_ISO, _iso),
    (_EPOCH, _epoch),
    (_NUMERIC, _numeric),
    (_MAIL, _mail),
)
