"""The lineage of a ledger for sinks, and how far it has gone out to each."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from dispatcher.ledgers.postgres.address import PostgresAddress, ledger_error
from dispatcher.ledgers.postgres.availability import Availability
from dispatcher.ledgers.postgres.migrations import check_schema
from dispatcher.ledgers.postgres.pages import lineage_after, lineage_lag
from dispatcher.ledgers.postgres.reader import PostgresReader
from dispatcher.ledgers.postgres.text import escaped
from dispatcher.ports.sink import Part, SinkPlace
from dispatcher.ports.stored_rows import LineageRow

if TYPE_CHECKING:
    from psycopg import Connection

T = TypeVar("T")

_ADD_SINK = """
    INSERT INTO dispatcher.sink (name, part, token, cursor) VALUES (%s, %s, %s, '')
    ON CONFLICT DO NOTHING
"""
_SINK = "SELECT token, cursor, sending_to FROM dispatcher.sink WHERE name = %s AND part = %s"
_BEGIN = "UPDATE dispatcher.sink SET sending_to = %s WHERE name = %s AND part = %s"
_END = "UPDATE dispatcher.sink SET cursor = %s, sending_to = NULL WHERE name = %s AND part = %s"


class JobWriter(Protocol):
    """What commits jobs."""

    def job(self, run: "Callable[[Connection[Any]], T]") -> "asyncio.Future[T]":
        """Call ``run`` within a transaction."""
        ...


class PostgresLineageLog:
    """The lineage of all campaigns of a database; see `LineageLog`. Reads delay no writes."""

    def __init__(self, writer: JobWriter, reader: PostgresReader) -> None:
        self._writer, self._reader = writer, reader

    async def sink_place(self, sink: str, part: Part) -> SinkPlace:
        """Return how far a part has gone out; a sink that is new begins with the first row."""
        return await self._writer.job(partial(_sink_place, sink=sink, part=part))

    async def begin_range(self, sink: str, part: Part, last: str) -> None:
        """Record that the range up to ``last`` is going out."""
        await self._writer.job(partial(_move, statement=_BEGIN, values=(last, escaped(sink), part)))

    async def end_range(self, sink: str, part: Part, last: str) -> None:
        """Record that the range up to ``last`` has gone out."""
        await self._writer.job(partial(_move, statement=_END, values=(last, escaped(sink), part)))

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


@asynccontextmanager
async def operator_lineage_log(address: PostgresAddress) -> AsyncIterator[PostgresLineageLog]:
    """Open the lineage for sinks, beside runs or without one.

    Raises:
        LedgerError: there is no ledger of this version, or it cannot be used.

    """
    reader = PostgresReader(address, Availability(address))
    try:
        if not await reader.read(partial(check_schema, address=address)):
            raise ledger_error(
                address,
                "there is no ledger in this database; check ledger.url, or run a campaign first",
            )
        yield PostgresLineageLog(_DirectWriter(reader), reader)
    finally:
        await reader.close()


class _DirectWriter:
    """Writes without a run: each job is a transaction of its own."""

    def __init__(self, reader: PostgresReader) -> None:
        self._reader = reader

    def job(self, run: "Callable[[Connection[Any]], T]") -> "asyncio.Future[T]":
        """Call ``run`` within a transaction."""

        def in_transaction(connection: "Connection[Any]") -> T:
            with connection.transaction():
                return run(connection)

        return self._reader.read(in_transaction)


def _sink_place(connection: "Connection[Any]", sink: str, part: Part) -> SinkPlace:
    connection.execute(_ADD_SINK, (escaped(sink), part, secrets.token_hex(8)))
    row = connection.execute(_SINK, (escaped(sink), part)).fetchone()
    assert row is not None  # noqa: S101 - it was added
    return SinkPlace(*row)


def _move(connection: "Connection[Any]", statement: str, values: Sequence[Any]) -> None:
    connection.execute(statement, values)
