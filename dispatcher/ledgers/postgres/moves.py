"""The mark of a database that was copied, or is a copy; see `dispatcher.ledgers.moves`."""

from typing import TYPE_CHECKING, Any

from dispatcher.ledgers.moves import COLUMNS, Move, refuse_moved
from dispatcher.ledgers.postgres.address import PostgresAddress

if TYPE_CHECKING:
    from psycopg import Connection


def read_server_move(connection: "Connection[Any]") -> Move | None:
    """Return the mark of a database; None if it has none."""
    return Move.of_row(connection.execute(f"SELECT {COLUMNS} FROM dispatcher.move").fetchone())  # noqa: S608 - a constant


def write_server_move(connection: "Connection[Any]", move: Move | None) -> None:
    """Replace the mark of a database."""
    if move is None:
        connection.execute("DELETE FROM dispatcher.move")
        return
    connection.execute(
        f"INSERT INTO dispatcher.move ({COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s) "  # noqa: S608 - a constant
        "ON CONFLICT (only_one) DO UPDATE SET state = excluded.state, copy_id = excluded.copy_id, "
        "place = excluded.place, at = excluded.at, progress = excluded.progress, "
        "last_contact = excluded.last_contact",
        move.row(),
    )


def check_moved(
    connection: "Connection[Any]", address: PostgresAddress, *, reads: bool = False
) -> None:
    """Raise `MovedLedgerError` if a database is not to be used; see `refuse_moved`."""
    refuse_moved(read_server_move(connection), address.name, reads=reads)
