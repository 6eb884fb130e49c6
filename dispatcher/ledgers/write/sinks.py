"""How far the lineage has gone out to each sink."""

import secrets
import sqlite3

from dispatcher.ledgers.statements import SQL
from dispatcher.ports.sink import Part, SinkPlace


def sink_place(connection: sqlite3.Connection, sink: str, part: Part) -> SinkPlace:
    """Return how far a part has gone out; a sink that is new gets a token."""
    connection.execute(SQL["add_sink"], (sink, part, secrets.token_hex(8)))
    return SinkPlace(*connection.execute(SQL["sink_place"], (sink, part)).fetchone())


def begin_range(connection: sqlite3.Connection, sink: str, part: Part, last: str) -> None:
    """Record that the range up to ``last`` is going out."""
    connection.execute(SQL["begin_range"], (last, sink, part))


def end_range(connection: sqlite3.Connection, sink: str, part: Part, last: str) -> None:
    """Record that the range up to ``last`` has gone out."""
    connection.execute(SQL["end_range"], (last, sink, part))
