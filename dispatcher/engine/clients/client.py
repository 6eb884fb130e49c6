"""One OAuth client of the pool: its way to the platform, its pace, and its halts."""

from collections.abc import Sequence
from dataclasses import dataclass

from dispatcher.engine.clients.breaker import CircuitBreaker
from dispatcher.ports import Pacer, Platform


@dataclass(frozen=True, slots=True, eq=False)
class OAuthClient:
    """One OAuth client; what befalls it befalls no other.

    ``name`` is its alias, empty where there is but one client. ``requests_per_minute`` is its
    quota, and so its weight where the quota of all is told.
    """

    name: str
    platform: Platform
    pacer: Pacer
    breaker: CircuitBreaker
    requests_per_minute: float = 1.0


def quota_used(clients: Sequence[OAuthClient]) -> float:
    """Return the share of all quotas together that is used, from 0 to 1."""
    if len(clients) == 1:
        return clients[0].pacer.quota_used
    used = sum(each.pacer.quota_used * each.requests_per_minute for each in clients)
    return used / sum(each.requests_per_minute for each in clients)
