"""Runs the dispatcher: opens the parts of one run in their order, and runs it to its end."""

import asyncio
import os
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial

import structlog
import uvloop

from dispatcher.app.campaigns import (
    OpenCampaign,
    OpenStore,
    make_campaign_runs,
    open_campaigns,
    open_run_store,
)
from dispatcher.app.garbage_collection import tune_garbage_collector
from dispatcher.app.health import RunHealth, serve_run_health
from dispatcher.app.http_intake import serve_intake
from dispatcher.app.leadership import Leadership
from dispatcher.app.leases import find_leases
from dispatcher.app.ledger_presence import LedgerPresence
from dispatcher.app.loop_lag import LoopLag
from dispatcher.app.oauth_clients import open_credentials, open_pool, preflight
from dispatcher.app.order_changes import follow_orders
from dispatcher.app.page import serve_run_page
from dispatcher.app.progress_view import ProgressView
from dispatcher.app.run_arguments import RunArguments
from dispatcher.app.run_commands import RunCommands
from dispatcher.app.run_end import RunResult, ended, raised, with_counts
from dispatcher.app.run_pipeline import pipeline_options, run_pipeline
from dispatcher.app.run_stop import RunStop
from dispatcher.app.sd_notify import ServiceManager
from dispatcher.app.service_status import ServiceStatus
from dispatcher.app.sinks import start_sinks
from dispatcher.app.snapshot import SnapshotTaker
from dispatcher.app.standby import Standby
from dispatcher.app.standby_count import StandbyCounter
from dispatcher.app.store import open_store
from dispatcher.app.telemetry import EVERY_CAMPAIGN, RunTelemetry
from dispatcher.app.webhooks import Webhooks
from dispatcher.domain.errors import DispatcherError
from dispatcher.engine.clock import SystemClock
from dispatcher.engine.pipeline import Pipeline
from dispatcher.engine.run_options import RunOutcome
from dispatcher.ports import Clock, CredentialSource, LeaseLostError, LedgerError, Store, Totals
from dispatcher.ports.notices import Facts
from dispatcher.settings import Settings


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
    tune_garbage_collector()
    return uvloop.run(OneRun(settings, view, RunArguments(once, limit, adopt, accepted)).run())


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
    arguments = RunArguments(once=True, limit=limit, adopt=adopt, accepted=accepted, signals=False)
    return await OneRun(settings, view, arguments).run_until_cancelled()


