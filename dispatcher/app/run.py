"""One run: its parts, its signals, and what ends with it."""

import asyncio
import gc
import random
import signal
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol, Self

import structlog
import uvloop

from dispatcher.app.house import open_house
from dispatcher.app.wiring import make_agent, make_pacer, make_platform, make_rules, make_source
from dispatcher.domain.events import Halted, InDoubt
from dispatcher.domain.status import HaltReason, Step
from dispatcher.engine.clock import SystemClock
from dispatcher.engine.delivery import Delivery
from dispatcher.engine.desk import Desk
from dispatcher.engine.halts import Halts
from dispatcher.engine.intake import Intake
from dispatcher.engine.pipeline import Ending, Pipeline, Plan
from dispatcher.engine.turnstile import Turnstile
from dispatcher.ledgers.holding import Recovered
from dispatcher.ledgers.sqlite import SqliteLedger
from dispatcher.platforms.messaging import MessagingPlatform
from dispatcher.ports import Clock, EventSink, Source, TokenUnavailableError, Totals
from dispatcher.settings import Settings
from dispatcher.telemetry.fanout import Fanout
from dispatcher.telemetry.health import HealthServer
from dispatcher.telemetry.logs import configure
from dispatcher.telemetry.logsink import LogSink
from dispatcher.telemetry.report import as_json
from dispatcher.telemetry.statsd import StatsdSink
from dispatcher.telemetry.tally import Snapshot, Tally

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
    """What a command line adds to the settings; ``wait_limit`` in seconds."""

    once: bool = False
    limit: int | None = None
    wait_limit: float | None = None


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended: ``ending`` is None when a second signal ended it at once.

    ``totals`` is None when a signal came before the ledger was there to be summed up.
    """

    ending: Ending | None
    snapshot: Snapshot
    totals: Totals | None


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

    def update(self, snapshot: Snapshot) -> None:
        """Show how things stand."""
        ...


def run(settings: Settings, options: RunOptions, view: ProgressView | None = None) -> RunResult:
    """Run the dispatcher until it is done or told to stop.

    Raises:
        SourceError: the source cannot be read.
        LedgerError: the ledger cannot be used, or has failed.
        CredentialsError: the platform refuses the client id and secret at the start.
        HealthAddressError: the health address is taken.

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
        self._tally = Tally()
        self._log = structlog.get_logger(campaign=settings.campaign)
        self._signals = 0
        self._running: asyncio.Future[RunResult] | asyncio.Future[Ending] | None = None
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
            ending = Ending.DRAINED if self._signals == 1 else None
            return RunResult(ending, self._tally.snapshot(), None)

    async def _run(self) -> RunResult:
        settings = self._settings
        async with AsyncExitStack() as stack:
            events = self._telemetry(stack)
            source = make_source(settings, once=self._options.once)
            ledger = await SqliteLedger.open(Path(settings.ledger.path), settings.campaign)
            stack.push_async_callback(ledger.close)
            self._tell_start(events, await ledger.recover())
            platform = await make_platform(settings, self._clock, stack)
            stop = partial(self._too_many_failed, events)
            house = await open_house(settings.rules, settings.campaign, stack, stop)
            desk = Desk(ledger, events, self._clock, house)
            halts = Halts(platform, events, self._clock, settings.engine.probe_seconds)
            await self._preflight(platform, halts)
            turnstile = Turnstile(make_pacer(settings, self._clock), halts)
            pipeline = self._pipeline(platform, turnstile, desk, source)
            await self._serve_health(stack, halts, pipeline)
            ending = await self._until_ended(stack, pipeline)
            totals = await ledger.totals()
        return RunResult(ending, self._tally.snapshot(), totals)

    def _telemetry(self, stack: AsyncExitStack) -> EventSink:
        given = self._settings.telemetry
        path = Path(given.log_file) if given.log_file else None
        stream = self._view.stream if self._view is not None else None
        logs = configure(given.log_format, path=path, stream=stream, level=given.log_level)
        stack.callback(logs.close)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, logs.reopen)
        campaign = self._settings.campaign
        agent = make_agent(self._settings)
        statsd = StatsdSink(agent, campaign=campaign, dialect=self._settings.platform.dialect)
        stack.callback(statsd.close)
        return Fanout([self._tally, statsd, LogSink(campaign=campaign)])

    def _tell_start(self, events: EventSink, recovered: Recovered) -> None:
        self._log.info(
            "run.started",
            released=recovered.released,
            in_doubt=len(recovered.in_doubt),
        )
        for doubt in recovered.in_doubt:
            key, conversation_id = doubt.contact_key, doubt.conversation_id
            events.emit(InDoubt("parked", doubt.step, key, conversation_id, ""))

    async def _preflight(self, platform: MessagingPlatform, halts: Halts) -> None:
        """Find out before the first send whether a scope is missing.

        A platform that does not answer yet is no reason not to start: the halts take care.
        """
        try:
            authority = await platform.renew(0)
        except TokenUnavailableError as error:
            halts.halt(HaltReason.PLATFORM_DOWN, str(error))
            return
        if authority.missing:
            lacking = " and ".join(authority.missing)
            halts.halt(HaltReason.SCOPE, f"the token lacks {lacking}", Step.OPEN)

    def _pipeline(
        self, platform: MessagingPlatform, turnstile: Turnstile, desk: Desk, source: Source
    ) -> Pipeline:
        settings, options = self._settings, self._options
        wait_limit = options.wait_limit
        plan = Plan(
            workers=settings.engine.workers,
            once=options.once,
            wait_limit=settings.engine.wait_limit_seconds if wait_limit is None else wait_limit,
            drain_seconds=settings.engine.drain_seconds,
            gauge_seconds=GAUGE_SECONDS,
        )
        delivery = Delivery(
            platform, turnstile, desk, make_rules(settings), random.random,
            settings.engine.probe_seconds,
        )  # fmt: skip
        return Pipeline(Intake(source, desk, options.limit), delivery, turnstile, desk, plan)

    async def _serve_health(self, stack: AsyncExitStack, halts: Halts, pipeline: Pipeline) -> None:
        given = self._settings.telemetry
        if not given.health_port:
            return
        server = HealthServer(
            given.health_host,
            given.health_port,
            status=lambda: self._status(pipeline),
            ready=lambda: halts.reason is None,
        )
        await server.start()
        stack.push_async_callback(server.stop)

    def _status(self, pipeline: Pipeline) -> Mapping[str, object]:
        return {
            "campaign": self._settings.campaign,
            "in_flight": pipeline.in_flight,
            **as_json(self._tally.snapshot()),
        }

    async def _until_ended(self, stack: AsyncExitStack, pipeline: Pipeline) -> Ending | None:
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

    def _too_many_failed(self, events: EventSink) -> None:
        """Stop because of the contacts, which may all be wrong in the same way."""
        given = self._settings.rules
        share, of = given.stop_failed_share, given.stop_failed_of
        detail = f"more than {share:.1%} of the last {of} contacts were parked or rejected"
        self._log.error("run.too_many_failures", detail=detail)
        events.emit(Halted(HaltReason.FAILURES, detail))
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
            view.update(self._tally.snapshot())
            await asyncio.sleep(VIEW_SECONDS)
