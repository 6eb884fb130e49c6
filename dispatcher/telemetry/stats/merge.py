"""Snapshots of several campaigns, merged into one of the run."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import astuple, fields, replace
from functools import reduce
from operator import add

from dispatcher.domain.events import Gauges, SourceState
from dispatcher.domain.status import HaltReason
from dispatcher.telemetry.stats.client_stats import ClientSnapshot
from dispatcher.telemetry.stats.run_stats import Counts, Rates, Snapshot

_LEAST_WEIGHT = 1e-9


def merge_snapshots(snapshots: Sequence[Snapshot]) -> Snapshot:
    """Merge the campaigns of one run; there is at least one.

    Counts, rates, backlogs and contacts in flight are sums. Pace and quota are those of the run
    already, and the oldest due contact is the oldest of all. The run is halted for the reasons
    for which all campaigns are. Requests for tokens and most halts are those of the run already.
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
        token_requests=snapshots[0].token_requests,
        halts_begun=_most([snapshot.halts_begun for snapshot in snapshots]),
        requests_per_contact=_ratio(snapshots),
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
        contacts=_sums([gauges.contacts for gauges in campaigns]),
        source=_source([gauges.source for gauges in campaigns if gauges.source is not None]),
    )


def _sums(campaigns: Sequence[Mapping[tuple[str, str], int]]) -> dict[tuple[str, str], int]:
    sums: Counter[tuple[str, str]] = Counter()
    for contacts in campaigns:
        sums.update(contacts)
    return dict(sums)


def _source(sources: Sequence[SourceState]) -> SourceState | None:
    """Return all sources as one: it ends with the last one, and its last row is the newest."""
    if not sources:
        return None
    lags = [source.lag for source in sources if source.lag is not None]
    return SourceState(
        age=min((source.age for source in sources if source.age is not None), default=None),
        rows=sum(source.rows for source in sources),
        ended=all(source.ended for source in sources),
        watched=any(source.watched for source in sources),
        waits_for="; ".join(source.waits_for for source in sources if source.waits_for),
        lag=sum(lags) if lags else None,
    )


def _most(campaigns: Sequence[Mapping[HaltReason, int]]) -> dict[HaltReason, int]:
    reasons = {reason for halts in campaigns for reason in halts}
    return {reason: max(halts.get(reason, 0) for halts in campaigns) for reason in reasons}


def _ratio(snapshots: Sequence[Snapshot]) -> float:
    """Return the mean of the campaigns, weighed by what they settled in the last minute."""
    weights = [max(snapshot.rates.settled_60, _LEAST_WEIGHT) for snapshot in snapshots]
    pairs = zip(snapshots, weights, strict=True)
    return sum(one.requests_per_contact * weight for one, weight in pairs) / sum(weights)


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