class OneRun:
    """One run; its parts are closed in the reverse of the order in which they were opened."""

    def __init__(
        self, settings: Settings, view: ProgressView | None, arguments: RunArguments
    ) -> None:
        self._settings = settings
        self._arguments = arguments
        self._view = view
        self._clock: Clock = SystemClock()
        self._webhooks = Webhooks(settings)
        self._telemetry = RunTelemetry(settings, self._webhooks.listeners)
        several = len(settings.campaigns) > 1
        self._log = structlog.get_logger(campaign=EVERY_CAMPAIGN if several else settings.campaign)
        self._leadership = Leadership(self._log)
        self._ledger = LedgerPresence(self._leadership, self._telemetry, self._log)
        self._health = RunHealth(self._ledger, self._leadership)
        self._snapshots = SnapshotTaker(settings, self._telemetry, self._leadership)
        manager = ServiceManager(os.environ if arguments.signals else {})
        self._service = ServiceStatus(self._telemetry.snapshots, manager)
        self._stop = RunStop(self._telemetry, self._service, self._log)
        self._commands = RunCommands(
            settings, self._telemetry, self._snapshots, self._stop, self._log
        )
        self._campaigns: Sequence[OpenCampaign] = ()
        self._credentials: Mapping[str, CredentialSource] = {}

    async def run(self) -> RunResult:
        """Run; a signal before the first contact ends the run cleanly, too."""
        starting = asyncio.ensure_future(self._run())
        self._stop.set_task(starting)
        self._stop.handle_signals()
        return await self._finish(starting)

    async def run_until_cancelled(self) -> tuple[RunResult, bool]:
        """Run without handlers of signals; a cancellation has the effect of a signal."""
        running = asyncio.ensure_future(self._run())
        self._stop.set_task(running)
        while not running.done():
            try:
                await asyncio.wait([running])
            except asyncio.CancelledError:
                self._stop.on_signal()
        return await self._finish(running), bool(self._stop.signals)

    async def _finish(self, running: asyncio.Future[RunResult]) -> RunResult:
        try:
            return await running
        except asyncio.CancelledError:
            if not self._stop.signals:
                raise
            outcome = RunOutcome.DRAINED if self._stop.signals == 1 else None
            words = "as standby" if self._leadership.held else ""
            words = "for the server of its ledger" if self._ledger.is_waiting else words
            return RunResult(outcome, self._telemetry.snapshots(), {}, words)

    async def _run(self) -> RunResult:
        settings, telemetry = self._settings, self._telemetry
        async with AsyncExitStack() as stack:
            arguments, view = self._arguments, self._view
            stream = view.stream if view is not None else None
            telemetry.open(stack, stream, signals=arguments.signals)
            self._service.start(stack)
            self._credentials = open_credentials(settings, self._clock, stack)
            if settings.ledger.url:  # others may see what it waits for
                await self._report_health(stack)
                self._ledger.report(stack)
                StandbyCounter(self._ledger, self._leadership, self._telemetry).start(stack)
            opening = partial(open_store, settings, adopt=arguments.adopt)
            opened = partial(self._ledger.open, opening, settings.ledger, once=arguments.once)
            lead = partial(self._open_and_wait_for_leases, stack)
            run_store = await open_run_store(settings, stack, opened, lead, once=arguments.once)
            await self._webhooks.start(run_store.store.notice_log(), stack)
            try:
                outcome = await self._run_campaigns(stack, run_store)
                totals = await self._read_totals()
            except BaseException as error:
                await self._note_end(raised(error, self._stop.signals), await self._known_totals())
                raise
            await self._note_end(ended(outcome), totals)
        return RunResult(outcome, telemetry.snapshots(), totals)

    async def _open_and_wait_for_leases(self, stack: AsyncExitStack, store: Store) -> None:
        """Return when the run may begin: when it has its leases, if its ledger is on a server."""
        settings = self._settings
        self._snapshots.store = store
        if not settings.ledger.url:
            await self._report_health(stack)
        commands = self._commands.by_name(store)
        take = self._snapshots.take
        await serve_run_page(stack, settings, store, take, commands, lambda: self._campaigns)
        if not settings.ledger.url:
            self._leadership.note_leading()
            return
        posted = [] if self._arguments.once else [*map(settings.only, settings.campaigns)]
        standby = Standby(store, self._leadership, self._telemetry, self._view, posted)
        await standby.take(await find_leases(settings, self._credentials, self._log))

    async def _run_campaigns(
        self, stack: AsyncExitStack, run_store: OpenStore
    ) -> RunOutcome | None:
        """Open everything else and run; return None if a second signal ended the run."""
        settings, telemetry, arguments = self._settings, self._telemetry, self._arguments
        store = run_store.store
        campaigns = await open_campaigns(run_store, telemetry, stack, self._stop.too_many_failed)
        self._campaigns = campaigns
        await self._commands.serve(stack, store)
        pool = await open_pool(
            settings, self._clock, stack, telemetry.shared_sink, self._credentials,
            tracing=telemetry.tracing, tenure=store.tenure,
        )  # fmt: skip
        await preflight(pool.clients, self._log)
        campaign_runs = make_campaign_runs(
            campaigns, pool, self._clock, arguments.limit, arguments.accepted
        )
        loop_lag = LoopLag()
        options = pipeline_options(settings, loop_lag, once=arguments.once)
        pipeline = Pipeline(campaign_runs, pool, self._clock, options)
        self._health.pool, self._health.pipeline = pool, pipeline
        follow_orders(stack, store, pipeline)
        log, webhooks = store.lineage_log(), self._webhooks.by_name
        self._snapshots.sinks = start_sinks(settings, log, stack, campaigns[0].events, webhooks)
        await serve_intake(stack, campaigns, campaign_runs, settings.environment)
        telemetry.begin(once=arguments.once)
        loop_lag.start()
        stack.callback(loop_lag.stop)
        return await self._run_pipeline(stack, pipeline)

    async def _run_pipeline(self, stack: AsyncExitStack, pipeline: Pipeline) -> RunOutcome | None:
        self._snapshots.pipeline = pipeline
        try:
            return await run_pipeline(pipeline, self._stop, self._telemetry, self._view, stack)
        except DispatcherError as error:
            if isinstance(error, LeaseLostError):
                self._leadership.note_lost(error)
            self._telemetry.fail()
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

    async def _report_health(self, stack: AsyncExitStack) -> None:
        """Serve the health, and let the service manager know of it."""
        self._service.health = self._health
        await serve_run_health(stack, self._settings, self._health, self._health_status)

    def _health_status(self) -> Mapping[str, object]:
        """Return the status of the run for its page; with a ledger on a server also who leads."""
        status = self._telemetry.status(self._stop.in_flight)
        if not self._settings.ledger.url:
            return status
        since = self._ledger.away_since
        away = 0.0 if since is None else round(time.time() - since, 1)
        leader = self._leadership.as_json(leads=self._ledger.leads)
        return {**status, "leader": leader, "ledger": {"away_seconds": away}}
