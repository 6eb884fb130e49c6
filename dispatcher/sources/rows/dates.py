"""Parses the dates of the input."""

from datetime import datetime, tzinfo

_BASIC_DATE = 8  # digits of a date without separators: 20261122


def seconds(value: str, zone: tzinfo) -> float:
    """Return an ISO 8601 date as seconds since the epoch.

    A date without an offset is in ``zone``; one without a time is the midnight of that day.

    Raises:
        ValueError: it is not an ISO 8601 date. A number of seconds is not accepted: if it were
            parsed as a date, the result could be wrong by centuries.

    """
    if value.isdigit() and len(value) != _BASIC_DATE:
        raise ValueError("a number is not a date")
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    try:
        return moment.timestamp()
    except OverflowError as error:
        raise ValueError("out of range") from error
