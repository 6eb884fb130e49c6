"""The sums of several campaigns of a snapshot."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import astuple

from dispatcher.ports.snapshot import (
    CampaignSnapshot,
    DoubtSnapshot,
    RatesSnapshot,
    WaitSnapshot,
)


def sum_campaigns(name: str, campaigns: Sequence[CampaignSnapshot]) -> CampaignSnapshot:
    """Return the contacts of campaigns as those of one, without conditions, halts and sources."""
    outcomes: dict[str, Counter[str]] = {}
    rows: Counter[str] = Counter()
    for one in campaigns:
        rows.update(one.rows)
        for status, reasons in one.outcomes.items():
            outcomes.setdefault(status, Counter()).update(reasons)
    oldest = [one.oldest_due for one in campaigns if one.oldest_due is not None]
    read_at = [one.read_at for one in campaigns if one.read_at is not None]
    following = [one.next_due for one in campaigns if one.next_due is not None]
    return CampaignSnapshot(
        name,
        rows=rows,
        outcomes=outcomes,
        due=sum(one.due for one in campaigns),
        later=sum(one.later for one in campaigns),
        busy=sum(one.busy for one in campaigns),
        oldest_due=min(oldest, default=None),
        next_due=min(following, default=None),
        waits=_waits(wait for one in campaigns for wait in one.waits),
        in_doubt=_doubts([one.in_doubt for one in campaigns if one.in_doubt]),
        settled=sum(one.settled for one in campaigns),
        rates=RatesSnapshot(*map(sum, zip(*(astuple(c.rates) for c in campaigns), strict=True))),
        read_at=min(read_at, default=None),
    )


def _waits(waits: Iterable[WaitSnapshot]) -> Sequence[WaitSnapshot]:
    by_reason: dict[str, list[WaitSnapshot]] = {}
    for wait in waits:
        by_reason.setdefault(wait.reason, []).append(wait)
    sums = [
        WaitSnapshot(
            reason,
            sum(wait.contacts for wait in same),
            min((wait.first for wait in same if wait.first is not None), default=None),
            max((wait.last for wait in same if wait.last is not None), default=None),
        )
        for reason, same in by_reason.items()
    ]
    return sorted(sums, key=lambda wait: -wait.contacts)


def _doubts(doubts: Sequence[DoubtSnapshot]) -> DoubtSnapshot | None:
    if not doubts:
        return None
    reached = [one.records_reach for one in doubts if one.records_reach is not None]
    return DoubtSnapshot(
        sum(one.contacts for one in doubts),
        min((one.next_look for one in doubts if one.next_look is not None), default=None),
        min(reached, default=None),
        min((one.parked_at for one in doubts if one.parked_at is not None), default=None),
    )
