"""Turns the events of a campaign into facts, and judges its condition."""

import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from dispatcher.domain.condition import HEALTHY, Condition
from dispatcher.domain.condition_campaign import GAUGE_SECONDS, is_shared
from dispatcher.domain.condition_facts import DiskTrend, Facts, QuotaPressure
from dispatcher.domain.condition_hold import ConditionHold
from dispatcher.domain.condition_judgement import judge
from dispatcher.domain.condition_standstill import work_due
from dispatcher.domain.condition_texts import runbook_link
from dispatcher.domain.condition_throttle import is_refused
from dispatcher.domain.events import (
    ClosedConflict,
    ConditionJudged,
    Deferred,
    Gauges,
    Halted,
    LeaderState,
    LedgerState,
    MetricsDropped,
    QuotaUse,
    Resumed,
    RetryLoop,
    RowsRead,
    Settled,
    SinkLagged,
    SuppressionListKept,
)
from dispatcher.domain.status import RetryReason, Status
from dispatcher.ports import EventSink
from dispatcher.telemetry.condition.halts import HaltTimes
from dispatcher.telemetry.condition.platform_tracker import CAMPAIGN_HALTS, PlatformTracker
from dispatcher.telemetry.condition.row_window import RowWindow
from dispatcher.telemetry.condition.sink_times import SinkTimes
from dispatcher.telemetry.condition.standstill import StandstillClock
from dispatcher.telemetry.condition.windows import RollingSums
from dispatcher.telemetry.fanout import HandlerSink

MINUTE = 60.0
FIVE_MINUTES = 300.0
TEN_MINUTES = 600.0
DISK_SECONDS = 300.0
"""The time over which the trend of the disk is measured."""
DISK_STEP = 10.0
WINDOWS_WITHOUT_OTHERS = 1.5
"""A single window of the quota without others is no end of what they use: where the platform sends
no rate headers, they show only in windows with a refusal."""
WINDOWS_AFTER_REFUSALS = 2.0
"""So many windows after a time of nothing but 429 the last whole window is one of them: what the
pacer takes there for use by others, because it did not send, proves no other program."""
REMEMBERED_CONFLICTS = 4096
"""Contacts whose conflicts are counted once: a contact that is refused again is no second one."""

NO_GAUGES = Gauges(in_flight=0, backlog=0, oldest_due=0.0, pace=0.0, quota_used=0.0)
"""What is known before the first gauges."""

_PARKED = Status.PARKED  # a member of an enum takes longer to look up


@dataclass(frozen=True, slots=True)
class TrackerOptions:
    """What a campaign's settings say; times as in `Facts`."""

    window_seconds: float = MINUTE
    expected_every: float = 0.0
    runbook_url: str = ""
    timeout_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _Pressed:
    """Others use a quota: since when, when that showed last, and how much they used then."""

    since: float
    last: float
    use: QuotaUse


