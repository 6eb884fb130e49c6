"""The sinks for the events of a run: statistics and metrics by campaign, and one log."""

import asyncio
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import BinaryIO

from dispatcher.app.traces import open_tracing
from dispatcher.app.wiring import make_agent
from dispatcher.domain.condition import HEALTHY, Condition
from dispatcher.domain.condition_texts import runbook_link
from dispatcher.domain.events import Event
from dispatcher.ports import EventSink, Tracing
from dispatcher.settings import Settings
from dispatcher.telemetry.condition.as_json import condition_json, gravest
from dispatcher.telemetry.condition.platform_tracker import PlatformTracker
from dispatcher.telemetry.condition.tracker import ConditionTracker, TrackerOptions
from dispatcher.telemetry.fanout import Fanout
from dispatcher.telemetry.logs.setup import configure
from dispatcher.telemetry.logs.sink import LogSink
from dispatcher.telemetry.metrics.sink import StatsdSink
from dispatcher.telemetry.stats.as_json import as_json
from dispatcher.telemetry.stats.merge import merge_snapshots
from dispatcher.telemetry.stats.run_stats import RunStats, Snapshot

FLUSH_SECONDS = 0.5
"""How often the metrics of a campaign leave."""
CAMPAIGNS_AT_THAT_PACE = 10
"""With more campaigns each leaves more seldom, so that all together leave no oftener."""
SLOWEST_FLUSH_SECONDS = 5.0
"""The longest pause; an agent itself forwards every 10 seconds."""
EVERY_CAMPAIGN = "*"
"""The campaign that the log names for an event of the whole run."""


