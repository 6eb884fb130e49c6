"""Counts of each OAuth client, where there are several."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dispatcher.domain.events import (
    Answered,
    ClosedConflict,
    Gauges,
    Halted,
    Resumed,
    ScopeError,
    Throttled,
)
from dispatcher.domain.status import HaltReason


@dataclass(slots=True)
class ClientSnapshot:
    """How one client stood at one moment, and what it did in this run.

    ``halts`` has the reason for which it stands still with the time since when, in seconds
    since the epoch. ``pace`` is in requests per second, ``quota_used`` from 0 to 1.
    """

    requests: int = 0
    throttled: int = 0
    scope_errors: int = 0
    closed_session_conflicts: int = 0
    halts: Mapping[HaltReason, float] = field(default_factory=dict)
    pace: float = 0.0
    quota_used: float = 0.0


class ClientStats:
    """Counts what concerns a client; without several there is nothing to count."""

    def __init__(self, names: Sequence[str] = ()) -> None:
        self._of = {name: ClientSnapshot() for name in names}

    def answered(self, event: Answered) -> None:
        """Count a request."""
        self._of[event.client].requests += 1

    def counted(self, event: ScopeError | ClosedConflict | Throttled) -> None:
        """Count a refusal."""
        if not event.client:
            return
        one = self._of[event.client]
        match event:
            case ScopeError():
                one.scope_errors += 1
            case ClosedConflict():
                one.closed_session_conflicts += 1
            case Throttled():
                one.throttled += 1

    def halted(self, event: Halted, now: float) -> None:
        """Note that a client stands still."""
        one = self._of[event.client]
        one.halts = {event.reason: one.halts.get(event.reason, now)}

    def resumed(self, event: Resumed) -> None:
        """Note that a client goes on."""
        one = self._of[event.client]
        one.halts = {reason: at for reason, at in one.halts.items() if reason is not event.reason}

    def paced(self, gauges: Gauges) -> None:
        """Note each client's pace."""
        for each in gauges.clients:
            one = self._of[each.client]
            one.pace, one.quota_used = each.pace, each.quota_used

    def halts(self) -> dict[HaltReason, float]:
        """Return why the run as a whole stands still: for what its clients do, if all do."""
        each = [one.halts for one in self._of.values()]
        if not each or not all(each):
            return {}
        since = max(max(halts.values()) for halts in each)
        return {reason: since for halts in each for reason in halts}

    def standing(self) -> dict[str, ClientSnapshot]:
        """Return how each client stands."""
        return {
            name: ClientSnapshot(
                one.requests, one.throttled, one.scope_errors, one.closed_session_conflicts,
                dict(one.halts), one.pace, one.quota_used,
            )
            for name, one in self._of.items()
        }  # fmt: skip


def merge_clients(campaigns: Sequence[Mapping[str, ClientSnapshot]]) -> dict[str, ClientSnapshot]:
    """Add up what each client did for several campaigns; how it stands is told to all alike."""
    first, *others = campaigns
    total: dict[str, ClientSnapshot] = {}
    for name, one in first.items():
        each = [one, *(other[name] for other in others if name in other)]
        total[name] = ClientSnapshot(
            sum(own.requests for own in each), sum(own.throttled for own in each),
            sum(own.scope_errors for own in each),
            sum(own.closed_session_conflicts for own in each),
            one.halts, one.pace, one.quota_used,
        )  # fmt: skip
    return total


def as_json(clients: Mapping[str, ClientSnapshot]) -> dict[str, object]:
    """Return the standings as plain values, by alias."""
    return {
        name: {
            "requests": one.requests,
            "throttled": one.throttled,
            "scope_errors": one.scope_errors,
            "closed_session_conflicts": one.closed_session_conflicts,
            "halted_since": {str(reason): since for reason, since in one.halts.items()},
            "pace": round(one.pace, 3),
            "quota_used": round(one.quota_used, 4),
        }
        for name, one in clients.items()
    }
