"""All work of a run: intake, claims, workers, drain."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from dispatcher.domain.doubts import Doubts
from dispatcher.engine.campaign_run import CampaignRun
from dispatcher.engine.clients.pool import ClientPool
from dispatcher.engine.conclusions import conclude_all, conclude_quiet
from dispatcher.engine.run_end import RunEnd
from dispatcher.engine.run_options import PipelineOptions, RunOutcome
from dispatcher.engine.scheduling import make_scheduler
from dispatcher.ports import Batch, Claim, Clock, SourceError

IDLE_SECONDS = 0.25
"""The longest that the feeder sleeps before it checks the clock and the source again."""
BATCH_SECONDS = 0.02
"""The longest that it waits for a batch of a source before it checks the rest."""
_TAKE, _STOP = True, False
"""What the queue has for a worker: take the next contact, or end."""


class Pipeline:
    """Streams contacts from the sources through the workers until it ends or must drain.

    The campaigns share the workers, the permits and the halts.
    """

    def __init__(
        self, campaigns: Sequence[CampaignRun], pool: ClientPool, clock: Clock,
        options: PipelineOptions,
    ) -> None:  # fmt: skip
        self._campaigns = tuple(campaigns)
        self._pool = pool
        self._clock = clock
        self._options = options
        weights = [campaign.weight for campaign in campaigns]
        self._scheduler = make_scheduler(weights, by_priority=options.by_priority)
        self._claim_order = list(enumerate(campaigns))
        if options.by_priority:
            self._claim_order.sort(key=lambda numbered: -numbered[1].weight.priority)
        # The queue has as many _TAKE as all campaigns together have claims in ``ready``: whatever
        # changes one of them changes the other before the next await.
        self._queue: asyncio.Queue[bool] = asyncio.Queue()
        # The indexes of the campaigns with claims in ``ready``, kept so that no contact costs a
        # look at every campaign.
        self._waiting: dict[int, None] = {}
        self._stopping = asyncio.Event()
        self._failed = False
        self._source_error: BaseException | None = None
        self._wanted = asyncio.Event()

    def stop(self, *, failed: bool = False) -> None:
        """Begin the drain; ``failed``: because too many contacts failed."""
        self._failed = self._failed or failed
        self._stopping.set()
        self._wanted.set()

    def wake(self) -> None:
        """Look for contacts that are due now: another process has put them into the ledger."""
        for campaign in self._campaigns:
            campaign.due_times.next_due = 0.0
            campaign.due_times.schedule_look_back(0.0)
        self._wanted.set()

    async def pause(self, campaign: str) -> None:
        """Claim nothing for a campaign, now and after a restart; what is in flight finishes.

        Raises:
            LookupError: this run has no such campaign.
            LedgerError: the ledger is lost.

        """
        paused = self._campaign(campaign)
        await self._pause(paused)
        await paused.ledger.pause(self._clock.time())
        self._wanted.set()

    async def resume(self, campaign: str) -> None:
        """Let a paused campaign go on; errors as for `pause`."""
        resumed = self._campaign(campaign)
        await resumed.ledger.resume()
        resumed.resume()
        self._wanted.set()

    async def reread(self) -> None:
        """Pause and resume as the ledger says, and look for contacts that are due now.

        Raises:
            LedgerError: the ledger is lost.

        """
        for campaign in self._campaigns:
            since = await campaign.ledger.paused()
            if since is not None and campaign.paused_at is None:
                await self._pause(campaign)
            elif since is None:
                campaign.resume()
        self.wake()

    def approve(self, campaign: str) -> str | None:
        """Let a campaign go on that halted because most contacts are refused alike.

        Such refusals are final from now on. Return what is refused; None if it was not halted.

        Raises:
            LookupError: this run has no such campaign.

        """
        kind = self._campaign(campaign).guard.approve()
        self._wanted.set()
        return None if kind is None else str(kind)

    def describe_doubts(self, campaign: str, doubts: Doubts) -> Doubts:
        """Return a campaign's contacts in doubt with what they wait for, and until when.

        Raises:
            LookupError: this run has no such campaign.

        """
        return self._campaign(campaign).reconciler.describe(doubts)

    def find_campaign(self, name: str) -> CampaignRun | None:
        """Return one campaign of the run; None if it has no such campaign."""
        return next((campaign for campaign in self._campaigns if campaign.name == name), None)

    @property
    def stopping(self) -> bool:
        """Whether the run drains, or is about to."""
        return self._stopping.is_set()

    @property
    def halted(self) -> bool:
        """Whether every campaign is halted because most of its contacts are refused alike."""
        return all(campaign.halted_since is not None for campaign in self._campaigns)

    @property
    def in_flight(self) -> int:
        """Contacts that workers have."""
        return sum(campaign.in_flight for campaign in self._campaigns)

    async def run(self) -> RunOutcome:
        """Run to the end.

        Raises:
            LedgerError: the ledger is lost; the daemon must stop.
            SourceError: a source cannot be read. The run was drained first, for at most
                ``drain_seconds``, as at any other end.

        """
        try:
            async with asyncio.TaskGroup() as group:
                helpers = self._start_helpers(group)
                workers = [
                    group.create_task(self._work(), name=f"worker-{number}")
                    for number in range(self._options.workers)
                ]
                try:
                    outcome = await self._feed(group)
                except SourceError:
                    await self._drain(workers)
                    await conclude_all(self._campaigns)
                    raise
                if not await self._drain(workers):
                    outcome = RunOutcome.CUT_OFF
                await conclude_all(self._campaigns)
                for campaign in self._campaigns:
                    await campaign.reconciler.stop_writing()
                for helper in helpers:
                    helper.cancel()
        except BaseExceptionGroup as group_error:
            raise _first(group_error) from group_error
        finally:
            for campaign in self._campaigns:
                await campaign.intake.close()
        await self._emit_gauges()
        return RunOutcome.FAILED if self._failed else outcome

    def _start_helpers(self, group: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        return [
            *(
                group.create_task(client.breaker.run(), name=f"halts-{client.name}")
                for client in self._pool.clients
            ),
            group.create_task(self._keep_gauges(), name="gauges"),
            *(
                group.create_task(campaign.recall_waits(), name=f"waits-{campaign.name}")
                for campaign in self._campaigns
            ),
            *(
                group.create_task(campaign.reconciler.run(), name=f"doubts-{campaign.name}")
                for campaign in self._campaigns
            ),
        ]

    async def _feed(self, group: asyncio.TaskGroup) -> RunOutcome:
        """Keep the workers supplied until the run is over."""
        for campaign in self._campaigns:
            await campaign.start(self._options.workers)
            group.create_task(self._admit_at_once(campaign), name=f"intake-{campaign.name}")
        end = RunEnd(self._campaigns, self._pool, self._clock, self._options)
        while not self._stopping.is_set():
            if self._source_error is not None:
                raise self._source_error
            if await self._supply():
                continue
            is_idle = all(campaign.idle for campaign in self._campaigns)
            if is_idle and (outcome := end.when_idle()) is not None:
                halts = await conclude_all(self._campaigns)
                return RunOutcome.HALTED if halts else outcome
            await conclude_quiet(self._campaigns, self._options.wait_limit)
            if (outcome := end.when_held_up()) is not None:
                return outcome
            await self._wait_for_work()
        return RunOutcome.DRAINED

    async def _admit_at_once(self, campaign: CampaignRun) -> None:
        """Admit what a source has at once; the feeder raises the error of one that fails.

        Raised here it would cancel the workers, and leave what they send in doubt.
        """
        try:
            await campaign.intake.admit_at_once()
        except* SourceError as errors:
            self._source_error = _first(errors)
            self._wanted.set()

    async def _supply(self) -> bool:
        """Let each campaign claim what it has room for; True if any has new claims."""
        supplied = False
        for number, campaign in self._claim_order:
            room = campaign.prefetch_room()
            claims = await campaign.claims(room) if room > 0 else ()
            if campaign.paused_at is not None:
                await campaign.release(claims)
                await campaign.release_ahead()
                continue
            campaign.ready.extend(claims)
            if claims:
                self._waiting[number] = None
            for _ in claims:
                self._queue.put_nowait(_TAKE)
            supplied = supplied or bool(claims)
        return supplied

    async def _wait_for_work(self) -> None:
        """Wait until the workers want more, a contact is due, or a source has a batch."""
        seconds, now = IDLE_SECONDS, self._clock.time()
        batches: list[asyncio.Task[Batch | None]] = []
        for campaign in self._campaigns:
            if campaign.prefetch_room() > 0:
                seconds = min(seconds, max(0.001, campaign.next_due - now))
                if not campaign.source_finished:
                    seconds = min(seconds, BATCH_SECONDS)
                    batches += campaign.intake.reading
        if batches:
            await asyncio.wait(batches, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            return
        self._wanted.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wanted.wait()

    async def _work(self) -> None:
        while await self._queue.get() is _TAKE:
            campaign, claim = self._next_claim()
            campaign.in_flight += 1
            try:
                await campaign.deliver(claim)
            finally:
                campaign.in_flight -= 1
                campaign.finished += 1
            if len(campaign.ready) <= campaign.low_mark or not campaign.in_flight:
                self._wanted.set()

    def _next_claim(self) -> tuple[CampaignRun, Claim]:
        """Take the next claim; at least one campaign has one ready."""
        number = 0 if self._scheduler is None else self._scheduler.next(self._waiting)
        campaign = self._campaigns[number]
        claim = campaign.ready.popleft()
        if not campaign.ready:
            del self._waiting[number]
        return campaign, claim

    async def _drain(self, workers: list[asyncio.Task[None]]) -> bool:
        """Begin the drain: release ready claims, let the workers finish; False if cut off."""
        self._pool.drain()
        for campaign in self._campaigns:
            campaign.intake.stop_admitting()
        ready = [(campaign, self._withdraw_ready(campaign)) for campaign in self._campaigns]
        for campaign, claims in ready:
            await campaign.release(claims)
            await campaign.release_ahead()
        for _ in workers:
            self._queue.put_nowait(_STOP)
        _, unfinished = await asyncio.wait(workers, timeout=self._options.drain_seconds)
        for worker in unfinished:
            worker.cancel()
        return not unfinished

    async def _pause(self, campaign: CampaignRun) -> None:
        campaign.pause()
        await campaign.release(self._withdraw_ready(campaign))
        await campaign.release_ahead()

    def _withdraw_ready(self, campaign: CampaignRun) -> list[Claim]:
        """Take the claims that are ready away from the workers."""
        claims = list(campaign.ready)
        campaign.ready.clear()
        self._waiting.pop(self._campaigns.index(campaign), None)
        for _ in claims:
            self._queue.get_nowait()
        return claims

    def _campaign(self, name: str) -> CampaignRun:
        if (found := self.find_campaign(name)) is not None:
            return found
        known = ", ".join(campaign.name for campaign in self._campaigns)
        raise LookupError(f"this run has no campaign {name}; it has: {known}")

    async def _keep_gauges(self) -> None:
        while True:
            await self._emit_gauges()
            await self._clock.sleep(self._options.gauge_seconds)

    async def _emit_gauges(self) -> None:
        loop_lag = self._options.loop_lag()
        for campaign in self._campaigns:
            await campaign.emit_gauges(self._pool.clients, loop_lag, draining=self._pool.draining)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error of a group: one fault ends the run, the rest follows from it."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
