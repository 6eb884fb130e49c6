"""The lineage of a ledger for sinks, and how far it has gone out to each."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from dispatcher.ledgers.opening import open_registered
from dispatcher.ledgers.read import lineage_pages
from dispatcher.ledgers.registration import OpenOptions
from dispatcher.ledgers.schema import check_exists
from dispatcher.ledgers.state_recorder import StateRecorder
from dispatcher.ledgers.write import sinks
from dispatcher.ledgers.write.writer import Writer
from dispatcher.ports.sink import Part, SinkPlace
from dispatcher.ports.stored_rows import LineageRow


class SqliteLineageLog:
    """The lineage of all campaigns of a file; see `LineageLog`. Reads delay no writes."""

    def __init__(self, writer: Writer, path: Path) -> None:
        self._writer = writer
        self._path = path

    async def sink_place(self, sink: str, part: Part) -> SinkPlace:
        """Return how far a part has gone out; a sink that is new begins with the first row."""
        return await self._writer.job(partial(sinks.sink_place, sink=sink, part=part))

    async def begin_range(self, sink: str, part: Part, last: str) -> None:
        """Record that the range up to ``last`` is going out."""
        await self._writer.job(partial(sinks.begin_range, sink=sink, part=part, last=last))

    async def end_range(self, sink: str, part: Part, last: str) -> None:
        """Record that the range up to ``last`` has gone out."""
        await self._writer.job(partial(sinks.end_range, sink=sink, part=part, last=last))

    async def lineage_after(
        self, part: Part, cursor: str, limit: int
    ) -> Sequence[tuple[str, LineageRow]]:
        """Return up to ``limit`` rows after a cursor, each with its own cursor."""
        return await asyncio.to_thread(lineage_pages.lineage_after, self._path, part, cursor, limit)

    async def lineage_lag(self, cursor: str) -> int:
        """Return how many new rows there are after a cursor, at most."""
        return await asyncio.to_thread(lineage_pages.lineage_lag, self._path, cursor)


@asynccontextmanager
async def exclusive_lineage_log(
    path: Path, now: float, options: OpenOptions
) -> AsyncIterator[SqliteLineageLog]:
    """Lock the ledger at ``path``, as a run does, and open its lineage for sinks.

    Raises:
        LedgerLockedError: another process has locked it.
        CopiedLedgerError: it is a copy, and ``options`` does not adopt it.
        LedgerError: there is no ledger, or it cannot be used.

    """
    check_exists(path)
    exclusive, _ = open_registered(path, now, options)
    writer = Writer(exclusive.connection, path, lambda _: False)
    recorder = StateRecorder(exclusive.lock, writer)
    try:
        yield SqliteLineageLog(writer, path)
    finally:
        await recorder.close()
        await writer.close()
        exclusive.lock.release()
