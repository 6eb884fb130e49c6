"""The lineage of a ledger for sinks, and how far it has gone out to each."""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from dispatcher.ledgers.postgres.pages import lineage_after, lineage_lag
from dispatcher.ledgers.postgres.reader import PostgresReader
from dispatcher.ledgers.postgres.text import escaped
from dispatcher.ports.sink import Part, SinkError, SinkPlace
from dispatcher.ports.stored_rows import LineageRow

if TYPE_CHECKING:
    from psycopg import Connection

T = TypeVar("T")

_BOTH: Sequence[Part] = ("rows", "verdicts")
_PARTS = """
    SELECT part, token, cursor, sending_to, origin, daemon_id FROM dispatcher.sink
    WHERE name = %s ORDER BY part FOR UPDATE
"""
_ADD_PARTS = """
    INSERT INTO dispatcher.sink (name, part, token, cursor)
    VALUES (%s, 'rows', %s, ''), (%s, 'verdicts', %s, '') ON CONFLICT DO NOTHING
"""
_SENDERS = """
    SELECT name || ' on ' || host FROM dispatcher.daemon
    WHERE id = ANY (%s::bigint[]) AND NOT fenced AND lease_until > clock_timestamp()
"""
_TAKE = "UPDATE dispatcher.sink SET daemon_id = %s WHERE name = %s"
_BEGIN = """
    UPDATE dispatcher.sink SET sending_to = %s WHERE name = %s AND part = %s AND daemon_id = %s
"""
_END = """
    UPDATE dispatcher.sink SET cursor = %s, sending_to = NULL
    WHERE name = %s AND part = %s AND daemon_id = %s
"""


class JobWriter(Protocol):
    """What commits jobs."""

    def job(self, run: "Callable[[Connection[Any]], T]") -> "asyncio.Future[T]":
        """Call ``run`` within a transaction."""
        ...


class PostgresLineageLog:
    """The lineage of all campaigns of a database; see `LineageLog`. Reads delay no writes.

    Runs with different campaigns may have the same sink, and the rows of all campaigns go to it.
    The first run that looks has the sink, as long as its lease lasts; then another one takes it.
    """

    def __init__(self, writer: JobWriter, reader: PostgresReader, me: int) -> None:
        self._writer, self._reader, self._me = writer, reader, me

    async def sink_place(self, sink: str, part: Part) -> SinkPlace:
        """Return how far a part has gone out, and take the sink if no other run has it."""
        return await self._writer.job(
            partial(_sink_place, sink=escaped(sink), part=part, me=self._me)
        )

    async def begin_range(self, sink: str, part: Part, last: str) -> None:
        """Record that the range up to ``last`` is going out.

        Raises:
            SinkError: another run has taken the sink over.

        """
        await self._move(_BEGIN, sink, part, last)

    async def end_range(self, sink: str, part: Part, last: str) -> None:
        """Record that the range up to ``last`` has gone out.

        Raises:
            SinkError: another run has taken the sink over.

        """
        await self._move(_END, sink, part, last)

    async def _move(self, statement: str, sink: str, part: Part, last: str) -> None:
        values = (last, escaped(sink), part, self._me)
        if not await self._writer.job(partial(_moved, statement=statement, values=values)):
            raise SinkError(
                f"sink {sink}: another run has taken it over, because this one did not renew its "
                "lease in time"
            )

    async def lineage_after(
        self, part: Part, cursor: str, limit: int
    ) -> Sequence[tuple[str, LineageRow]]:
        """Return up to ``limit`` rows after a cursor, each with its own cursor."""
        return await self._reader.read(
            partial(lineage_after, part=part, cursor=cursor, limit=limit)
        )

    async def lineage_lag(self, cursor: str) -> int:
        """Return how many new rows there are after a cursor, at most."""
        return await self._reader.read(partial(lineage_lag, cursor=cursor))


def _sink_place(connection: "Connection[Any]", sink: str, part: Part, me: int) -> SinkPlace:
    parts = connection.execute(_PARTS, (sink,)).fetchall()
    if {name for name, *_ in parts} != set(_BOTH):
        connection.execute(_ADD_PARTS, (sink, secrets.token_hex(8), sink, secrets.token_hex(8)))
        parts = connection.execute(_PARTS, (sink,)).fetchall()
    place = next(SinkPlace(*values) for name, *values, _ in parts if name == part)
    others = [has for *_, has in parts if has is not None and has != me]
    if others and (senders := connection.execute(_SENDERS, (others,)).fetchall()):
        return replace(place, sender=senders[0][0])
    if any(has != me for *_, has in parts):
        connection.execute(_TAKE, (me, sink))
    return place


def _moved(connection: "Connection[Any]", statement: str, values: Sequence[Any]) -> bool:
    return connection.execute(statement, values).rowcount == 1
