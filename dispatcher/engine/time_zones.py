"""Time zones by the names that people and their exports write."""

import re
from datetime import UTC, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

_OFFSET = re.compile(r"(?:UTC|GMT)?\s*([+\u2212-])(\d{1,2})(?::?([0-5]\d))?", re.IGNORECASE)
_UTC_NAMES = frozenset({"utc", "z", "gmt", "etc/utc"})
_NO_ZONES = frozenset({"Factory", "localtime", "posixrules"})
"""Files among those of the zones that say nothing about a person."""
_OTHER_CLOCKS = ("posix/", "right/")
"""Folders of the same zones; those of the second count leap seconds."""
_KEY = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)*")
_EAST, _WEST = timedelta(hours=14), timedelta(hours=-12)
"""The largest offsets in use."""


@lru_cache(maxsize=4096)
def find_zone(name: str) -> tzinfo | None:
    """Return the zone with this name, or None if there is none.

    It is a name of the tz database ("Europe/Berlin"), one of Windows ("W. Europe Standard Time", by
    the mapping of Unicode's CLDR), or an offset ("+02:00", "UTC-5"). Letter case does not matter.
    """
    plain = " ".join(name.split()).casefold()
    if plain in _UTC_NAMES:
        return UTC
    if offset := _OFFSET.fullmatch(plain):
        return _fixed(offset)
    return _read(name) or _read(_key(plain))


def _key(plain: str) -> str:
    """Return the name of the tz database for a name in lower case; empty if there is none."""
    windows = plain.replace("daylight time", "standard time")
    return _names().get(plain.replace(" ", "_")) or _windows_names().get(windows, "")


def _read(key: str) -> tzinfo | None:
    """Return the zone with exactly this name."""
    if not _KEY.fullmatch(key) or key in _NO_ZONES or key.startswith(_OTHER_CLOCKS):
        return None
    try:
        return ZoneInfo(key)
    except (KeyError, ValueError, OSError):
        return None


def require_zone(name: str) -> tzinfo:
    """Return the zone with this name, which the settings have checked.

    Raises:
        LookupError: there is none.

    """
    zone = find_zone(name)
    if zone is None:
        raise LookupError(name)
    return zone


def _fixed(offset: re.Match[str]) -> timezone | None:
    sign, hours, minutes = offset.groups()
    value = timedelta(hours=int(hours), minutes=int(minutes or 0))
    value = value if sign == "+" else -value
    return timezone(value) if _WEST <= value <= _EAST else None


@lru_cache(maxsize=1)
def _names() -> dict[str, str]:
    """Return the names of the tz database by their lower case."""
    return {name.casefold(): name for name in available_timezones() - _NO_ZONES}


@lru_cache(maxsize=1)
def _windows_names() -> dict[str, str]:
    """Return the names of the tz database by the lower case of Windows's names."""
    from tzlocal.windows_tz import win_tz  # noqa: PLC0415 - 20 ms, and few runs need it

    return {windows.casefold(): name for windows, name in win_tz.items()}
