"""Snapshots of several campaigns added up to one of the run."""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

from dispatcher.domain.events import Gauges
from dispatcher.domain.status import HaltReason
from dispatcher.telemetry.stats import client_stats
from dispatcher.telemetry.stats.run_stats import Rates, Snapshot

_Key = TypeVar("_Key", bound=Hashable)


def merge_snapshots(snapshots: Sequence[Snapshot]) -> Snapshot:
    """Add the campaigns of one run up; there is at least one.

    Counts, rates, backlogs and contacts in flight are sums. Pace and quota are the run's own
    already, and the oldest due contact is the oldest of all. The run stands still for a reason
    for which every campaign does.
    """
    if len(snapshots) == 1:
        return snapshots[0]
    return Snapshot(
        seconds=max(each.seconds for each in snapshots),
        rows=sum(each.rows for each in snapshots),
        admitted=sum(each.admitted for each in snapshots),
        duplicates=sum(each.duplicates for each in snapshots),
        rejected_rows=sum(each.rejected_rows for each in snapshots),
        filtered=sum(each.filtered for each in snapshots),
        settled=_sum(each.settled for each in snapshots),
        requests=_sum(each.requests for each in snapshots),
        scope_errors=_sum(each.scope_errors for each in snapshots),
        closed_session_conflicts=_sum(each.closed_session_conflicts for each in snapshots),
        retry_loops=_sum(each.retry_loops for each in snapshots),
        retries=_sum(each.retries for each in snapshots),
        in_doubt=_sum(each.in_doubt for each in snapshots),
        throttled=sum(each.throttled for each in snapshots),
        halts=_halts(snapshots),
        rates=_rates([each.rates for each in snapshots]),
        gauges=_gauges([each.gauges for each in snapshots if each.gauges is not None]),
        clients=client_stats.merge_clients([each.clients for each in snapshots]),
    )


def _sum(counts: Iterable[Mapping[_Key, int]]) -> dict[_Key, int]:
    total: Counter[_Key] = Counter()
    for each in counts:
        total.update(each)
    return dict(total)


def _halts(snapshots: Sequence[Snapshot]) -> dict[HaltReason, float]:
    first, *others = snapshots
    return {
        reason: max(each.halts[reason] for each in snapshots)
        for reason in first.halts
        if all(reason in each.halts for each in others)
    }


def _rates(rates: Sequence[Rates]) -> Rates:
    return Rates(
        settled_10=sum(each.settled_10 for each in rates),
        settled_60=sum(each.settled_60 for each in rates),
        requests_10=sum(each.requests_10 for each in rates),
        requests_60=sum(each.requests_60 for each in rates),
    )


def _gauges(gauges: Sequence[Gauges]) -> Gauges | None:
    if not gauges:
        return None
    return Gauges(
        in_flight=sum(each.in_flight for each in gauges),
        backlog=sum(each.backlog for each in gauges),
        oldest_due=max(each.oldest_due for each in gauges),
        pace=gauges[-1].pace,
        quota_used=gauges[-1].quota_used,
        clients=gauges[-1].clients,
    )
