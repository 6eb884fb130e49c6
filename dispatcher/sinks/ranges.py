"""Sends ranges of the lineage to one sink, so that each arrives once."""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress

from dispatcher.ports.sink import LineageLog, LineageRange, Part, SinkError, SinkPlace, SinkTarget
from dispatcher.ports.stored_rows import LineageRow

PARTS: tuple[Part, ...] = ("rows", "verdicts")

CLOSE_SECONDS = 2.0
"""How long the connections of a target may take to close."""


class RangeSender:
    """Sends one range after the other to a target.

    The end of a range is recorded before it goes out, and its arrival afterwards. What happens
    between the two may have reached the target or not: the same range goes out again, under the
    same name, and the target takes it once. ``campaigns`` limits the rows; empty: all. A range has
    at most ``rows_per_range`` rows.

    While another run sends to the sink, nothing goes out from here, and ``sender`` has its name.
    """

    def __init__(
        self,
        name: str,
        log: LineageLog,
        target: SinkTarget,
        campaigns: Collection[str] = (),
        rows_per_range: int = 5000,
    ) -> None:
        self.name = name
        self._log = log
        self._target = target
        self._campaigns = campaigns
        self._limit = rows_per_range
        self.sender = ""

    async def lag(self) -> int:
        """Return how many new rows have not gone out, at most."""
        place = await self._place("rows")
        return await self._log.lineage_lag(place.cursor)

    async def send_next(self, part: Part) -> LineageRange | None:
        """Send the next range of a part; return None if there is none, or another run sends.

        A range that fails is the next one again.

        Raises:
            SinkError: it is not certain that the target has it.

        """
        place = await self._place(part)
        if place.sender:
            return None
        last = place.sending_to
        if last is None:
            page = await self._log.lineage_after(part, place.cursor, self._limit)
            if not page:
                return None
            last = page[-1][0]
            await self._log.begin_range(self.name, part, last)
        rows = await self._rows(part, place.cursor, last)
        lineage = LineageRange(place.token, part, place.cursor, last, rows, place.origin)
        await self._write(lineage)
        await self._log.end_range(self.name, part, last)
        return lineage

    async def close(self) -> None:
        """Close the target's connections, which may take `CLOSE_SECONDS`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._target.close()

    async def _place(self, part: Part) -> SinkPlace:
        place = await self._log.sink_place(self.name, part)
        self.sender = place.sender
        return place

    async def _rows(self, part: Part, first: str, last: str) -> Sequence[LineageRow]:
        """Return the rows of a range, without those of other campaigns."""
        rows: list[LineageRow] = []
        while True:
            page = await self._log.lineage_after(part, first, self._limit)
            inside = [(at, row) for at, row in page if _order(at) <= _order(last)]
            rows += [row for _, row in inside if self._is_wanted(row)]
            if not inside or len(inside) < len(page) or inside[-1][0] == last:
                return rows
            first = inside[-1][0]

    def _is_wanted(self, row: LineageRow) -> bool:
        return not self._campaigns or row.campaign in self._campaigns

    async def _write(self, lineage: LineageRange) -> None:
        try:
            await self._target.write(lineage)
        except SinkError:
            raise
        except Exception as error:
            # a defect of a driver is tried again as well; its text may have a row
            problem = f"sink {self.name}: {type(error).__name__}, which is not expected"
            raise SinkError(problem) from error


def _order(cursor: str) -> tuple[float, ...]:
    """Return the numbers of a cursor, which are in the order of the rows.

    A cursor is an id, or the time of a verdict and an id; or in a database era, transaction and id.
    Rows that were copied into a database have ids, and come before all others.
    """
    numbers = cursor.split()
    if len(numbers) > 1:
        return tuple(map(float, numbers))
    _, x, id_ = cursor.split("-") if "-" in cursor else ("", 0, cursor)
    return int(x), int(id_ or 0)
