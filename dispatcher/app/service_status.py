"""What a run reports to the service manager: ready, alive, its status in one line, and its end."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack

from dispatcher.app.health import RunHealth
from dispatcher.app.sd_notify import ServiceManager
from dispatcher.app.tasks import cancel_and_wait
from dispatcher.telemetry.stats.run_stats import Snapshot

REPORT_SECONDS = 2.0
"""How often the status is reported; more often if the watchdog needs it."""
START_SECONDS = 30.0
"""By how much each report of a run that starts extends the time that it may take to start."""
_SIGNS_OF_LIFE = 3
"""Signs of life within the time of the watchdog."""


class ServiceStatus:
    """Reports from the event loop, so that a blocked loop is noticed by the watchdog.

    ``snapshots`` returns the statistics of each campaign. ``health`` comes before the ledger is
    open.
    """

    def __init__(
        self, snapshots: Callable[[], Mapping[str, Snapshot]], manager: ServiceManager
    ) -> None:
        self._manager, self._snapshots = manager, snapshots
        self._was_ready = self._stopping = False
        self._shown = ""
        self.health: RunHealth | None = None

    def start(self, stack: AsyncExitStack) -> None:
        """Report until the stack is closed, if there is a service manager."""
        if self._manager.is_there:
            stack.callback(self.stop)
            stack.push_async_callback(cancel_and_wait, asyncio.ensure_future(self._repeat()))

    def stop(self) -> None:
        """Report, once, that the run is about to end."""
        if not self._stopping:
            self._stopping = True
            self._manager.send(STOPPING=1)

    def report(self) -> None:
        """Send what is new, and a sign of life."""
        fields: dict[str, object] = {}
        if not self._was_ready and not self._stopping:
            self._was_ready = self._is_up()
            if self._was_ready:
                fields["READY"] = 1
            else:
                fields["EXTEND_TIMEOUT_USEC"] = round(START_SECONDS * 1e6)
        words = self._words()
        if words != self._shown:
            fields["STATUS"] = self._shown = words
        if self._manager.watchdog_seconds is not None:
            fields["WATCHDOG"] = 1
        if fields:
            self._manager.send(**fields)

    def _is_up(self) -> bool:
        """Return True if the run leads, or waits: as standby, or for the server of its ledger.

        The service manager starts others meanwhile, among them perhaps that server.
        """
        health = self.health
        if health is None:
            return False
        waits = bool(health.leadership.held) or health.ledger.is_waiting
        return health.pipeline is not None or waits

    def _words(self) -> str:
        health = self.health
        if health is None:
            return "stopping" if self._stopping else "starting"
        if health.ledger.is_waiting:
            return "stopping" if self._stopping else "waiting: the ledger is away"
        if health.pipeline is None:
            return health.leadership.words() or "starting"
        words = status_words(self._snapshots(), health.pipeline.in_flight)
        if self._stopping:
            return f"draining: {words}"
        return words if health.ledger.away_since is None else f"the ledger is away: {words}"

    async def _repeat(self) -> None:
        watchdog = self._manager.watchdog_seconds
        period = REPORT_SECONDS if watchdog is None else watchdog / _SIGNS_OF_LIFE
        while True:
            self.report()
            await asyncio.sleep(min(period, REPORT_SECONDS))


def status_words(snapshots: Mapping[str, Snapshot], in_flight: int) -> str:
    """Return the counts of a run in one line, the campaigns one after the other.

    For example ``cart: 120 notified, 31 linked, 2 parked, backlog 847; in flight: 6``.
    """
    parts = [f"{name}: {_counts(one)}" for name, one in snapshots.items()]
    return "; ".join([*parts, f"in flight: {in_flight}"])


def _counts(snapshot: Snapshot) -> str:
    settled: Counter[str] = Counter()
    for (status, _), number in snapshot.settled.items():
        settled[str(status)] += number
    counts = ", ".join(f"{number} {status}" for status, number in settled.items())
    parts = [counts or "0 settled"]
    if snapshot.gauges is not None:
        parts.append(f"backlog {snapshot.gauges.backlog}")
    parts += [f"halted: {reason}" for reason in snapshot.halts]
    return ", ".join(parts)
