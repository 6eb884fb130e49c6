"""Begins a new era of a ledger that was restored or copied: its server counts other transactions.

The rows of the lineage are in the order of their transactions. A server that a dump was restored on
may count fewer transactions than the rows have, and would hide them from readers until it has
counted as many. So all rows that are there come first, after those that were copied from a file,
and the cursors of sinks follow.
"""

from typing import TYPE_CHECKING, Any

from dispatcher.ledgers.postgres.pages import COPIED_X, cursor_text, place_of
from dispatcher.ledgers.postgres.statements import fetch_all

if TYPE_CHECKING:
    from psycopg import Connection

RESTORED_X = "1"
"""The transaction of rows that were restored: none of a server has this number."""

_SINKS = "SELECT name, cursor FROM dispatcher.sink WHERE part = 'rows' AND cursor <> ''"
_FIRST_AFTER = """
    SELECT COALESCE(
        (SELECT MIN(id) FROM dispatcher.lineage WHERE (x, id) > (%(x)s::text::xid8, %(id)s)) - 1,
        (SELECT MAX(id) FROM dispatcher.lineage), 0
    )
"""
_MOVE = """
    UPDATE dispatcher.sink SET cursor = %(cursor)s, sending_to = NULL
    WHERE part = 'rows' AND name = %(name)s
"""


_SEND_AGAIN = """
    UPDATE dispatcher.sink SET sending_to = NULL
    WHERE part = 'rows' AND name = %(name)s AND sending_to ~ '-'
"""


def begin_era(connection: "Connection[Any]", old: str, new: str) -> None:
    """Let all rows come before those of later transactions; old cursors of readers are refused.

    A sink gets rows again that it may have got in another order; it does not miss any.
    """
    for name, cursor in fetch_all(connection, _SINKS):
        place = place_of(connection, cursor, old)
        if place.x == COPIED_X:
            connection.execute(_SEND_AGAIN, {"name": name})
            continue
        ((last,),) = fetch_all(connection, _FIRST_AFTER, place._asdict())
        values = {"name": name, "cursor": cursor_text(new, RESTORED_X, int(last))}
        connection.execute(_MOVE, values)
    connection.execute("UPDATE dispatcher.lineage SET x = '1' WHERE x > '1'")
    connection.execute("UPDATE dispatcher.store SET era = %s", (new,))