class RunTelemetry:
    """Statistics, metrics, traces and the log of a run, by campaign.

    ``shared_sink`` takes the events of the whole run, such as a halt: each is counted for every
    campaign and logged once. ``listeners`` has further sinks for the events of a campaign, or for
    those of the whole run, whose campaign is empty.
    """

    def __init__(
        self, settings: Settings, listeners: Callable[[str], Sequence[EventSink]] = lambda _: ()
    ) -> None:
        self._settings = settings
        self._listeners = listeners
        self._names = [campaign.name for campaign in settings.campaigns]
        self._clients = [client.name for client in settings.clients]
        self._stats = {name: RunStats(clients=self._clients) for name in self._names}
        self._platform = PlatformTracker(time.monotonic, self._clients)
        self._trackers: dict[str, ConditionTracker] = {}
        self._sinks: dict[str, Fanout] = {}
        self._metrics: list[StatsdSink] = []
        self.shared_sink: EventSink = Fanout(())
        self.tracing: Tracing | None = None
        """The traces of the run; None if they are off."""

    def open(self, stack: AsyncExitStack, stream: BinaryIO | None, *, signals: bool = True) -> None:
        """Start the log, which goes to ``stream`` if there is one, metrics and traces.

        ``signals`` is false if the process is not the dispatcher's own.
        """
        settings = self._settings.telemetry
        path = Path(settings.log_file) if settings.log_file else None
        logs = configure(settings.log_format, path=path, stream=stream, level=settings.log_level)
        stack.callback(logs.close)
        if signals:  # a log file is opened again by itself: SIGHUP only must not end the process
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, lambda: None)
        self.tracing = open_tracing(self._settings, stack)
        stack.callback(self._close_metrics)
        counters: list[EventSink] = []
        for name, stats in self._stats.items():
            statsd = self._statsd(name)
            log = self._logs(name)
            tracker = self._trackers[name] = self._tracker(name, Fanout([statsd, *log]))
            more = self._listeners(name)
            self._sinks[name] = Fanout([stats, self._platform, tracker, statsd, *log, *more])
            counters += [stats, tracker, statsd]
        if len(self._names) == 1:
            self.shared_sink = self._sinks[self._names[0]]
        else:
            log = (LogSink(campaign=EVERY_CAMPAIGN),)
            self.shared_sink = Fanout([self._platform, *counters, *log, *self._listeners("")])

    def begin(self, *, once: bool) -> None:
        """Begin to send metrics: the pipeline begins now."""
        for sink in self._metrics:
            sink.begin("once" if once else "daemon")

    def begin_standby(self) -> None:
        """Begin to send the gauges of a run that waits for its turn."""
        for sink in self._metrics:
            sink.begin_standby()

    def fail(self) -> None:
        """Send no row of zeros for a run that has failed before its first row and request."""
        if not any(
            s.rows or s.requests_total or s.settled_total for s in self.snapshots().values()
        ):
            for sink in self._metrics:
                sink.discard()

    def sink(self, campaign: str) -> EventSink:
        """Return the sink for the events of one campaign."""
        return self._sinks[campaign]

    def snapshots(self) -> dict[str, Snapshot]:
        """Return the statistics of each campaign."""
        return {name: stats.snapshot() for name, stats in self._stats.items()}

    def status(self, in_flight: int) -> Mapping[str, object]:
        """Return the status of the run as JSON values; with several campaigns also that of each."""
        snapshots = self.snapshots()
        merged = as_json(merge_snapshots(list(snapshots.values())))
        conditions = self.conditions()
        merged["condition"] = self.describe_condition(gravest(list(conditions.values())))
        if len(snapshots) == 1:
            return {"campaign": self._names[0], "in_flight": in_flight, **merged}
        campaigns = {
            name: {**as_json(snapshot), "condition": self.describe_condition(conditions[name])}
            for name, snapshot in snapshots.items()
        }
        return {"in_flight": in_flight, **merged, "campaigns": campaigns}

    def conditions(self) -> dict[str, Condition]:
        """Return the condition of each campaign."""
        return {
            name: self._trackers[name].condition if name in self._trackers else HEALTHY
            for name in self._names
        }

    def describe_condition(self, condition: Condition) -> Mapping[str, object]:
        """Return a condition as JSON values, with what to do."""
        url = self._settings.telemetry.runbook_url
        return condition_json(condition, runbook_link(condition.cause, url))

    def _tracker(self, campaign: str, sink: EventSink) -> ConditionTracker:
        by_name = {one.name: one.source for one in self._settings.campaigns}
        return ConditionTracker(
            self._platform,
            sink,
            TrackerOptions(
                self._settings.platform.window_seconds,
                by_name[campaign].expected_every_minutes * 60.0,
                self._settings.telemetry.runbook_url,
                self._settings.platform.timeout_seconds,
            ),
        )

    def _logs(self, campaign: str) -> tuple[EventSink, ...]:
        """Return the sinks of one campaign for its log, and for its traces if there are any."""
        if self.tracing is None:
            return (LogSink(campaign=campaign),)
        return self.tracing.campaign(campaign).sinks()

    def _statsd(self, campaign: str) -> StatsdSink:
        dialect = self._settings.platform.dialect
        agent, clients = make_agent(self._settings), self._clients
        sink = StatsdSink(
            agent, campaign=campaign, dialect=dialect, clients=clients,
            flush_seconds=flush_seconds(len(self._names)),
            on_dropped=self._from_thread(campaign),
        )  # fmt: skip
        self._metrics.append(sink)
        return sink

    def _close_metrics(self) -> None:
        """Send what is left; the campaigns together take as long as one."""
        for sink in self._metrics:
            sink.end()
        for sink in self._metrics:
            sink.close()

    def _from_thread(self, campaign: str) -> Callable[[Event], None]:
        """Return what emits events of other threads in the thread of the event loop."""
        loop = asyncio.get_running_loop()

        def emit(event: Event) -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(lambda: self._sinks[campaign].emit(event))

        return emit


def flush_seconds(campaigns: int) -> float:
    """Return how often the metrics of each of so many campaigns leave."""
    seconds = FLUSH_SECONDS * max(1.0, campaigns / CAMPAIGNS_AT_THAT_PACE)
    return min(seconds, SLOWEST_FLUSH_SECONDS)
