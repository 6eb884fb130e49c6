"""One run: its parts, its signals, and what ends with it."""

import asyncio
import gc
import signal
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import BinaryIO, Protocol, Self

import structlog
import uvloop

from dispatcher.app.campaigns import make_campaign_runs, open_campaigns
from dispatcher.app.control import commands
from dispatcher.app.oauth_clients import open_clients, preflight
from dispatcher.app.telemetry import EVERY_CAMPAIGN, Observation
from dispatcher.domain.events import Halted
from dispatcher.domain.status import HaltReason
from dispatcher.engine.campaign_run import CampaignRun
from dispatcher.engine.clients.pool import ClientPool
from dispatcher.engine.clock import SystemClock
from dispatcher.engine.pipeline import Pipeline
from dispatcher.engine.run_options import PipelineOptions, RunOutcome
from dispatcher.http_server.health import HealthServer
from dispatcher.ports import Clock, Totals
from dispatcher.settings import CampaignSettings, Settings, requests_per_minute
from dispatcher.telemetry.stats.run_stats import Snapshot

COLLECT_AFTER = 20_000
"""New objects after which the garbage collector looks for cycles among them."""
GAUGE_SECONDS = 2.0
"""How often the gauges are told."""
AT_ONCE = 2
"""So many signals end a run at once."""
VIEW_SECONDS = 0.5
"""How often the progress view is brought up to date."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a command line adds to the settings."""

    once: bool = False
    limit: int | None = None
    """How many contacts are taken out of the ledger at most."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended: ``ending`` is None when a second signal ended it at once.

    By campaign: ``snapshots`` of this run, and ``totals`` of all runs, which is empty when a
    signal came before the ledger was there to be summed up.
    """

    ending: RunOutcome | None
    snapshots: Mapping[str, Snapshot]
    totals: Mapping[str, Totals]


class ProgressView(Protocol):
    """What shows a run to a person while it goes on."""

    @property
    def stream(self) -> BinaryIO | None:
        """Where logs go that would run into the view; None: where they always go."""
        ...

    def __enter__(self) -> Self:
        """Begin to show."""
        ...

    def __exit__(self, *_: object) -> None: ...

    def update(self, snapshots: Mapping[str, Snapshot]) -> None:
        """Show how each campaign stands."""
        ...


def run(settings: Settings, options: RunOptions, view: ProgressView | None = None) -> RunResult:
    """Run the dispatcher until it is done or told to stop.

    Raises:
        SourceError: the source cannot be read.
        LedgerError: the ledger cannot be used, or has failed.
        CredentialsError: the platform refuses the client id and secret at the start.
        HealthAddressError: the health address is taken.
        ControlAddressError: the control socket cannot be made.

    """
    _calm_collector()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_Run(settings, options, view).run())


def _calm_collector() -> None:
    """Let the garbage collector leave alone what lives as long as the run.

    What a contact leaves behind is freed by reference counts; looking for cycles among all the
    modules' objects as often as Python does by default cost a fifth of a run's CPU time.
    """
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 100)


