"""Whether a ledger is being copied, has moved, or is the unfinished copy of another one.

Of the two ledgers of a copy at most one can be used at any moment: the old one is marked before the
first row is copied, and the new one is marked as complete after the last one was verified.
"""

import sqlite3
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import orjson

from dispatcher.ledgers.errors import utc
from dispatcher.ports import LedgerError

MoveState = Literal["leaving", "moved", "arriving", "arrived"]
"""Of the old ledger: it is being copied, it has moved. Of the new one: the copy is not complete, it
is complete."""

COLUMNS = "state, copy_id, place, at, progress, last_contact"


class MovedLedgerError(LedgerError):
    """The ledger is not to be used: it has moved, is moving, or is an unfinished copy."""


@dataclass(frozen=True, slots=True)
class Move:
    """The mark of a ledger that was copied or is a copy.

    ``copy_id`` is that of both ledgers. ``place`` is the other one, in words. ``progress`` of an
    unfinished copy is the table that was copied last, and the key of its last row; that of a
    complete one is "opened" and what shows that no run has opened it since. An old ledger has it
    only if it was a copy itself. ``last_contact`` is an id that new contacts exceed.
    """

    state: MoveState
    copy_id: str
    place: str
    at: float
    progress: tuple[str, list[Any]] | None = None
    last_contact: int = 0

    @classmethod
    def of_row(cls, row: tuple[Any, ...] | None) -> Self | None:
        """Return the mark from its row; None if there is none."""
        if row is None:
            return None
        state, copy_id, place, at, progress, last_contact = row
        done = orjson.loads(progress)
        return cls(state, copy_id, place, at, (done[0], done[1]) if done else None, last_contact)

    def row(self) -> tuple[Any, ...]:
        """Return the values of its row, in the order of `COLUMNS`."""
        progress = orjson.dumps(self.progress).decode()
        return (self.state, self.copy_id, self.place, self.at, progress, self.last_contact)

    def now(self, state: MoveState, at: float) -> Self:
        """Return the mark with another state."""
        return replace(self, state=state, at=at)

    def after(self, table: str, key: list[Any]) -> Self:
        """Return the mark with another progress."""
        return replace(self, progress=(table, key))


def refuse_moved(move: Move | None, name: object, *, reads: bool = False) -> None:
    """Raise an error if the ledger ``name`` is not to be used. ``reads``: nothing will be written.

    A ledger that has moved can still be read, an unfinished copy cannot.

    Raises:
        MovedLedgerError: it has this mark.

    """
    if move is None or move.state == "arrived" or (reads and move.state != "arriving"):
        return
    raise MovedLedgerError(
        f"ledger {name}: {_SENTENCES[move.state].format(utc(move.at), move.place)}"
    )


_UNDO = "`dispatcher ledger copy --undo` with the same --from and --to"
_SENTENCES = {
    "leaving": (
        "it is being copied to {1}, since {0}. Run the same `dispatcher ledger copy` again, which "
        f"goes on where it ended; or run {_UNDO}, and this ledger can be used again"
    ),
    "moved": (
        "it has moved to {1}, at {0}, and what was sent since is only there: a run on this ledger "
        "would send it again. Use the other ledger (ledger.url or ledger.path), or copy it to a "
        f"new place. If nothing has used it yet, {_UNDO} takes the move back"
    ),
    "arriving": (
        "it is an unfinished copy of {1}, begun at {0}. Run the same `dispatcher ledger copy` "
        f"again, which goes on where it ended; or run {_UNDO}, which empties this ledger"
    ),
}


def read_move(connection: sqlite3.Connection) -> Move | None:
    """Return the mark of a file; None if it has none."""
    return Move.of_row(connection.execute(f"SELECT {COLUMNS} FROM move").fetchone())  # noqa: S608 - a constant


def write_move(connection: sqlite3.Connection, move: Move | None) -> None:
    """Replace the mark of a file."""
    if move is None:
        connection.execute("DELETE FROM move")
        return
    connection.execute(
        f"INSERT OR REPLACE INTO move (id, {COLUMNS}) VALUES (1, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - a constant
        move.row(),
    )


def check_file(connection: sqlite3.Connection, path: Path, *, reads: bool = False) -> None:
    """Raise `MovedLedgerError` if a ledger's file is not to be used; see `refuse_moved`."""
    refuse_moved(read_move(connection), path, reads=reads)
