"""One OAuth client of the pool: its connection to the platform, its pacer, its breaker."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from dispatcher.engine.clients.breaker import CircuitBreaker
from dispatcher.ports import Pacer, Platform


@dataclass(frozen=True, slots=True, eq=False)
class ClientConnection:
    """How one OAuth client reaches the platform, and at which pace.

    ``name`` is its alias, empty if the run has one client. ``requests_per_minute`` is its
    quota, and so its weight in the share of all quotas that is used.
    """

    name: str
    platform: Platform
    pacer: Pacer
    requests_per_minute: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class OAuthClient(ClientConnection):
    """One OAuth client of a pool. Its halts and holds concern no other client."""

    breaker: CircuitBreaker = field(kw_only=True)


def quota_used(clients: Sequence[OAuthClient]) -> float:
    """Return the share of all quotas together that is used, from 0 to 1."""
    if len(clients) == 1:
        return clients[0].pacer.quota_used
    used = sum(client.pacer.quota_used * client.requests_per_minute for client in clients)
    return used / sum(client.requests_per_minute for client in clients)
