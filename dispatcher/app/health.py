"""Health of a run over HTTP: alive, ready, and whether it leads."""

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

from dispatcher.app.leadership import Leadership
from dispatcher.engine.clients.pool import ClientPool
from dispatcher.engine.pipeline import Pipeline
from dispatcher.http_server.health import serve_health
from dispatcher.ports import Store
from dispatcher.settings import Settings


@dataclass(slots=True)
class RunHealth:
    """What the health of a run follows from; ``pool`` and ``pipeline`` come when it leads."""

    store: Store
    leadership: Leadership
    pool: ClientPool | None = None
    pipeline: Pipeline | None = None

    def ready(self) -> bool:
        """Return True if the run does its work: it sends, or waits to take over.

        It does not while the ledger is away, and while it starts or is halted.
        """
        if self.store.away_since is not None:
            return False
        if self.pool is None or self.pipeline is None:
            return bool(self.leadership.held)
        return self.pool.halted_since is None and not self.pipeline.halted

    def leads(self) -> bool:
        """Return True if the run has its leases, and its pipeline runs."""
        return self.pipeline is not None and self.store.tenure.left() > 0


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
            ready=health.ready,
            leads=health.leads,
        )