class _Run:
    """One run: its parts in the order in which they are opened, closed in reverse."""

    def __init__(self, settings: Settings, options: RunOptions, view: ProgressView | None) -> None:
        self._settings = settings
        self._options = options
        self._view = view
        self._clock: Clock = SystemClock()
        self._observation = Observation(settings)
        several = len(settings.campaigns) > 1
        self._log = structlog.get_logger(campaign=EVERY_CAMPAIGN if several else settings.campaign)
        self._signals = 0
        self._running: asyncio.Future[RunResult] | asyncio.Future[RunOutcome] | None = None
        self._current: Pipeline | None = None

    async def run(self) -> RunResult:
        """Run; a signal that comes before the first contact is taken ends it cleanly, too."""
        self._running = starting = asyncio.ensure_future(self._run())
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)
        try:
            return await starting
        except asyncio.CancelledError:
            if not self._signals:
                raise
            ending = RunOutcome.DRAINED if self._signals == 1 else None
            return RunResult(ending, self._observation.snapshots(), {})

    async def _run(self) -> RunResult:
        settings, observation = self._settings, self._observation
        async with AsyncExitStack() as stack:
            observation.open(stack, self._view.stream if self._view is not None else None)
            once, limit = self._options.once, self._options.limit
            campaigns = open_campaigns(
                settings, observation, stack, self._too_many_failed, once=once
            )
            opened = await campaigns
            ledger, control = opened[0].ledger, settings.control.socket
            await commands.serve(stack, ledger, settings.ledger.path, control, self)
            clients = await open_clients(settings, self._clock, stack, observation.everybody)
            await preflight(clients, self._log)
            turnstile = ClientPool(clients)
            lanes = make_campaign_runs(opened, turnstile, self._clock, limit)
            pipeline = self._pipeline(lanes, turnstile)
            await self._serve_health(stack, turnstile, pipeline)
            ending = await self._until_ended(stack, pipeline)
            totals = {each.campaign.name: await each.ledger.totals() for each in opened}
        return RunResult(ending, observation.snapshots(), totals)

    def _pipeline(self, lanes: Sequence[CampaignRun], turnstile: ClientPool) -> Pipeline:
        engine, options = self._settings.engine, self._options
        plan = PipelineOptions(
            workers=engine.workers,
            once=options.once,
            wait_limit=engine.wait_limit_seconds,
            drain_seconds=engine.drain_seconds,
            gauge_seconds=GAUGE_SECONDS,
            by_priority=engine.sharing == "priority",
        )
        return Pipeline(lanes, turnstile, plan)

    async def _serve_health(
        self, stack: AsyncExitStack, turnstile: ClientPool, pipeline: Pipeline
    ) -> None:
        given = self._settings.telemetry
        if not given.health_port:
            return
        server = HealthServer(
            given.health_host,
            given.health_port,
            status=lambda: self._observation.status(pipeline.in_flight),
            ready=lambda: turnstile.halted_since is None,
        )
        await server.start()
        stack.push_async_callback(server.stop)

    def live(self) -> Mapping[str, object]:
        """Tell how the run stands, for its control socket."""
        in_flight = self._current.in_flight if self._current else 0
        return {
            "requests_per_second": requests_per_minute(self._settings) / 60,
            **self._observation.status(in_flight),
        }

    def wake(self) -> None:
        """Look for contacts that are due now; a run that has not begun does so by itself."""
        if self._current is not None:
            self._current.wake()

    def pause_function(self, verb: str) -> commands.SetPaused | None:
        """Return what pauses or resumes a campaign of this run."""
        if self._current is None:
            return None
        return self._current.pause if verb == "pause" else self._current.resume

    async def _until_ended(self, stack: AsyncExitStack, pipeline: Pipeline) -> RunOutcome | None:
        """Run the pipeline, shown to whoever looks on; None if a second signal ended it."""
        running = asyncio.ensure_future(pipeline.run())
        self._current, self._running = pipeline, running
        shown: asyncio.Future[None] | None = None
        if self._view is not None:
            stack.enter_context(self._view)
            shown = asyncio.ensure_future(self._show(self._view))
        try:
            return await running
        except asyncio.CancelledError:
            if self._signals < AT_ONCE:
                raise
            return None
        finally:
            if shown is not None:
                shown.cancel()
                await asyncio.gather(shown, return_exceptions=True)

    def _too_many_failed(self, campaign: CampaignSettings) -> None:
        """Stop because of the contacts, which may all be wrong in the same way."""
        share, of = campaign.rules.stop_failed_share, campaign.rules.stop_failed_of
        detail = f"more than {share:.1%} of the last {of} contacts were parked or rejected"
        log = structlog.get_logger(campaign=campaign.name)
        log.error("run.too_many_failures", detail=detail)
        self._observation.of(campaign.name).emit(Halted(HaltReason.FAILURES, detail))
        if self._current is not None:
            self._current.stop(failed=True)

    def _signalled(self) -> None:
        """Drain at the first signal; end at once at the second, or before there is work."""
        self._signals += 1
        if self._current is not None and self._signals < AT_ONCE:
            self._log.info("run.draining", in_flight=self._current.in_flight)
            self._current.stop()
        elif self._running is not None:
            self._log.warning("run.stopped", signals=self._signals)
            self._running.cancel()

    async def _show(self, view: ProgressView) -> None:
        while True:
            view.update(self._observation.snapshots())
            await asyncio.sleep(VIEW_SECONDS)
