"""Pages of the lineage for sinks: new rows, and rows that were verified later.

The cursor of a new row is its id. That of a verified row is the time of its verdict and its id.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from dispatcher.ledgers.read.pages import lineage_row
from dispatcher.ledgers.read.reader import read_connection
from dispatcher.ledgers.statements import MAINTENANCE, SQL
from dispatcher.ports.sink import Part
from dispatcher.ports.stored_rows import LineageRow


def lineage_after(
    path: Path, part: Part, cursor: str, limit: int
) -> Sequence[tuple[str, LineageRow]]:
    """Return up to ``limit`` rows after a cursor, each with its own.

    Raises:
        LedgerError: the ledger cannot be read.

    """
    with read_connection(path) as connection:
        rows = [lineage_row(dict(row)) for row in _page(connection, part, cursor, limit)]
    return [(_cursor(part, row), row) for row in rows]


def lineage_lag(path: Path, cursor: str) -> int:
    """Return how many ids of lineage rows there are after a cursor of new rows.

    Ids of rows that were pruned before the oldest one are not counted.
    """
    with read_connection(path) as connection:
        oldest, newest = connection.execute(MAINTENANCE["lineage_id_range"]).fetchone()
        last = _last_id(connection, cursor)
    return max(0, int(newest) - max(last, int(oldest) - 1))


def _page(
    connection: sqlite3.Connection, part: Part, cursor: str, limit: int
) -> Sequence[sqlite3.Row]:
    if part == "rows":
        values = (_last_id(connection, cursor), None, limit)
        return connection.execute(SQL["lineage_page"], values).fetchall()
    at, id_ = cursor.split() if cursor else ("0", "0")
    return connection.execute(SQL["verdict_page"], (float(at), int(id_), limit)).fetchall()


def _last_id(connection: sqlite3.Connection, cursor: str) -> int:
    """Return the id that a cursor of new rows means: also one that another ledger has written."""
    if not cursor or cursor.isdecimal():
        return int(cursor or 0)
    (at,) = connection.execute(SQL["moved_cursor"], (cursor,)).fetchone()
    return int(at)


def _cursor(part: Part, row: LineageRow) -> str:
    return str(row.id) if part == "rows" else f"{row.verified_at!r} {row.id}"
