"""Sends the lineage to one sink as it is written, in ranges that go out once."""

import asyncio
import random
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from dispatcher.domain.growing_pause import GrowingPause
from dispatcher.ports import LedgerError
from dispatcher.ports.sink import LineageLog, LineageRange, Part, SinkError, SinkTarget
from dispatcher.ports.stored_rows import LineageRow

PARTS: tuple[Part, ...] = ("rows", "verdicts")
CLOSE_SECONDS = 2.0
"""How long the connections of a target may take to close."""


@dataclass(frozen=True, slots=True)
class PumpOptions:
    """What goes out to a sink, and how often it is looked at.

    ``campaigns`` limits the rows; empty: all. A range has at most ``rows_per_range`` rows. A target
    that has not taken a range for ``slow_seconds`` counts as one that fails.
    """

    campaigns: Collection[str] = ()
    flush_seconds: float = 5.0
    rows_per_range: int = 5000
    slow_seconds: float = 30.0


@dataclass(slots=True)
class SinkState:
    """The state of a sink: ``lag`` in rows, ``error`` why it does not take the last range."""

    lag: int = 0
    error: str = ""
    ranges: int = 0


class LineagePump:
    """Sends ranges of the lineage to a target, one after the other, for as long as it runs.

    The end of a range is recorded before it goes out, and its arrival afterwards. What happens
    between the two may have reached the target or not: the same range goes out again, under the
    same name, and the target takes it once. A target that fails is tried again for ever; nothing
    else waits for it.
    """

    def __init__(
        self, name: str, log: LineageLog, target: SinkTarget, options: PumpOptions
    ) -> None:
        self.name = name
        self.state = SinkState()
        self._log = log
        self._target = target
        self._options = options
        self._pause = GrowingPause(random.random)
        self._ending = asyncio.Event()
        self._task: asyncio.Future[None] | None = None
        self._logger = structlog.get_logger(sink=name)

    def start(self) -> None:
        """Begin to send, beside everything else."""
        self._task = asyncio.ensure_future(self._run())

    async def measure(self) -> None:
        """Bring the lag of `state` up to date."""
        place = await self._log.sink_place(self.name, "rows")
        self.state.lag = await self._log.lineage_lag(place.cursor)

    async def end(self, seconds: float) -> bool:
        """Send what is there, for at most ``seconds``, and end; return whether all has gone out.

        What has not gone out goes out in the next run.
        """
        self._ending.set()
        if self._task is None:
            return True
        done, _ = await asyncio.wait([self._task], timeout=seconds)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._target.close()
        with suppress(LedgerError):  # it has failed, which ends the run by itself
            await self.measure()
        return bool(done)

    async def _run(self) -> None:
        while True:
            is_last = self._ending.is_set()
            for part in PARTS:
                while await self._send_next(part):
                    pass
            if is_last:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(self._options.flush_seconds):
                    await self._ending.wait()

    async def _send_next(self, part: Part) -> bool:
        """Send the next range of a part; return False if there is none."""
        place = await self._log.sink_place(self.name, part)
        last = place.sending_to
        if last is None:
            limit = self._options.rows_per_range
            page = await self._log.lineage_after(part, place.cursor, limit)
            if not page:
                return False
            last = page[-1][0]
            await self._log.begin_range(self.name, part, last)
        rows = await self._rows(part, place.cursor, last)
        await self._deliver(LineageRange(place.token, part, place.cursor, last, rows))
        await self._log.end_range(self.name, part, last)
        self.state.ranges += 1
        return True

    async def _rows(self, part: Part, first: str, last: str) -> Sequence[LineageRow]:
        """Return the rows of a range, without those of other campaigns."""
        rows: list[LineageRow] = []
        campaigns, limit = self._options.campaigns, self._options.rows_per_range
        while True:
            page = await self._log.lineage_after(part, first, limit)
            inside = [(at, row) for at, row in page if _order(at) <= _order(last)]
            rows += [row for _, row in inside if not campaigns or row.campaign in campaigns]
            if not inside or len(inside) < len(page) or inside[-1][0] == last:
                return rows
            first = inside[-1][0]

    async def _deliver(self, lineage: LineageRange) -> None:
        """Write a range until the target has it."""
        while error := await self._try(lineage):
            self._fail(error)
            await asyncio.sleep(self._pause.next())
        if self.state.error:
            self._logger.info("sink.back")
        self.state.error = ""
        self._pause.reset()

    def _fail(self, error: str) -> None:
        if error != self.state.error:
            self._logger.warning("sink.failed", detail=error)
        self.state.error = error

    async def _try(self, lineage: LineageRange) -> str:
        """Write a range; return why that failed, empty if it did not."""
        seconds = self._options.slow_seconds
        slow = f"sink {self.name}: it has not taken a range of rows for {seconds:g} s"
        timer = asyncio.get_running_loop().call_later(seconds, self._fail, slow)
        try:
            await self._target.write(lineage)
        except SinkError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - a defect of a driver must not end the pump
            return f"sink {self.name}: {type(error).__name__}, which is not expected"
        finally:
            timer.cancel()
        return ""


def _order(cursor: str) -> tuple[float, ...]:
    """Return the numbers of a cursor, which are in the order of the rows."""
    return tuple(map(float, cursor.split()))
