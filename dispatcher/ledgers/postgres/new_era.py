"""Begins a new era of a ledger that was restored or copied: its server counts other transactions.

The rows of the lineage are in the order of their transactions. A server that a dump was restored on
may count fewer transactions than the rows have, and would hide them from readers until it has
counted as many. So all present rows get transaction 1: they come after rows that were copied from a
file, which have 0, and before all later ones. The cursors of sinks are changed to match.
"""

import secrets
from typing import TYPE_CHECKING, Any

from dispatcher.ledgers.postgres.pages import COPIED_X, cursor_text, place_of
from dispatcher.ledgers.postgres.statements import execute, fetch_all

if TYPE_CHECKING:
    from psycopg import Connection

RESTORED_X = "1"
"""The transaction of rows that were restored: none of a server has this number."""

_SINKS = "SELECT name, part, cursor FROM dispatcher.sink"
_FIRST_AFTER = """
    SELECT COALESCE(
        (SELECT MIN(id) FROM dispatcher.lineage WHERE (x, id) > (%(x)s::text::xid8, %(id)s)) - 1,
        (SELECT MAX(id) FROM dispatcher.lineage), 0
    )
"""
_BEGIN_AGAIN = """
    UPDATE dispatcher.sink
    SET token = %(token)s, origin = %(cursor)s, cursor = %(cursor)s, sending_to = NULL
    WHERE name = %(name)s AND part = %(part)s
"""
_NEW_ERA = """
    UPDATE dispatcher.store SET era = %(new)s, earlier_eras = trim(earlier_eras || ' ' || era)
"""


def begin_era(connection: "Connection[Any]", old: str, new: str) -> None:
    """Let all rows come before those of later transactions; old cursors of readers are refused.

    A sink gets rows again that it may have got in another order; it does not miss any. It has a new
    token: what its target has got since the backup has gone out under the old one.
    """
    for name, part, cursor in fetch_all(connection, _SINKS):
        is_place = part == "rows" and cursor
        values = {
            "name": name,
            "part": part,
            "cursor": _cursor_in(connection, cursor, old, new) if is_place else cursor,
            "token": secrets.token_hex(8),
        }
        execute(connection, _BEGIN_AGAIN, values)
    connection.execute("UPDATE dispatcher.lineage SET x = '1' WHERE x > '1'")
    connection.execute(_NEW_ERA, {"new": new})


def _cursor_in(connection: "Connection[Any]", cursor: str, old: str, new: str) -> str:
    """Return the cursor of the new era that has no row before it which is after ``cursor``."""
    place = place_of(connection, cursor, old)
    if place.x == COPIED_X:
        return cursor
    ((last,),) = fetch_all(connection, _FIRST_AFTER, place._asdict())
    return cursor_text(new, RESTORED_X, int(last))