class ConditionTracker(HandlerSink):
    """Judges the condition of one campaign with each `Gauges`, and emits it to ``sink``.

    ``platform`` is shared by the campaigns of the run, and takes their events itself.
    One thread must emit events.
    """

    def __init__(
        self, platform: PlatformTracker, sink: EventSink, options: TrackerOptions, *,
        monotonic: Callable[[], float] = time.monotonic, epoch: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self.condition: Condition = HEALTHY
        """What was judged last."""
        self._platform, self._sink = platform, sink
        self._options = options
        self._monotonic, self._epoch = monotonic, epoch
        self._started = monotonic()
        self._hold = ConditionHold()
        self._halts = HaltTimes(monotonic)
        self._settled = 0
        self._moved = False
        self._counts: Counter[str] = Counter()
        self._minute = RollingSums(MINUTE)
        self._five = RollingSums(FIVE_MINUTES)
        self._ten = RollingSums(TEN_MINUTES)
        self._conflicts: OrderedDict[str, None] = OrderedDict()
        self._words = {"conflict": "", "loop": "", "dropped": ""}
        self._list_kept = False
        self._pressed: dict[str, _Pressed] = {}
        self._unshared: dict[str, float] = {}
        self._disk: deque[tuple[float, LedgerState]] = deque()
        self._sinks = SinkTimes(monotonic)
        self._rows = RowWindow(TEN_MINUTES)
        self._still = StandstillClock(self._started)
        self._away = 0.0
        self._gauges = NO_GAUGES
        self.handlers = {
            RowsRead: self._rows.add,
            Settled: self._settle,
            Deferred: self._deferred,
            ClosedConflict: self._conflict,
            RetryLoop: self._loop,
            SuppressionListKept: self._list,
            MetricsDropped: self._drop,
            SinkLagged: self._sinks.add,
            Halted: self._halt,
            Resumed: self._resume,
            Gauges: self._judge,
            LeaderState: self._look_at_ledger,
        }

    def _settle(self, event: Settled) -> None:
        self._settled += 1
        if event.status is _PARKED:
            self._counts[f"parked.{event.reason}"] += 1

    def _deferred(self, event: Deferred) -> None:
        self._moved = True
        if event.reason is RetryReason.SUPPRESSION_LIST:
            self._counts["list_waits"] += 1

    def _conflict(self, event: ClosedConflict) -> None:
        """Count a contact once: a retry loop is made of conflicts of the same contacts."""
        key = event.contact_key
        if key in self._conflicts:
            return
        self._conflicts[key] = None
        if len(self._conflicts) > REMEMBERED_CONFLICTS:
            self._conflicts.popitem(last=False)
        self._counts["conflicts"] += 1
        self._words["conflict"] = event.step

    def _loop(self, event: RetryLoop) -> None:
        self._counts["loops"] += 1
        self._words["loop"] = event.step

    def _list(self, event: SuppressionListKept) -> None:
        self._list_kept = event.kept

    def _drop(self, event: MetricsDropped) -> None:
        self._counts["dropped"] += event.samples
        self._words["dropped"] = event.detail

    def _halt(self, event: Halted) -> None:
        if event.reason in CAMPAIGN_HALTS:
            self._halts.begin(event)

    def _resume(self, event: Resumed) -> None:
        if event.reason in CAMPAIGN_HALTS:
            self._halts.end(event)

    def _look_at_ledger(self, event: LeaderState) -> None:
        """Judge by the last gauges while the ledger is away: there are no others then.

        A standby leaves that to its leader, which may still reach the ledger.
        """
        self._away = event.away
        if event.away and not event.is_standby:
            self._judge(self._gauges)

    def _judge(self, gauges: Gauges) -> None:
        self._gauges = gauges
        now = self._monotonic()
        before = self.condition.cause
        judged = judge(self._facts(gauges, now))
        self.condition = self._hold.take(judged, now, self._epoch())
        changed = before if self.condition.cause is not before else None
        self._sink.emit(ConditionJudged(self.condition, changed, self.runbook))

    @property
    def runbook(self) -> str:
        """The address of the present cause's section in the runbook."""
        return runbook_link(self.condition.cause, self._options.runbook_url)

    def _facts(self, gauges: Gauges, now: float) -> Facts:
        moved, self._moved = self._moved or self._settled > 0, False
        self._push(now)
        minute, five, ten = self._minute, self._five, self._ten
        facts = Facts(
            seconds=now - self._started,
            platform=self._platform.facts(now),
            halts=self._halts.take(now),
            handled=minute["settled"] + minute["conflicts"],
            conflicts=minute["conflicts"],
            conflict_step=self._words["conflict"],
            loops=five["loops"],
            loop_step=self._words["loop"],
            settled=ten["settled"],
            parked=ten.under("parked."),
            list_kept=self._list_kept,
            list_waits=minute["list_waits"],
            in_flight=gauges.in_flight,
            held=gauges.held,
            draining=gauges.draining,
            rows=self._rows.facts(now),
            backlog=gauges.backlog,
            oldest_due=gauges.oldest_due,
            contacts=gauges.contacts,
            window_seconds=self._options.window_seconds,
            timeout_seconds=self._options.timeout_seconds,
            source=gauges.source,
            expected_every=self._options.expected_every,
            ledger=gauges.ledger,
            ledger_away=self._away,
            disk=self._disk_trend(gauges.ledger, now),
            loop_lag=gauges.loop_lag,
            dropped=five["dropped"],
            dropped_detail=self._words["dropped"],
            failing_sinks=self._sinks.failing(),
        )
        moves = moved or not work_due(facts)
        still = self._still.take(now, self._epoch(), self._platform.last_answer, moves=moves)
        pressures = self._pressures(facts, gauges, now)
        return replace(facts, pressures=pressures, standstill=still)

    def _push(self, now: float) -> None:
        self._counts["settled"] += self._settled
        self._settled = 0
        for sums in (self._minute, self._five, self._ten):
            sums.push(self._counts, now)
        self._counts.clear()

    def _pressures(self, facts: Facts, gauges: Gauges, now: float) -> tuple[QuotaPressure, ...]:
        """Return the clients whose quota others use at present, and since when."""
        whole = {"": gauges.quota}
        uses: dict[str, QuotaUse] = {pace.client: pace.quota for pace in gauges.clients} or whole
        for client, use in uses.items():
            if self._was_refused(facts, client, now):
                self._pressed.pop(client, None)
            elif is_shared(facts, QuotaPressure(use, 0.0, client)):
                before = self._pressed.get(client)
                since = now if before is None else before.since
                self._pressed[client] = _Pressed(since, now, use)
        patience = WINDOWS_WITHOUT_OTHERS * facts.window_seconds + GAUGE_SECONDS
        self._pressed = {
            client: pressed
            for client, pressed in self._pressed.items()
            if facts.oldest_due > 0 and now - pressed.last <= patience
        }
        return tuple(
            QuotaPressure(pressed.use, pressed.last - pressed.since, client)
            for client, pressed in self._pressed.items()
        )

    def _was_refused(self, facts: Facts, client: str, now: float) -> bool:
        """Return True if nothing but 429 came to a client, until shortly ago."""
        if is_refused(facts, client):
            self._unshared[client] = now + WINDOWS_AFTER_REFUSALS * facts.window_seconds
        return now < self._unshared.get(client, now)

    def _disk_trend(self, ledger: LedgerState | None, now: float) -> DiskTrend:
        """Return how the disk changed since the oldest measurement that is kept."""
        if ledger is None or ledger.free is None:
            return DiskTrend()
        if not self._disk or now - self._disk[-1][0] >= DISK_STEP:
            self._disk.append((now, ledger))
        while now - self._disk[0][0] > DISK_SECONDS:
            self._disk.popleft()
        at, first = self._disk[0]
        seconds = now - at
        if not seconds or first.free is None:
            return DiskTrend()
        fall, growth = (first.free or 0) - ledger.free, ledger.size - first.size
        return DiskTrend(seconds, fall / seconds, growth / seconds)
