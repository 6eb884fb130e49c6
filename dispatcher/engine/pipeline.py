"""The heart, and the map of the whole stream: intake, claims, N workers, drain."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from dispatcher.domain.status import Step
from dispatcher.engine.campaign_run import CampaignRun
from dispatcher.engine.clients.pool import ClientPool
from dispatcher.engine.completion import NEVER
from dispatcher.engine.run_options import PipelineOptions, RunOutcome
from dispatcher.engine.scheduling import PriorityScheduler, Scheduler, StrideScheduler
from dispatcher.ports import Batch, Claim, SourceError

IDLE_SECONDS = 0.25
"""The longest that the feeder sleeps before it looks at the clock and the source again."""
BATCH_SECONDS = 0.02
"""The longest that it waits for a batch of a source before it looks at the rest."""
_TAKE, _STOP = True, False
"""What a worker is told: take the next contact, or end."""


class Pipeline:
    """Streams contacts from the sources through the workers until it ends or must drain.

    Each campaign has a lane of its own; workers, permits and halts are everybody's.
    """

    def __init__(
        self, lanes: Sequence[CampaignRun], turnstile: ClientPool, plan: PipelineOptions
    ) -> None:
        self._lanes = tuple(lanes)
        self._turnstile = turnstile
        self._clock = lanes[0].desk.clock
        self._plan = plan
        self._sharing = _sharing(lanes, plan)
        self._fed = (
            sorted(lanes, key=lambda lane: -lane.weight.priority) if plan.by_priority else lanes
        )
        self._queue: asyncio.Queue[bool] = asyncio.Queue()  # a _TAKE for each claim that is ready
        self._asked = asyncio.Event()
        self._failed = False
        self._wanted = asyncio.Event()

    def stop(self, *, failed: bool = False) -> None:
        """Begin the drain; ``failed``: because too many contacts failed."""
        self._failed = self._failed or failed
        self._asked.set()
        self._wanted.set()

    def wake(self) -> None:
        """Look for contacts that are due now: somebody else has put them into the ledger."""
        for lane in self._lanes:
            lane.desk.next_due = 0.0
            lane.desk.schedule_look_back(0.0)
        self._wanted.set()

    async def pause(self, campaign: str) -> None:
        """Let a campaign take nothing new, now and after a restart; what is in flight finishes.

        Raises:
            LookupError: this run has no such campaign.
            LedgerError: the ledger is lost.

        """
        lane = self._lane(campaign)
        lane.pause()
        await lane.release(self._release_ready(lane))
        await lane.desk.ledger.pause(self._clock.time())
        self._wanted.set()

    async def resume(self, campaign: str) -> None:
        """Let a paused campaign go on; errors as for `pause`."""
        lane = self._lane(campaign)
        await lane.desk.ledger.resume()
        lane.resume()
        self._wanted.set()

    @property
    def in_flight(self) -> int:
        """Contacts that a worker holds."""
        return sum(lane.busy for lane in self._lanes)

    async def run(self) -> RunOutcome:
        """Run to the end.

        Raises:
            LedgerError: the ledger is lost; the daemon must stop.
            SourceError: the source cannot be read; what was in flight was settled.

        """
        try:
            async with asyncio.TaskGroup() as group:
                helpers = [
                    *(
                        group.create_task(client.breaker.run(), name=f"halts-{client.name}")
                        for client in self._turnstile.clients
                    ),
                    group.create_task(self._emit_gauges(), name="gauges"),
                    *(
                        group.create_task(lane.reconciler.run(), name=f"doubts-{lane.campaign}")
                        for lane in self._lanes
                    ),
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
                    ending = RunOutcome.CUT_OFF
                for lane in self._lanes:
                    await lane.reconciler.finish()
                for helper in helpers:
                    helper.cancel()
        except BaseExceptionGroup as group_error:
            raise _first(group_error) from group_error
        finally:
            for lane in self._lanes:
                await lane.intake.close()
        await self._gauges()
        return RunOutcome.FAILED if self._failed else ending

    # feeding

    async def _feed(self) -> RunOutcome:
        """Keep the workers supplied until the run is over."""
        for lane in self._lanes:
            await lane.start(self._plan.workers)
        deadline = NEVER
        while not self._asked.is_set():
            if await self._supply():
                continue
            if all(lane.idle for lane in self._lanes):
                now = self._clock.time()
                deadline = min(deadline, now + self._plan.wait_limit)
                ending = self._over(now, deadline)
                if ending is not None:
                    return ending
            if self._halted_too_long():
                return RunOutcome.HALTED
            if self._held_too_long():
                return RunOutcome.DEFERRED
            await self._rest()
        return RunOutcome.DRAINED

    async def _supply(self) -> bool:
        """Let each lane claim what it has room for; True if any got something."""
        got = False
        for lane in self._fed:
            room = lane.prefetch_left()
            claims = await lane.intake.claims(room) if room > 0 else ()
            if lane.paused_at is not None:
                await lane.release(claims)
                continue
            lane.ready.extend(claims)
            for _ in claims:
                self._queue.put_nowait(_TAKE)
            got = got or bool(claims)
        return got

    def _over(self, now: float, deadline: float) -> RunOutcome | None:
        due = min(min(lane.next_due, lane.reconciler.next_look) for lane in self._lanes)
        if any(lane.intake.limited for lane in self._lanes):
            return RunOutcome.DONE
        if not self._plan.once or due <= now:
            return None
        if due == NEVER:
            held_back = any(lane.paused_count for lane in self._lanes)
            return RunOutcome.PAUSED if held_back else RunOutcome.DONE
        if due <= deadline:
            return None
        return RunOutcome.DEFERRED if self._turnstile.halted_since is None else RunOutcome.HALTED

    def _halted_too_long(self) -> bool:
        since = self._turnstile.halted_since
        if not self._plan.once or since is None:
            return False
        return self._clock.monotonic() - since > self._plan.wait_limit

    def _held_too_long(self) -> bool:
        """Tell whether the platform holds all requests for longer than the run waits."""
        return (
            self._plan.once and self._turnstile.hold_remaining(Step.CHECK) > self._plan.wait_limit
        )

    async def _rest(self) -> None:
        """Wait until the workers want more, something is due, or a source has a batch."""
        seconds, now = IDLE_SECONDS, self._clock.time()
        batches: list[asyncio.Task[Batch | None]] = []
        for lane in self._lanes:
            if lane.prefetch_left() > 0:
                seconds = min(seconds, max(0.001, lane.next_due - now))
                if not lane.read:
                    seconds = min(seconds, BATCH_SECONDS)
                    batches += lane.intake.reading
        if batches:
            await asyncio.wait(batches, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            return
        self._wanted.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wanted.wait()

    # working

    async def _work(self) -> None:
        workers = self._plan.workers
        while await self._queue.get() is _TAKE:
            lane = self._next()
            claim = lane.ready.popleft()
            lane.busy += 1
            try:
                await lane.delivery.deliver(claim)
            finally:
                lane.busy -= 1
                lane.finished += 1
            if len(lane.ready) <= workers or not lane.busy:
                self._wanted.set()

    def _next(self) -> CampaignRun:
        """Choose the lane whose contact is next; at least one has something ready."""
        if self._sharing is None:
            return self._lanes[0]
        waiting = [number for number, lane in enumerate(self._lanes) if lane.ready]
        return self._lanes[self._sharing.next(waiting)]

    async def _drain(self, workers: list[asyncio.Task[None]]) -> bool:
        """Stop the intake, give back what lies ready, let the workers finish; False if cut off."""
        self._turnstile.drain()
        ready = [(lane, self._release_ready(lane)) for lane in self._lanes]
        for lane, claims in ready:
            await lane.release(claims)
        for _ in workers:
            self._queue.put_nowait(_STOP)
        _, unfinished = await asyncio.wait(workers, timeout=self._plan.drain_seconds)
        for worker in unfinished:
            worker.cancel()
        return not unfinished

    def _release_ready(self, lane: CampaignRun) -> list[Claim]:
        """Take from the workers what lies ready of a lane."""
        claims = list(lane.ready)
        lane.ready.clear()
        for _ in claims:
            self._queue.get_nowait()
        return claims

    def _lane(self, campaign: str) -> CampaignRun:
        for lane in self._lanes:
            if lane.campaign == campaign:
                return lane
        known = ", ".join(lane.campaign for lane in self._lanes)
        raise LookupError(f"this run has no campaign {campaign}; it has: {known}")

    # telling

    async def _emit_gauges(self) -> None:
        while True:
            await self._gauges()
            await self._clock.sleep(self._plan.gauge_seconds)

    async def _gauges(self) -> None:
        for lane in self._lanes:
            await lane.emit_gauges(self._turnstile.clients)


def _sharing(lanes: Sequence[CampaignRun], plan: PipelineOptions) -> Scheduler | None:
    """Return how several campaigns share the workers; None where there is but one."""
    if len(lanes) == 1:
        return None
    shares = [lane.weight.share for lane in lanes]
    return (
        PriorityScheduler([lane.weight.priority for lane in lanes], shares)
        if plan.by_priority
        else StrideScheduler(shares)
    )


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error of a group: one fault ends the run, the rest follows from it."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
