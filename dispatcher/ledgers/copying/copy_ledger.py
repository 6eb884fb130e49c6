"""A ledger that is locked for a copy, to read from or to write into."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from dispatcher.ledgers.copying.tables import LedgerTable, Row
from dispatcher.ledgers.moves import Move
from dispatcher.ports.copying import Prepared

BATCH = 5_000
"""Rows that are written in one transaction. A contact may have some 20 kB."""


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Rows of a table in the order of their key, and the place to read on from."""

    rows: list[Row]
    last: list[Any]


@dataclass(frozen=True, slots=True)
class SinkCursor:
    """The text of a cursor of new rows that another ledger has written, and what it means.

    Ids of the lineage are the same in both ledgers: ``last`` is the highest one up to the cursor.
    """

    text: str
    last: int


class CopyLedger(Protocol):
    """A ledger that no run can use, until `close`.

    All methods may raise `LedgerError`: the ledger cannot be used.
    """

    @property
    def name(self) -> str:
        """The place in words, without a secret."""
        ...

    def move(self) -> Move | None:
        """Return its mark."""
        ...

    def mark(self, move: Move | None) -> None:
        """Replace its mark."""
        ...

    def is_new(self) -> bool:
        """Return whether there is no campaign in it, and nothing else."""
        ...

    def clear(self) -> None:
        """Remove all rows."""
        ...

    def was_used(self, move: Move) -> bool:
        """Return whether a run has used it since the copy into it was complete."""
        ...

    def prepare(self, now: float) -> Prepared:
        """Bring contacts that are in flight to where the next run would."""
        ...

    def count(self, table: LedgerTable) -> int:
        """Return the number of rows."""
        ...

    def batches(self, table: LedgerTable, after: Sequence[Any] | None = None) -> Iterator[RowBatch]:
        """Yield the rows after a place, in batches."""
        ...

    def write(self, table: LedgerTable, rows: Sequence[Row], move: Move) -> None:
        """Write rows and the mark in one transaction."""
        ...

    def cursors(self) -> Sequence[SinkCursor]:
        """Return the cursors of sinks that the other ledger cannot read by itself.

        Raises:
            LedgerError: a sink has to go on first.

        """
        ...

    def finish(self, cursors: Sequence[SinkCursor], move: Move) -> None:
        """Do what follows the last row, in one transaction with the mark."""
        ...

    def arrive(self, move: Move, now: float) -> None:
        """Make it usable, and replace its mark."""
        ...

    def last_cursor(self) -> str:
        """Return the cursor of the newest row of the lineage; empty if there is none."""
        ...

    def keep(self) -> None:
        """Show that the copy goes on, if that is due."""
        ...

    def close(self) -> None:
        """Let others use it again."""
        ...
