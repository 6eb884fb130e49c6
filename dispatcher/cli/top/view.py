"""How a run is shown: at which time, in how many columns, and how urgency and times look."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from dispatcher.cli.tables import printable
from dispatcher.ports.snapshot import Counted, RatesSnapshot

ALARM, CARE, CALM = "bold red", "bold yellow", "green"
"""The styles of what must be mended, of what must be looked at, and of what is well."""
WIDE = 110
"""Columns from which there is room for details."""
NARROW_LINES = 2
"""How many steps, or lines of waits, a narrower terminal shows."""
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class View:
    """How to show it: at which time, in so many columns, and which campaign is selected.

    ``selected`` is the row in the table of campaigns, and 0 the sum; None: no row is marked.
    ``course`` has the rates of earlier looks, the oldest first.
    """

    now: float
    width: int
    selected: int | None = None
    ascii_only: bool = False
    course: Sequence[RatesSnapshot] = ()


def count_words(counts: Counted) -> str:
    """Return counts with their words, the largest first."""
    largest = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{printable(word)} {number:,}" for word, number in largest)


def moment(seconds: float, now: float) -> str:
    """Return a time in UTC: of the day if it is near, else with its date."""
    near = abs(seconds - now) < _DAY / 2
    return time.strftime("%H:%M:%SZ" if near else "%Y-%m-%d %H:%MZ", time.gmtime(seconds))
