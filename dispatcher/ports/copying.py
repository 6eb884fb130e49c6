"""What the copy of a ledger to another place reports."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

ReportCopy = Callable[[tuple[int, int | None], tuple[int, int | None]], None]
"""Takes the rows that were copied, and those that were compared, each with their total."""


def ignore_copy(_copied: tuple[int, int | None], _compared: tuple[int, int | None]) -> None:
    """Show nothing."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was changed in the old ledger before the copy, as the next run would have done it.

    ``released`` contacts were claimed and are ready, ``doubted`` ones were being sent and are in
    doubt. ``parked`` ones were in doubt besides another one of the same conversation or person.
    """

    released: int = 0
    doubted: int = 0
    parked: int = 0


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy did: the rows of each table, and the seconds that this command took.

    ``earlier`` rows had been copied before it began; if ``was_complete``, nothing was left to do.
    ``last_cursor`` is the cursor of the newest row of the lineage in the new ledger.
    """

    rows: Mapping[str, int]
    prepared: Prepared
    seconds: float
    earlier: int
    was_complete: bool
    last_cursor: str
