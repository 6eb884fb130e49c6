"""Where the facts of a run go: for each campaign its own counts and metrics, and one log."""

import asyncio
import signal
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import BinaryIO

from dispatcher.app.wiring import make_agent
from dispatcher.ports import EventSink
from dispatcher.settings import Settings
from dispatcher.telemetry.fanout import Fanout
from dispatcher.telemetry.logs.setup import configure
from dispatcher.telemetry.logs.sink import LogSink
from dispatcher.telemetry.metrics.sink import StatsdSink
from dispatcher.telemetry.stats.as_json import as_json
from dispatcher.telemetry.stats.merge import merge_snapshots
from dispatcher.telemetry.stats.run_stats import RunStats, Snapshot

EVERY_CAMPAIGN = "*"
"""What the log names in place of a campaign where a fact concerns all of them."""


class Observation:
    """Counts, metrics and the log of a run, by campaign.

    ``everybody`` takes what concerns the run as a whole, such as a halt: it counts for every
    campaign and is logged once.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._names = [campaign.name for campaign in settings.campaigns]
        self._clients = [client.name for client in settings.clients]
        self._tallies = {name: RunStats(clients=self._clients) for name in self._names}
        self._sinks: dict[str, Fanout] = {}
        self.everybody: EventSink = Fanout(())

    def open(self, stack: AsyncExitStack, stream: BinaryIO | None) -> None:
        """Begin to log, to ``stream`` where there is one, and to send metrics."""
        given = self._settings.telemetry
        path = Path(given.log_file) if given.log_file else None
        logs = configure(given.log_format, path=path, stream=stream, level=given.log_level)
        stack.callback(logs.close)
        # A log file is opened again by itself: the signal only must not end the process.
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, lambda: None)
        counting: list[EventSink] = []
        for name, tally in self._tallies.items():
            statsd = self._statsd(name, stack)
            self._sinks[name] = Fanout([tally, statsd, LogSink(campaign=name)])
            counting += [tally, statsd]
        if len(self._names) == 1:
            self.everybody = self._sinks[self._names[0]]
        else:
            self.everybody = Fanout([*counting, LogSink(campaign=EVERY_CAMPAIGN)])

    def of(self, campaign: str) -> EventSink:
        """Return where the facts of one campaign go."""
        return self._sinks[campaign]

    def snapshots(self) -> dict[str, Snapshot]:
        """Return how each campaign stands."""
        return {name: tally.snapshot() for name, tally in self._tallies.items()}

    def status(self, in_flight: int) -> Mapping[str, object]:
        """Return how the run stands as plain values; several campaigns with each one's own."""
        each = self.snapshots()
        whole = {"in_flight": in_flight, **as_json(merge_snapshots(list(each.values())))}
        if len(each) == 1:
            return {"campaign": self._names[0], **whole}
        return {**whole, "campaigns": {name: as_json(found) for name, found in each.items()}}

    def _statsd(self, campaign: str, stack: AsyncExitStack) -> StatsdSink:
        dialect = self._settings.platform.dialect
        agent, clients = make_agent(self._settings), self._clients
        sink = StatsdSink(agent, campaign=campaign, dialect=dialect, clients=clients)
        stack.callback(sink.close)
        return sink
