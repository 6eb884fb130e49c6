"""Figures in words, the same at a terminal and on the page of a run."""

from dispatcher.domain.status import Status

OUTCOMES = (Status.NOTIFIED, Status.OPENED, Status.SKIPPED, Status.REJECTED, Status.PARKED)
"""The final statuses, in the order in which they are shown."""

ROW_REJECTED = "rejected row"
"""The name for people of a rejected row: it never became a contact."""

STATUS_NAMES = {Status.REJECTED: "refused"}
"""Names of statuses for people, where the status itself could be mistaken for something else."""

_MINUTE = 60
_HOUR = 3600


def plural(number: int, noun: str) -> str:
    """Return a number with its noun: 1 row, 2,000 rows."""
    return f"{number:,} {noun}{'s' if number != 1 else ''}"


def contacts(number: int) -> str:
    """Return a number of contacts: 1 contact, 2,000 contacts."""
    return plural(number, "contact")


def duration(seconds: float) -> str:
    """Return a duration: 12 s, 3:05 min, 2:03 h."""
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}:{whole % _MINUTE:02} min"
    return f"{whole // _HOUR}:{whole % _HOUR // _MINUTE:02} h"


def status_name(status: Status) -> str:
    """Return the name of a status for people; JSON and metrics have the status itself."""
    return STATUS_NAMES.get(status, str(status))
