"""The notices of a ledger that web servers have not taken yet."""

from collections.abc import Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from dispatcher.ledgers.postgres.text import dumps, escaped, loads
from dispatcher.ledgers.postgres.writer import PostgresWriter
from dispatcher.ports.notices import NOTICE_SECONDS, Notice

if TYPE_CHECKING:
    from psycopg import Connection

_MAKE_ENDS_DUE = """
    UPDATE dispatcher.notice SET number = nextval(
        pg_get_serial_sequence('dispatcher.notice', 'number')
    ), at = %s, due = true
    WHERE notice.sink = %s AND NOT notice.due
"""
_REMOVE_OLD = "DELETE FROM dispatcher.notice WHERE at < %s"
_DUE = """
    SELECT json_agg(json_build_array(event, campaign, facts, at, id) ORDER BY number)::text
    FROM dispatcher.notice WHERE sink = %s AND due
"""
_PUT = """
    INSERT INTO dispatcher.notice (sink, id, event, campaign, at, facts, due)
    VALUES (%s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (sink, id) DO UPDATE SET
        number = excluded.number, event = excluded.event, campaign = excluded.campaign,
        at = excluded.at, facts = excluded.facts, due = excluded.due
"""
_REMOVE = "DELETE FROM dispatcher.notice WHERE sink = %s AND id = ANY (%s::text[])"


class PostgresNoticeLog:
    """The notices of all campaigns of a database; see `NoticeLog`."""

    def __init__(self, writer: PostgresWriter) -> None:
        self._writer = writer

    async def begin_run(
        self, sink: str, end_notices: Sequence[Notice], now: float
    ) -> Sequence[Notice]:
        """Begin a run with a sink; return what it has not taken of earlier runs."""
        return await self._writer.job(
            partial(_begin_run, sink=sink, end_notices=end_notices, now=now)
        )

    async def add(self, sink: str, notice: Notice) -> None:
        """Keep a notice until it is removed. One with the same id is replaced."""
        await self._writer.job(partial(_put, sink=sink, notice=notice, due=True))

    async def remove(self, sink: str, ids: Collection[str]) -> None:
        """Remove notices that were taken or given up."""
        await self._writer.job(partial(_remove, sink=sink, ids=ids))


def _begin_run(
    connection: "Connection[Any]", sink: str, end_notices: Sequence[Notice], now: float
) -> Sequence[Notice]:
    connection.execute(_MAKE_ENDS_DUE, (now, escaped(sink)))
    connection.execute(_REMOVE_OLD, (now - NOTICE_SECONDS,))
    for notice in end_notices:
        _put(connection, sink, notice, due=False)
    row = connection.execute(_DUE, (escaped(sink),)).fetchone()
    found = loads(row[0]) if row and row[0] else []
    return [Notice(event, of, loads(facts), at, id_) for event, of, facts, at, id_ in found]


def _put(connection: "Connection[Any]", sink: str, notice: Notice, *, due: bool) -> None:
    texts = map(escaped, (sink, notice.id, notice.event, notice.campaign))
    connection.execute(_PUT, (*texts, notice.at, dumps(dict(notice.facts)), due))


def _remove(connection: "Connection[Any]", sink: str, ids: Collection[str]) -> None:
    connection.execute(_REMOVE, (escaped(sink), [escaped(id_) for id_ in ids]))
