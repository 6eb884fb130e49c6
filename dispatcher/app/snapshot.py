"""Takes snapshots of a run, for its control socket and its page, without a look at the ledger.

All of it is in memory already: a snapshot takes some hundred microseconds, and also comes while the
ledger is away.
"""

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from math import isfinite
from typing import Any

from dispatcher import __version__
from dispatcher.app.leadership import Leadership
from dispatcher.app.telemetry import RunTelemetry
from dispatcher.domain.condition import PRECEDENCE, Cause, Condition
from dispatcher.domain.contact_counts import final_counts
from dispatcher.domain.doubts import Doubts
from dispatcher.domain.events import Gauges, QuotaUse
from dispatcher.domain.status import Status
from dispatcher.domain.wait_counts import Span
from dispatcher.engine.campaign_run import CampaignRun
from dispatcher.engine.pipeline import Pipeline
from dispatcher.ports import Store
from dispatcher.ports.snapshot import (
    DRAINING,
    RUNNING,
    STANDBY,
    STARTING,
    CampaignSnapshot,
    ConditionSnapshot,
    DoubtSnapshot,
    FailureSnapshot,
    FindingSnapshot,
    LeaseSnapshot,
    LedgerSnapshot,
    OAuthClientSnapshot,
    QuotaSnapshot,
    RatesSnapshot,
    RunSnapshot,
    SinkSnapshot,
    SourceSnapshot,
    WaitSnapshot,
)
from dispatcher.settings import Settings
from dispatcher.sinks.pump import LineagePump
from dispatcher.sinks.webhook import Webhook
from dispatcher.telemetry.condition.as_json import gravest
from dispatcher.telemetry.stats.merge import merge_snapshots
from dispatcher.telemetry.stats.run_stats import Snapshot

SPAN_SHARE = 0.002
"""The share of a run's time that a snapshot may take to find out until when contacts wait."""


class SnapshotTaker:
    """Takes snapshots of a run; ``store``, ``pipeline`` and ``sinks`` come as the run starts."""

    def __init__(self, settings: Settings, telemetry: RunTelemetry, leadership: Leadership) -> None:
        self._settings, self._telemetry, self._leadership = settings, telemetry, leadership
        self._started_at = time.time()
        self.store: Store | None = None
        self.pipeline: Pipeline | None = None
        self.sinks: Mapping[str, LineagePump | Webhook] = {}
        self._spans: dict[str, tuple[float, Mapping[str, Span]]] = {}

    def take(self) -> RunSnapshot:
        """Return the run as it is now."""
        snapshots = self._telemetry.snapshots()
        merged = merge_snapshots(list(snapshots.values()))
        conditions = self._telemetry.conditions()
        gauges = merged.gauges
        return RunSnapshot(
            pid=os.getpid(),
            taken_at=time.time(),
            started_at=self._started_at,
            version=__version__,
            phase=self._phase(),
            condition=self._condition(gravest(list(conditions.values()))),
            campaigns=[
                self._campaign(name, snapshot, conditions[name])
                for name, snapshot in snapshots.items()
            ],
            rates=_rates(merged),
            quota=_quota(gauges.quota, gauges.pace) if gauges else QuotaSnapshot(),
            requests=_nested(merged.requests),
            requests_per_contact=round(merged.requests_per_contact, 2),
            throttled=merged.throttled,
            failures=_failures(merged),
            halts=_plain(merged.halts),
            clients=list(_clients(merged)),
            sinks=[
                SinkSnapshot(name, sink.state.lag, sink.state.error)
                for name, sink in self.sinks.items()
            ],
            ledger=self._ledger(gauges),
            leases=[
                LeaseSnapshot(f"{one.lease.kind} {one.lease.name}", one.daemon, one.host, one.since)
                for one in self._leadership.held
            ],
            loop_lag=round(gauges.loop_lag, 4) if gauges else 0.0,
        )

    def _phase(self) -> str:
        if self.pipeline is not None:
            return DRAINING if self.pipeline.stopping else RUNNING
        return STANDBY if self._leadership.held else STARTING

    def _ledger(self, gauges: Gauges | None) -> LedgerSnapshot:
        state = gauges.ledger if gauges else None
        return LedgerSnapshot(
            name=self._settings.ledger_place.whole,
            on_server=bool(self._settings.ledger.url),
            away_since=self.store.away_since if self.store is not None else None,
            size=state.size if state else 0,
            free=state.free if state else None,
            commit=round(state.commit, 5) if state else 0.0,
        )

    def _condition(self, condition: Condition) -> ConditionSnapshot:
        """Return a condition; while the ledger is away only one that explains more than that.

        For the first seconds its absence is no condition yet, and nothing else can be judged.
        """
        away = self.store.away_since if self.store is not None else None
        if away is not None and PRECEDENCE[condition.cause] > PRECEDENCE[Cause.LEDGER_AWAY]:
            return ConditionSnapshot.unknown(away, "the server of the ledger does not answer")
        values: dict[str, Any] = dict(self._telemetry.describe_condition(condition))
        others = [
            FindingSnapshot(str(o.cause), o.words, dict(o.evidence)) for o in condition.others
        ]
        return ConditionSnapshot(**{**values, "others": others})

    def _campaign(self, name: str, counts: Snapshot, condition: Condition) -> CampaignSnapshot:
        run = self.pipeline.find_campaign(name) if self.pipeline is not None else None
        ledger = _ledger_values(run, self._wait_spans(run)) if run is not None else {}
        return CampaignSnapshot(
            name=name,
            condition=self._condition(condition),
            settled=counts.settled_total,
            rates=_rates(counts),
            failures=_failures(counts),
            halts=_plain(counts.halts),
            source=self._source(name, counts),
            **ledger,
        )

    def _source(self, name: str, counts: Snapshot) -> SourceSnapshot:
        kinds = {campaign.name: campaign.source.kind for campaign in self._settings.campaigns}
        state = counts.gauges.source if counts.gauges else None
        return SourceSnapshot(kinds[name], **(asdict(state) if state else {}))

    def _wait_spans(self, run: CampaignRun) -> Mapping[str, Span]:
        began = time.monotonic()
        good_until, spans = self._spans.get(run.name, (began, {}))
        if began >= good_until:
            spans = run.due_times.waiting.spans()
            ended = time.monotonic()
            self._spans[run.name] = ended + (ended - began) / SPAN_SHARE, spans
        return spans


