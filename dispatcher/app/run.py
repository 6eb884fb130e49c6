"""Builds one run, runs it, and ends it on signals."""

import asyncio
import gc
import os
import signal
from collections.abc import Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from functools import partial

import structlog
import uvloop

from dispatcher import early_signals
from dispatcher.app.campaigns import (
    OpenCampaign,
    OpenStore,
    make_campaign_runs,
    open_campaigns,
    open_run_store,
)
from dispatcher.app.control.address import open_control_socket
from dispatcher.app.control.commands import CommandHandler
from dispatcher.app.control.server import serve_commands
from dispatcher.app.health import RunHealth, serve_run_health
from dispatcher.app.http_intake import serve_intake
from dispatcher.app.leadership import Leadership
from dispatcher.app.leases import find_leases
from dispatcher.app.loop_lag import LoopLag
from dispatcher.app.oauth_clients import open_credentials, open_pool, preflight
from dispatcher.app.order_changes import follow_orders
from dispatcher.app.page import serve_run_page
from dispatcher.app.progress_view import ProgressView
from dispatcher.app.run_end import ended, raised, with_counts
from dispatcher.app.sd_notify import ServiceManager
from dispatcher.app.service_status import ServiceStatus
from dispatcher.app.sinks import start_sinks
from dispatcher.app.snapshot import SnapshotTaker
from dispatcher.app.standby import Standby
from dispatcher.app.telemetry import EVERY_CAMPAIGN, RunTelemetry
from dispatcher.app.webhooks import Webhooks
from dispatcher.app.wiring import make_policy
from dispatcher.domain.errors import DispatcherError
from dispatcher.domain.events import Halted
from dispatcher.domain.status import HaltReason
from dispatcher.engine.clock import SystemClock
from dispatcher.engine.pipeline import Pipeline
from dispatcher.engine.run_options import PipelineOptions, RunOutcome
from dispatcher.http_server.unix_socket import OFF
from dispatcher.ports import (
    SOCKET_OFF,
    Clock,
    CredentialSource,
    LeaseLostError,
    LedgerError,
    Store,
    Totals,
)
from dispatcher.ports.notices import Facts
from dispatcher.settings import CampaignSettings, Settings, requests_per_minute
from dispatcher.sinks.pump import LineagePump
from dispatcher.sinks.webhook import Webhook
from dispatcher.telemetry.stats.run_stats import Snapshot

COLLECT_AFTER = 20_000
"""New objects after which the garbage collector looks for cycles among them."""
GAUGE_SECONDS = 2.0
"""How often the gauges are emitted."""
SIGNALS_TO_STOP = 2
"""How many signals end a run at once; the first one drains it."""
VIEW_SECONDS = 0.5
"""How often the progress view is updated."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended: ``ending`` is None when a second signal ended it at once.

    By campaign: ``snapshots`` of this run, and ``totals`` of all runs, which are empty when a
    signal came before the ledger was open. ``standby`` means that it waited for its leases until
    then.
    """

    ending: RunOutcome | None
    snapshots: Mapping[str, Snapshot]
    totals: Mapping[str, Totals]
    standby: bool = False


@dataclass(frozen=True, slots=True)
class _Order:
    """What a run is to do beside its settings; see `run`."""

    once: bool
    limit: int | None
    adopt: bool
    accepted: Collection[str]
    signals: bool = True


def run(
    settings: Settings,
    view: ProgressView | None = None,
    *,
    once: bool,
    limit: int | None = None,
    adopt: bool = False,
    accepted: Collection[str] = (),
) -> RunResult:
    """Run the dispatcher until it is done or a signal stops it.

    With ``once`` it is done when source and ledger are exhausted. ``limit`` is how many contacts
    are taken out of the ledger at most. ``adopt`` accepts a ledger that is a copy.
    ``accepted`` are keys of kinds of refusals (`RefusalKind.key`) for which the run does not halt.

    Raises:
        SourceError: the source cannot be read.
        LedgerError: the ledger cannot be used, is a copy, or has failed.
        LeaseLostError: another dispatcher has taken over.
        CredentialsError: the platform refuses the client id and secret at the start.
        HealthAddressError: the health address is taken.
        PageAddressError: the page's address is taken.
        PostAddressError: the address of an HTTP intake is taken.
        ControlAddressError: the control socket cannot be made.

    """
    _tune_garbage_collector()
    return uvloop.run(_Run(settings, view, _Order(once, limit, adopt, accepted)).run())


