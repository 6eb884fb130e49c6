"""Rows alike: which rows of the input are expected to meet the same state of their sessions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import log

YOUNGEST_SECONDS = 900.0
"""The upper bound of the first age bucket; that of every next one is `AGE_FACTOR` times as much."""
AGE_FACTOR = 4.0
LAST_BUCKET = 8
"""Ages of about half a year and more are in one bucket."""
FUTURE_BUCKET = -1
"""The bucket of a date that is still to come."""

ParseDate = Callable[[str], float]
"""Returns a date as seconds since the epoch.

Raises:
    ValueError: the text is not a date.

"""


@dataclass(frozen=True, slots=True)
class RowLikeness:
    """What rows alike have in common: the values of ``columns``, and about the same age.

    ``age_column`` is the column with the date from which the age counts; empty: the age does not
    matter. A row without a readable date is of unknown age.
    """

    columns: tuple[str, ...] = ()
    age_column: str = ""
    parse_date: ParseDate = float

    def cell(self, row: Mapping[str, str], now: float) -> tuple[str | int | None, ...]:
        """Return what the row has in common with rows alike; ``now`` is seconds since the epoch."""
        values = [row.get(column, "").strip().casefold() for column in self.columns]
        return (*values, self._age_bucket(row.get(self.age_column, ""), now))

    def _age_bucket(self, date: str, now: float) -> int | None:
        if not date:
            return None
        try:
            age = now - self.parse_date(date.strip())
        except ValueError:
            return None
        return age_bucket(age)


def age_bucket(seconds: float) -> int:
    """Return the number of an age's bucket: their bounds grow by a constant factor."""
    if seconds < 0:
        return FUTURE_BUCKET
    if seconds < YOUNGEST_SECONDS:
        return 0
    return min(LAST_BUCKET, 1 + int(log(seconds / YOUNGEST_SECONDS, AGE_FACTOR)))
