"""Health of a run over HTTP: alive, ready, and whether it leads."""

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

from dispatcher.app.leadership import Leadership
from dispatcher.app.ledger_presence import LedgerPresence
from dispatcher.engine.clients.pool import ClientPool
from dispatcher.engine.pipeline import Pipeline
from dispatcher.http_server.health import serve_health
from dispatcher.settings import Settings


@dataclass(slots=True)
class RunHealth:
    """What the health of a run follows from; ``pool`` and ``pipeline`` come when it leads."""

    ledger: LedgerPresence
    leadership: Leadership
    pool: ClientPool | None = None
    pipeline: Pipeline | None = None

    def why_not_ready(self) -> str:
        """Return why the run does not do its work; empty if it sends, or waits to take over.

        The reason is ``ledger_away``, ``starting`` or ``halted``.
        """
        if self.ledger.away_since is not None:
            return "ledger_away"
        if self.pool is None or self.pipeline is None:
            return "" if self.leadership.held else "starting"
        is_halted = self.pool.halted_since is not None or self.pipeline.halted
        return "halted" if is_halted else ""

    def leads(self) -> bool:
        """Return True if the run has its leases, and its pipeline runs."""
        return self.pipeline is not None and self.ledger.leads


async def serve_run_health(
    stack: AsyncExitStack,
    settings: Settings,
    health: RunHealth,
    status: Callable[[], Mapping[str, object]],
) -> None:
    """Serve the health of a run until the stack is closed, if a port is set for it.

    Raises:
        HealthAddressError: the address cannot be listened on.

    """
    telemetry = settings.telemetry
    if telemetry.health_port:
        await serve_health(
            stack,
            telemetry.health_host,
            telemetry.health_port,
            status=status,
            why_not_ready=health.why_not_ready,
            leads=health.leads,
        )