async def run_in_loop(
    settings: Settings,
    view: ProgressView | None = None,
    *,
    limit: int | None = None,
    adopt: bool = False,
    accepted: Collection[str] = (),
) -> tuple[RunResult, bool]:
    """Run once in the loop that is running, in a process that is not the dispatcher's own.

    It handles no signals. The first cancellation of the caller drains the run, and a second one
    ends it at once. Return the result, and True if the caller was cancelled.

    Raises:
        SourceError, LedgerError, LeaseLostError, CredentialsError, HealthAddressError,
        ControlAddressError: as `run`.

    """
    order = _Order(once=True, limit=limit, adopt=adopt, accepted=accepted, signals=False)
    return await _Run(settings, view, order).run_until_cancelled()


def _tune_garbage_collector() -> None:
    """Exclude the objects that exist already, and search for cycles less often.

    The objects of a contact are freed by reference counts. With Python's defaults the searches
    took a fifth of a run's CPU time.
    """
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 100)


class _Run:
    """One run; its parts are closed in the reverse of the order in which they were opened."""

    def __init__(self, settings: Settings, view: ProgressView | None, order: _Order) -> None:
        self._settings = settings
        self._order = order
        self._view = view
        self._clock: Clock = SystemClock()
        self._webhooks = Webhooks(settings)
        self._telemetry = RunTelemetry(settings, self._webhooks.listeners)
        several = len(settings.campaigns) > 1
        self._log = structlog.get_logger(campaign=EVERY_CAMPAIGN if several else settings.campaign)
        self._leadership = Leadership(self._log)
        self._health: RunHealth | None = None
        self._snapshots = SnapshotTaker(settings, self._telemetry, self._leadership)
        self._signals = 0
        manager = ServiceManager(os.environ if order.signals else {})
        self._service = ServiceStatus(self._telemetry.snapshots, manager)
        self._loop_lag = LoopLag()
        self._task: asyncio.Future[RunResult] | asyncio.Future[RunOutcome] | None = None
        self._pipeline: Pipeline | None = None
        self._sinks: Mapping[str, LineagePump | Webhook] = {}
        self._campaigns: Sequence[OpenCampaign] = ()
        self._credentials: Mapping[str, CredentialSource] = {}

    async def run(self) -> RunResult:
        """Run; a signal before the first contact ends the run cleanly, too."""
        self._task = starting = asyncio.ensure_future(self._run())
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal)
        for _ in early_signals.take():
            self._on_signal()
        return await self._finish(starting)

    async def run_until_cancelled(self) -> tuple[RunResult, bool]:
        """Run without handlers of signals; a cancellation has the effect of a signal."""
        self._task = running = asyncio.ensure_future(self._run())
        while not running.done():
            try:
                await asyncio.wait([running])
            except asyncio.CancelledError:
                self._on_signal()
        return await self._finish(running), bool(self._signals)

    async def _finish(self, running: asyncio.Future[RunResult]) -> RunResult:
        try:
            return await running
        except asyncio.CancelledError:
            if not self._signals:
                raise
            outcome = RunOutcome.DRAINED if self._signals == 1 else None
            standby = bool(self._leadership.held)
            return RunResult(outcome, self._telemetry.snapshots(), {}, standby=standby)

    async def _run(self) -> RunResult:
        settings, telemetry = self._settings, self._telemetry
        async with AsyncExitStack() as stack:
            order, view = self._order, self._view
            stream = view.stream if view is not None else None
            telemetry.open(stack, stream, signals=order.signals)
            self._service.start(stack)
            self._credentials = open_credentials(settings, self._clock, stack)
            lead = partial(self._lead, stack)
            run_store = await open_run_store(
                settings, stack, lead, once=order.once, adopt=order.adopt
            )
            await self._webhooks.start(run_store.store.notice_log(), stack)
            try:
                outcome = await self._run_campaigns(stack, run_store)
                totals = await self._read_totals()
            except BaseException as error:
                await self._note_end(raised(error, self._signals), await self._known_totals())
                raise
            await self._note_end(ended(outcome), totals)
        return RunResult(outcome, telemetry.snapshots(), totals)

    async def _lead(self, stack: AsyncExitStack, store: Store) -> None:
        """Return when the run may begin: when it has its leases, if its ledger is on a server."""
        settings = self._settings
        self._snapshots.store = store
        self._health = self._service.health = RunHealth(store, self._leadership)
        await serve_run_health(stack, settings, self._health, self._health_status)
        commands = CommandHandler(store, self._status, lambda: self._pipeline).by_name()
        await serve_run_page(stack, settings, store, self._snapshots.take, commands)
        if not settings.ledger.url:
            self._leadership.lead()
            return
        posted = [] if self._order.once else [*map(settings.only, settings.campaigns)]
        standby = Standby(store, self._leadership, self._telemetry, self._view, posted, self._log)
        standby.report(stack)
        await standby.take(await find_leases(settings, self._credentials, self._log))

    async def _run_campaigns(
        self, stack: AsyncExitStack, run_store: OpenStore
    ) -> RunOutcome | None:
        """Open everything else and run; return None if a second signal ended the run."""
        settings, telemetry, order = self._settings, self._telemetry, self._order
        store = run_store.store
        campaigns = await open_campaigns(run_store, telemetry, stack, self._too_many_failed)
        self._campaigns = campaigns
        await self._serve_commands(stack, store)
        pool = await open_pool(
            settings, self._clock, stack, telemetry.shared_sink, self._credentials,
            tracing=telemetry.tracing, tenure=store.tenure,
        )  # fmt: skip
        await preflight(pool.clients, self._log)
        campaign_runs = make_campaign_runs(
            campaigns, pool, self._clock, order.limit, order.accepted
        )
        pipeline = Pipeline(campaign_runs, pool, self._clock, self._pipeline_options())
        if self._health is not None:
            self._health.pool, self._health.pipeline = pool, pipeline
        follow_orders(stack, store, pipeline)
        log, webhooks = store.lineage_log(), self._webhooks.by_name
        self._sinks = start_sinks(settings, log, stack, campaigns[0].events, webhooks)
        self._snapshots.sinks = self._sinks
        await serve_intake(stack, campaigns, campaign_runs, settings.environment)
        telemetry.begin(once=order.once)
        try:
            return await self._run_pipeline(stack, pipeline)
        except DispatcherError as error:
            if isinstance(error, LeaseLostError):
                self._leadership.lose(error)
            telemetry.fail()
            raise

    async def _read_totals(self) -> Mapping[str, Totals]:
        return {one.campaign.name: await one.ledger.totals() for one in self._campaigns}

    async def _known_totals(self) -> Mapping[str, Totals]:
        """Return the totals of the campaigns; nothing if the ledger has failed."""
        try:
            return await self._read_totals()
        except LedgerError:
            return {}

    async def _note_end(self, facts: Facts, totals: Mapping[str, Totals]) -> None:
        """Post a notice for each campaign: how its run ended, and its contacts by status."""
        names = [campaign.name for campaign in self._settings.campaigns]
        facts_of = {name: with_counts(facts, totals.get(name)) for name in names}
        await self._webhooks.end_runs(facts_of)

    def _pipeline_options(self) -> PipelineOptions:
        engine = self._settings.engine
        limited = self._settings.origin("engine.wait_limit_seconds") is not None
        return PipelineOptions(
            workers=engine.workers,
            once=self._order.once,
            wait_limit=engine.wait_limit_seconds,
            doubt_limit=0.0 if limited else make_policy(self._settings).reconcile.proved_within,
            drain_seconds=engine.drain_seconds,
            gauge_seconds=GAUGE_SECONDS,
            by_priority=engine.sharing == "priority",
            loop_lag=self._loop_lag.take,
        )

    def _health_status(self) -> Mapping[str, object]:
        """Return the status of the run for its page; with a ledger on a server, who leads."""
        status = self._telemetry.status(self._pipeline.in_flight if self._pipeline else 0)
        if not self._settings.ledger.url:
            return status
        return {**status, "leader": self._leadership.as_json()}

    async def _serve_commands(self, stack: AsyncExitStack, store: Store) -> None:
        """Serve the operator's commands, and record the socket in the ledger's lock file."""
        configured = self._settings.control.socket
        if configured == OFF:
            store.record_socket(SOCKET_OFF)
            return
        control = open_control_socket(self._settings.ledger_place, configured)
        if control.moved:
            self._log.warning("control.socket_moved", path=str(control.path), detail=control.moved)
        handler = CommandHandler(store, self._status, lambda: self._pipeline)
        more = {"snapshot": self._answer_snapshot, "drain": self._answer_drain}
        await serve_commands(stack, control, {**handler.by_name(), **more})
        store.record_socket(str(control.path))

    async def _answer_snapshot(self, _arguments: Mapping[str, object]) -> Mapping[str, object]:
        return asdict(self._snapshots.take())

    async def _answer_drain(self, _arguments: Mapping[str, object]) -> Mapping[str, object]:
        """Drain as the first signal does; again it does nothing."""
        pipeline = self._pipeline
        if pipeline is None:
            raise LedgerError("this dispatcher cannot drain at present: it is starting; try again")
        if not pipeline.stopping:
            self._on_signal()
        return {"in_flight": pipeline.in_flight}

    def _status(self) -> Mapping[str, object]:
        """Return the status of the run for its control socket."""
        in_flight = self._pipeline.in_flight if self._pipeline else 0
        return {
            "requests_per_second": requests_per_minute(self._settings) / 60,
            "sinks": {name: asdict(pump.state) for name, pump in self._sinks.items()},
            **self._telemetry.status(in_flight),
        }

    async def _run_pipeline(self, stack: AsyncExitStack, pipeline: Pipeline) -> RunOutcome | None:
        """Run the pipeline and show its progress; return None if a second signal ended it."""
        self._loop_lag.start()
        stack.callback(self._loop_lag.stop)
        running = asyncio.ensure_future(pipeline.run())
        self._pipeline, self._task = pipeline, running
        self._snapshots.pipeline = pipeline
        showing: asyncio.Future[None] | None = None
        if self._view is not None:
            stack.enter_context(self._view)
            showing = asyncio.ensure_future(self._show(self._view))
        try:
            return await running
        except asyncio.CancelledError:
            if self._signals < SIGNALS_TO_STOP:
                raise
            return None
        finally:
            if showing is not None:
                showing.cancel()
                await asyncio.gather(showing, return_exceptions=True)

    def _too_many_failed(self, campaign: CampaignSettings) -> None:
        """Stop the run: so many failures may have one cause, which would fail all contacts."""
        rules = campaign.rules
        share, sample_size = rules.stop_failed_share, rules.stop_failed_of
        detail = f"more than {share:.1%} of the last {sample_size} contacts were parked or refused"
        log = structlog.get_logger(campaign=campaign.name)
        log.error("run.too_many_failures", detail=detail)
        self._telemetry.sink(campaign.name).emit(Halted(HaltReason.FAILURES, detail))
        if self._pipeline is not None:
            self._pipeline.stop(failed=True)

    def _on_signal(self) -> None:
        """Drain at the first signal; end at once at the second, or before the pipeline runs."""
        self._signals += 1
        self._service.stop()
        if self._pipeline is not None and self._signals < SIGNALS_TO_STOP:
            self._log.info("run.draining", in_flight=self._pipeline.in_flight)
            self._pipeline.stop()
        elif self._task is not None:
            self._log.warning("run.stopped", signals=self._signals)
            self._task.cancel()

    async def _show(self, view: ProgressView) -> None:
        while True:
            view.update(self._telemetry.snapshots())
            await asyncio.sleep(VIEW_SECONDS)
