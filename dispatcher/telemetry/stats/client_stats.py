"""Counts of each OAuth client, where there are several."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from dispatcher.domain.events import (
    Answered,
    ClosedConflict,
    Gauges,
    Halted,
    QuotaUse,
    Resumed,
    ScopeError,
    Throttled,
)
from dispatcher.domain.status import HaltReason


@dataclass(slots=True)
class ClientSnapshot:
    """The state of one client at one moment, and its counts in this run.

    ``halts`` has the reason why it is halted, with the time of the halt in seconds since the
    epoch. ``pace`` is in requests per second, ``quota_used`` from 0 to 1,
    ``quota`` in requests per minute.
    """

    requests: int = 0
    throttled: int = 0
    scope_errors: int = 0
    closed_session_conflicts: int = 0
    halts: Mapping[HaltReason, float] = field(default_factory=dict)
    pace: float = 0.0
    quota_used: float = 0.0
    quota: QuotaUse = field(default_factory=QuotaUse)


class ClientStats:
    """Counts the events of each of several clients; ``epoch`` is the clock for halts."""

    def __init__(self, names: Sequence[str], epoch: Callable[[], float]) -> None:
        self._clients = {name: ClientSnapshot() for name in names}
        self._epoch = epoch

    def emit(
        self, event: Answered | ScopeError | ClosedConflict | Throttled | Halted | Resumed
    ) -> None:
        """Count an event if it concerns one of the clients."""
        client = self._clients.get(event.client)
        if client is None:
            return
        match event:
            case Answered():
                client.requests += 1
            case ScopeError():
                client.scope_errors += 1
            case ClosedConflict():
                client.closed_session_conflicts += 1
            case Throttled():
                client.throttled += 1
            case Halted(reason):
                client.halts = {reason: client.halts.get(reason, self._epoch())}
            case Resumed(reason):
                client.halts = {r: since for r, since in client.halts.items() if r is not reason}

    def set_pace(self, gauges: Gauges) -> None:
        """Keep the pace and the quota of each client."""
        for pace in gauges.clients:
            client = self._clients[pace.client]
            client.pace, client.quota_used = pace.pace, pace.quota_used
            client.quota = pace.quota

    def halts(self) -> dict[HaltReason, float]:
        """Return why the run is halted: the reasons of its clients if all of them are halted."""
        halts = [client.halts for client in self._clients.values()]
        if not halts or not all(halts):
            return {}
        since = max(max(of_client.values()) for of_client in halts)
        return {reason: since for of_client in halts for reason in of_client}

    def snapshot(self) -> dict[str, ClientSnapshot]:
        """Return the state of each client by its alias."""
        return {name: replace(client) for name, client in self._clients.items()}
