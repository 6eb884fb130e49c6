"""Snapshots of several campaigns, merged into one of the run."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, fields, replace
from functools import reduce
from operator import add

from dispatcher.domain.events import Gauges
from dispatcher.domain.status import HaltReason
from dispatcher.telemetry.stats.client_stats import ClientSnapshot
from dispatcher.telemetry.stats.run_stats import Counts, Rates, Snapshot


def merge_snapshots(snapshots: Sequence[Snapshot]) -> Snapshot:
    """Merge the campaigns of one run; there is at least one.

    Counts, rates, backlogs and contacts in flight are sums. Pace and quota are those of the run
    already, and the oldest due contact is the oldest of all. The run is halted for the reasons
    for which all campaigns are.
    """
    if len(snapshots) == 1:
        return snapshots[0]
    counts = {
        count.name: reduce(add, (getattr(snapshot, count.name) for snapshot in snapshots))
        for count in fields(Counts)
    }
    return Snapshot(
        **counts,
        seconds=max(snapshot.seconds for snapshot in snapshots),
        halts=_halts([snapshot.halts for snapshot in snapshots]),
        rates=Rates(*map(sum, zip(*(astuple(s.rates) for s in snapshots), strict=True))),
        gauges=_gauges([s.gauges for s in snapshots if s.gauges is not None]),
        clients=_clients([snapshot.clients for snapshot in snapshots]),
    )


def _halts(campaigns: Sequence[Mapping[HaltReason, float]]) -> dict[HaltReason, float]:
    return {
        reason: max(halts[reason] for halts in campaigns)
        for reason in campaigns[0]
        if all(reason in halts for halts in campaigns)
    }


def _gauges(campaigns: Sequence[Gauges]) -> Gauges | None:
    if not campaigns:
        return None
    return replace(
        campaigns[-1],
        in_flight=sum(gauges.in_flight for gauges in campaigns),
        backlog=sum(gauges.backlog for gauges in campaigns),
        oldest_due=max(gauges.oldest_due for gauges in campaigns),
    )


def _clients(campaigns: Sequence[Mapping[str, ClientSnapshot]]) -> dict[str, ClientSnapshot]:
    """Sum the counts of each client; its halts and its pace are the same in all campaigns."""
    merged = {}
    for name, client in campaigns[0].items():
        same = [clients[name] for clients in campaigns]
        merged[name] = replace(
            client,
            requests=sum(one.requests for one in same),
            throttled=sum(one.throttled for one in same),
            scope_errors=sum(one.scope_errors for one in same),
            closed_session_conflicts=sum(one.closed_session_conflicts for one in same),
        )
    return merged
