"""Writes the notices that web servers have not taken yet."""

import sqlite3
from collections.abc import Collection, Sequence

import orjson

from dispatcher.ledgers.statements import SQL, json_list
from dispatcher.ports.notices import NOTICE_SECONDS, Notice


def begin_run(
    connection: sqlite3.Connection, sink: str, end_notices: Sequence[Notice], now: float
) -> Sequence[Notice]:
    """Make the ends of killed runs due, keep those of this run, and return what is due."""
    connection.execute(SQL["make_ends_due"], {"sink": sink, "now": now})
    connection.execute(SQL["remove_old_notices"], (now - NOTICE_SECONDS,))
    for notice in end_notices:
        _put(connection, sink, notice, due=False)
    rows = connection.execute(SQL["due_notices"], (sink,))
    return [Notice(event, of, orjson.loads(facts), at, id_) for event, of, facts, at, id_ in rows]


def add(connection: sqlite3.Connection, sink: str, notice: Notice) -> None:
    """Keep a notice, in the place of one with the same id."""
    _put(connection, sink, notice, due=True)


def remove(connection: sqlite3.Connection, sink: str, ids: Collection[str]) -> None:
    """Remove notices by their ids."""
    connection.execute(SQL["remove_notices"], (sink, json_list(ids)))


def _put(connection: sqlite3.Connection, sink: str, notice: Notice, *, due: bool) -> None:
    facts = orjson.dumps(dict(notice.facts)).decode()
    values = sink, notice.id, notice.event, notice.campaign, notice.at, facts, due
    connection.execute(SQL["put_notice"], values)
