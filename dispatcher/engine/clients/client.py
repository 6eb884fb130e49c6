"""One OAuth client of the pool: its connection to the platform, its pacer, its breaker."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from dispatcher.domain.events import ClientPace, QuotaUse
from dispatcher.engine.clients.breaker import CircuitBreaker
from dispatcher.ports import Pacer, Platform


@dataclass(frozen=True, slots=True, eq=False)
class ClientConnection:
    """How one OAuth client reaches the platform, and at which pace.

    ``name`` is its alias, empty if the run has one client.
    """

    name: str
    platform: Platform
    pacer: Pacer


@dataclass(frozen=True, slots=True, eq=False)
class OAuthClient(ClientConnection):
    """One OAuth client of a pool. Its halts and holds concern no other client."""

    breaker: CircuitBreaker = field(kw_only=True)


def client_paces(clients: Sequence[OAuthClient]) -> tuple[ClientPace, ...]:
    """Return the pace and the quota of each client, if there are several."""
    named = [(client, client.pacer.quota) for client in clients if client.name]
    return tuple(
        ClientPace(client.name, client.pacer.rate, quota.used, quota) for client, quota in named
    )


def quota_use(clients: Sequence[OAuthClient]) -> QuotaUse:
    """Return what was used of all quotas together."""
    uses = [client.pacer.quota for client in clients]
    return QuotaUse(
        limit=sum(use.limit for use in uses),
        own=sum(use.own for use in uses),
        others=sum(use.others for use in uses),
    )