def _ledger_values(run: CampaignRun, spans: Mapping[str, Span]) -> dict[str, Any]:
    """Return what the run last read of the campaign's ledger."""
    overview = run.overview
    if overview is None:
        return {}
    totals, backlog = overview.totals, overview.backlog
    return {
        "rows": {
            "read": totals.rows,
            "admitted": totals.admitted,
            "duplicates": totals.duplicates,
            "rejected": sum(totals.rejected.values()),
            "filtered": totals.filtered,
        },
        "outcomes": final_counts(totals.by_status),
        "due": backlog.due,
        "later": backlog.later,
        "busy": backlog.claimed_or_sending,
        "oldest_due": backlog.oldest_due,
        "next_due": backlog.next_due,
        "waits": list(_waits(run, spans)),
        "in_doubt": _doubts(run, totals.by_status.get((Status.IN_DOUBT, None), 0)),
        "read_at": run.overview_at,
    }


def _waits(run: CampaignRun, spans: Mapping[str, Span]) -> Iterator[WaitSnapshot]:
    """Yield what contacts wait for, the largest number first."""
    for reason, contacts in sorted(run.waits.items(), key=lambda item: -item[1]):
        first, last = spans.get(reason, (None, None))
        yield WaitSnapshot(reason, contacts, first, last)


def _doubts(run: CampaignRun, contacts: int) -> DoubtSnapshot | None:
    if not contacts:
        return None
    look = run.due_times.next_look_back
    doubts = run.reconciler.describe(Doubts(contacts, run.due_times.last_doubt, None, look))
    return DoubtSnapshot(
        contacts, look if look > 0 and isfinite(look) else None, doubts.records_reach,
        doubts.parked_at,
    )  # fmt: skip


def _rates(counts: Snapshot) -> RatesSnapshot:
    return RatesSnapshot(**{name: round(rate, 2) for name, rate in asdict(counts.rates).items()})


def _quota(quota: QuotaUse, pace: float) -> QuotaSnapshot:
    limit, own, others = (round(value, 1) for value in (quota.limit, quota.own, quota.others))
    return QuotaSnapshot(limit, own, others, round(pace, 3))


def _failures(counts: Snapshot) -> FailureSnapshot:
    conflicts = {
        f"{step} {status}": contacts
        for (step, status), contacts in counts.closed_session_conflicts.items()
    }
    return FailureSnapshot(
        scope_errors=_plain(counts.scope_errors),
        closed_session_conflicts=conflicts,
        retry_loops=_plain(counts.retry_loops),
    )


def _clients(merged: Snapshot) -> Iterator[OAuthClientSnapshot]:
    for name, client in merged.clients.items():
        quota, halts = _quota(client.quota, client.pace), _plain(client.halts)
        yield OAuthClientSnapshot(
            name, client.requests, client.throttled, client.scope_errors, quota, halts
        )


def _plain(counts: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(word): value for word, value in counts.items()}


def _nested(counts: Mapping[tuple[Any, Any], int]) -> dict[str, dict[str, int]]:
    nested: dict[str, dict[str, int]] = {}
    for (outer, inner), count in counts.items():
        nested.setdefault(str(outer), {})[str(inner)] = count
    return nested
