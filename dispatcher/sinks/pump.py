"""Sends the lineage to one sink as it is written."""

import asyncio
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass

import structlog

from dispatcher.ports import LedgerError
from dispatcher.ports.sink import LineageLog, LineageRange, Part, SinkError, SinkTarget
from dispatcher.sinks.ranges import PARTS, RangeSender
from dispatcher.sinks.retry_pause import RetryPause


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
    """Sends the lineage to a target for as long as it runs.

    A target that fails is tried again for ever; nothing else waits for it.
    """

    def __init__(
        self, name: str, log: LineageLog, target: SinkTarget, options: PumpOptions
    ) -> None:
        self.name = name
        self.state = SinkState()
        self._sender = RangeSender(name, log, target, options.campaigns, options.rows_per_range)
        self._flush_seconds = options.flush_seconds
        self._slow_seconds = options.slow_seconds
        self._pause = RetryPause()
        self._ending = asyncio.Event()
        self._task: asyncio.Future[None] | None = None
        self._logger = structlog.get_logger(sink=name)

    def start(self) -> None:
        """Begin to send, beside everything else."""
        self._task = asyncio.ensure_future(self._run())

    async def measure(self) -> None:
        """Bring the lag of `state` up to date."""
        self.state.lag = await self._sender.lag()

    async def end(self, seconds: float) -> bool:
        """Send what is there, for at most ``seconds``, and end; return whether all has gone out.

        What has not gone out goes out in the next run.
        """
        self._ending.set()
        self._pause.cut_short()
        if self._task is None:
            return True
        done, _ = await asyncio.wait([self._task], timeout=seconds)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._sender.close()
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
                async with asyncio.timeout(self._flush_seconds):
                    await self._ending.wait()

    async def _send_next(self, part: Part) -> bool:
        """Send the next range of a part until the target has it; return False if there is none."""
        while True:
            try:
                sent = await self._send(part)
            except SinkError as error:
                self._fail(str(error))
                await self._pause.wait()
            else:
                break
        if self.state.error:
            self._logger.info("sink.back")
        self.state.error = ""
        self._pause.reset()
        self.state.ranges += sent is not None
        return sent is not None

    def _fail(self, error: str) -> None:
        if error != self.state.error:
            self._logger.warning("sink.failed", detail=error)
        self.state.error = error

    async def _send(self, part: Part) -> LineageRange | None:
        """Send the next range; while a target is silent for long it counts as one that fails."""
        seconds = self._slow_seconds
        slow = f"sink {self.name}: it has not taken a range of rows for {seconds:g} s"
        timer = asyncio.get_running_loop().call_later(seconds, self._fail, slow)
        try:
            return await self._sender.send_next(part)
        finally:
            timer.cancel()
