"""The heart, and the map of the whole stream: intake, claims, N workers, drain."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from dispatcher.domain.events import Gauges
from dispatcher.domain.status import Step
from dispatcher.engine.delivery import Delivery
from dispatcher.engine.desk import Desk
from dispatcher.engine.intake import NEVER, Intake, Room
from dispatcher.engine.turnstile import Turnstile
from dispatcher.ports import Claim, SourceError

IDLE_SECONDS = 0.25
"""The longest that the feeder sleeps before it looks at the clock and the source again."""
MOST_READY = 1024
"""The most contacts that lie ready for the workers."""


class Ending(StrEnum):
    """How a run ended."""

    DONE = "done"
    """Source and ledger are exhausted, or the run's limit of contacts is reached."""
    DEFERRED = "deferred"
    """Exhausted but for contacts that are due later than the run waits."""
    HALTED = "halted"
    """The run stood still for longer than it waits."""
    DRAINED = "drained"
    """Asked to stop; what was in flight was settled."""
    FAILED = "failed"
    """Stopped because too large a share of the last contacts failed."""
    CUT_OFF = "cut_off"
    """Asked to stop; the drain limit was over before all in flight was settled."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a run goes; times in seconds.

    With ``once`` it ends when source and ledger are exhausted; what is due later than
    ``wait_limit`` after that stays in the ledger.
    """

    workers: int = 64
    once: bool = False
    wait_limit: float = 60.0
    drain_seconds: float = 30.0
    gauge_seconds: float = 10.0


class Pipeline:
    """Streams contacts from the source through the workers until it ends or must drain."""

    def __init__(
        self, intake: Intake, delivery: Delivery, turnstile: Turnstile, desk: Desk, plan: Plan
    ) -> None:
        self._intake = intake
        self._delivery = delivery
        self._turnstile = turnstile
        self._desk = desk
        self._plan = plan
        self._queue: asyncio.Queue[Claim | None] = asyncio.Queue()
        self._asked = asyncio.Event()
        self._failed = False
        self._room = Room(plan.workers, MOST_READY)
        self._busy = 0
        self._finished = 0
        self._wanted = asyncio.Event()

    def stop(self, *, failed: bool = False) -> None:
        """Begin the drain; ``failed``: because too many contacts failed."""
        self._failed = self._failed or failed
        self._asked.set()
        self._wanted.set()

    @property
    def in_flight(self) -> int:
        """Contacts that a worker holds."""
        return self._busy

    async def run(self) -> Ending:
        """Run to the end.

        Raises:
            LedgerError: the ledger is lost; the daemon must stop.
            SourceError: the source cannot be read; what was in flight was settled.

        """
        try:
            async with asyncio.TaskGroup() as group:
                helpers = [
                    group.create_task(self._turnstile.halts.run(), name="halts"),
                    group.create_task(self._tell_gauges(), name="gauges"),
                ]
                workers = [
                    group.create_task(self._work(), name=f"worker-{number}")
                    for number in range(self._plan.workers)
                ]
                try:
                    ending = await self._feed()
                except SourceError:
                    await self._drain(workers)
                    raise
                if not await self._drain(workers):
                    ending = Ending.CUT_OFF
                for helper in helpers:
                    helper.cancel()
        except BaseExceptionGroup as group_error:
            raise _first(group_error) from group_error
        finally:
            await self._intake.close()
        await self._gauges()
        return Ending.FAILED if self._failed else ending

    # feeding

    async def _feed(self) -> Ending:
        """Keep the workers supplied until the run is over."""
        await self._intake.start()
        deadline = NEVER
        while not self._asked.is_set():
            if self._room_left() > 0:
                claims = await self._intake.claims(self._room_left())
                for claim in claims:
                    self._queue.put_nowait(claim)
                if not claims and self._idle():
                    now = self._desk.clock.time()
                    deadline = min(deadline, now + self._plan.wait_limit)
                    ending = self._over(now, deadline)
                    if ending is not None:
                        return ending
                if claims:
                    continue
            if self._halted_too_long():
                return Ending.HALTED
            if self._held_too_long():
                return Ending.DEFERRED
            await self._pause()
        return Ending.DRAINED

    def _room_left(self) -> int:
        size = self._room.size(self._desk.clock.monotonic(), self._finished)
        return 0 if self._queue.qsize() > size // 2 else size - self._queue.qsize()

    def _idle(self) -> bool:
        return self._read() and self._queue.empty() and not self._busy

    def _read(self) -> bool:
        return self._intake.exhausted or self._intake.limited

    def _over(self, now: float, deadline: float) -> Ending | None:
        due = self._intake.next_due
        if self._intake.limited:
            return Ending.DONE
        if not self._plan.once or due <= now:
            return None
        if due == NEVER:
            return Ending.DONE
        if due <= deadline:
            return None
        return Ending.HALTED if self._turnstile.halts.reason else Ending.DEFERRED

    def _halted_too_long(self) -> bool:
        halts = self._turnstile.halts
        if not self._plan.once or halts.reason is None:
            return False
        return self._desk.clock.monotonic() - halts.since > self._plan.wait_limit

    def _held_too_long(self) -> bool:
        """Tell whether the platform holds all requests for longer than the run waits."""
        return self._plan.once and self._turnstile.pacer.held(Step.CHECK) > self._plan.wait_limit

    async def _pause(self) -> None:
        """Wait until the workers want more, something is due, or the source has a batch."""
        seconds = IDLE_SECONDS
        if self._room_left() > 0:
            due = self._intake.next_due - self._desk.clock.time()
            seconds = min(seconds, max(0.001, due))
            if not self._read():
                await self._intake.more(min(seconds, 0.02))
                return
        self._wanted.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wanted.wait()

    # working

    async def _work(self) -> None:
        while True:
            claim = await self._queue.get()
            if claim is None:
                return
            self._busy += 1
            try:
                await self._delivery.deliver(claim)
            finally:
                self._busy -= 1
                self._finished += 1
            if self._queue.qsize() <= self._plan.workers or not self._busy:
                self._wanted.set()

    async def _drain(self, workers: list[asyncio.Task[None]]) -> bool:
        """Stop the intake, give back what lies ready, let the workers finish; False if cut off."""
        self._turnstile.drain()
        ready: list[int] = []
        while not self._queue.empty():
            claim = self._queue.get_nowait()
            if claim is not None:
                ready.append(claim.id)
        if ready:
            await self._desk.ledger.release(ready)
        for _ in workers:
            self._queue.put_nowait(None)
        _, unfinished = await asyncio.wait(workers, timeout=self._plan.drain_seconds)
        for worker in unfinished:
            worker.cancel()
        return not unfinished

    # telling

    async def _tell_gauges(self) -> None:
        while True:
            await self._gauges()
            await self._desk.clock.sleep(self._plan.gauge_seconds)

    async def _gauges(self) -> None:
        now = self._desk.clock.time()
        backlog = await self._desk.ledger.backlog(now)
        pacer = self._turnstile.pacer
        self._desk.events.emit(
            Gauges(
                in_flight=self._busy,
                backlog=backlog.due + backlog.later,
                oldest_due=max(0.0, now - backlog.oldest_due) if backlog.oldest_due else 0.0,
                pace=pacer.pace,
                quota_used=pacer.quota_used,
            )
        )


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error of a group: one fault ends the run, the rest follows from it."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
