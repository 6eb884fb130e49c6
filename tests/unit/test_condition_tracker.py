"""From the events of a run to its condition, in virtual time."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.domain.condition import Cause
from dispatcher.domain.events import (
    Answered,
    BadRow,
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
    ScopeError,
    Settled,
    SinkLagged,
    SourceState,
    SuppressionListKept,
    Throttled,
    TokenRequested,
)
from dispatcher.domain.status import HaltReason, Reason, RetryReason, ScopeSource, Status, Step
from dispatcher.telemetry.condition.as_json import condition_json, gravest
from dispatcher.telemetry.condition.platform_tracker import PlatformTracker
from dispatcher.telemetry.condition.tracker import ConditionTracker, TrackerOptions
from dispatcher.telemetry.condition.windows import RollingSums
from dispatcher.telemetry.fanout import Fanout

CONTACTS_PER_SECOND = 5


class World:
    """A run in virtual time, with gauges every two seconds."""

    def __init__(self, clients=(), window=60.0):
        self.now = 1000.0
        self.judged = []
        self.platform = PlatformTracker(lambda: self.now, clients)
        self.tracker = ConditionTracker(
            self.platform, self, TrackerOptions(window),
            monotonic=lambda: self.now, epoch=lambda: self.now,
        )  # fmt: skip
        self.sink = Fanout([self.platform, self.tracker])
        self.gauges = {"in_flight": 3, "backlog": 100, "oldest_due": 9.0}
        self._number = 0

    def emit(self, event):
        """Take what the tracker emits."""
        assert isinstance(event, ConditionJudged)
        self.judged.append(event)

    def answer(self, status="200", step=Step.CHECK, seconds=0.08, key="", client=""):
        """The platform answered."""
        failed = status[0] != "2"
        self.sink.emit(Answered(step, status, seconds, key, "c", "id-7", failed, client=client))

    def contact(self, check="200", send="200", seconds=0.08, status=Status.NOTIFIED):
        """One contact is handled, if both answers are good."""
        self._number += 1
        key = f"k{self._number}"
        self.answer(check, Step.CHECK, seconds, key)
        if check[0] != "2":
            return
        self.answer(send, Step.NOTIFY, seconds, key)
        if send[0] == "2":
            reason = Reason.DELIVERED if status is Status.NOTIFIED else Reason.EXHAUSTED
            self.sink.emit(Settled(key, "c", status, reason, None, None, None, "", 1.0))

    def run(self, seconds, contact=None, every=1):
        """Handle contacts for a time; return how often each cause was named."""
        first = len(self.judged)
        for second in range(int(seconds)):
            for number in range(CONTACTS_PER_SECOND):
                (contact or World.contact)(self, second * CONTACTS_PER_SECOND + number)
            self.now += 1.0
            if second % 2:
                self.tick()
        return self.named(first)

    def tick(self):
        """Emit the gauges."""
        self.sink.emit(Gauges(pace=5.0, quota_used=1.0, **self.gauges))

    def idle(self, seconds):
        """Let time pass without a request."""
        return self.run(seconds, lambda _world, _number: None)

    def named(self, first=0):
        """How often each cause was named."""
        return Counter(event.condition.cause for event in self.judged[first:])


def healthy(world, _number):
    """A contact that is notified."""
    world.contact()


def failing(share, status):
    """Contacts of which every so-manieth fails at its state check."""
    return lambda world, number: world.contact(status if number % share == 0 else "200")


def test_a_healthy_hour_names_nothing():
    """Nor does it send anything but the same condition."""
    world = World()
    assert set(world.run(3600, healthy)) == {Cause.OK}
    assert all(event.changed_from is None for event in world.judged)


def test_a_ledger_that_is_away_is_judged_without_gauges():
    """There are none then. A standby has no condition: it sends nothing, and must not."""
    world = World()
    world.run(60, healthy)
    first = len(world.judged)
    for leading, is_standby in ((False, True), (True, False)):
        for away in range(2, 61, 2):
            world.now += 2.0
            world.sink.emit(LeaderState(leading, float(away), is_standby))
    named = world.named(first)
    assert set(named) == {Cause.OK, Cause.LEDGER_AWAY}
    assert named[Cause.LEDGER_AWAY] == (60 - 30) / 2 + 1
    assert sum(named.values()) == 30
    world.sink.emit(LeaderState(leading=True))
    after = world.run(60, healthy)
    assert after[Cause.OK] >= 20
    assert world.judged[-1].condition.cause is Cause.OK


def test_a_ledger_that_is_away_is_judged_before_the_run_leads_and_after_its_leases():
    """At a start nobody may lead; a leader cannot renew its leases, and does not lead any more."""
    world = World()
    for away in range(2, 61, 2):
        world.now += 2.0
        world.sink.emit(LeaderState(leading=False, away=float(away)))
    assert world.judged[-1].condition.cause is Cause.LEDGER_AWAY
    assert world.named(0)[Cause.LEDGER_AWAY] == (60 - 30) / 2 + 1


@pytest.mark.parametrize("status", ["503", "500", "timeout", "reset", "not_sent"])
def test_a_total_outage_is_one_cause_from_its_beginning_to_its_end(status):
    """Neither its errors nor the parked contacts are named before it, nor its errors after it."""
    world = World()
    world.run(120, healthy)
    during = world.run(240, lambda one, _: one.contact(check=status))
    assert set(during) == {Cause.OK, Cause.PLATFORM_DOWN}
    assert during[Cause.OK] <= 16
    after = world.run(120, healthy)
    assert set(after) == {Cause.PLATFORM_DOWN, Cause.OK}
    assert after[Cause.PLATFORM_DOWN] <= 5


def test_an_outage_of_sends_alone_is_an_outage():
    """Nobody is written to, although every state check is answered."""
    world = World()
    during = world.run(120, lambda one, _: one.contact(send="503"))
    assert set(during) == {Cause.OK, Cause.PLATFORM_DOWN}


def halts(reason, *seconds, between):
    """Halts of such lengths, with contacts that are handled between them; return what is named."""
    world = World()
    world.run(120, healthy)
    first = len(world.judged)
    for length in seconds:
        world.sink.emit(Halted(reason, "cannot be reached"))
        world.idle(length)
        world.sink.emit(Resumed(reason, float(length)))
        world.run(between, healthy)
    return set(world.named(first))


def test_a_network_that_fails_for_a_short_time_is_no_outage():
    """Nobody is called for 14 seconds, which the run ends by its own probe."""
    assert halts(HaltReason.PLATFORM_DOWN, 14, between=60) == {Cause.OK}
    assert halts(HaltReason.PLATFORM_DOWN, 14, 14, between=60) == {Cause.OK}
    assert Cause.PLATFORM_DOWN in halts(HaltReason.PLATFORM_DOWN, 40, between=60)


def test_a_token_host_that_is_down_is_named_as_the_outage_alone():
    """Its failed token requests are many before the outage is known."""
    world = World()
    world.run(120, healthy)
    first = len(world.judged)
    world.sink.emit(Halted(HaltReason.PLATFORM_DOWN, "no token"))
    for _ in range(10):
        world.sink.emit(TokenRequested("503", 0.1))
        world.idle(4)
    assert set(world.named(first)) == {Cause.OK, Cause.PLATFORM_DOWN}


def test_a_network_that_fails_again_and_again_is_an_outage():
    """Halts with seconds between them are one; short ones of single contacts are not."""
    assert Cause.PLATFORM_DOWN in halts(HaltReason.PLATFORM_DOWN, 14, 14, 14, between=4)
    assert halts(HaltReason.FORBIDDEN, *[2] * 20, between=2) == {Cause.OK}


def test_an_outage_of_analytics_is_none():
    """Look-backs that fail show nothing about sends."""
    world = World()
    named = world.run(120, lambda one, n: one.answer("503", Step.LOOK_BACK, key=str(n)))
    assert set(named) == {Cause.OK}


def test_one_contact_that_always_fails_is_no_outage():
    """In a folder that is otherwise idle."""
    world = World()
    named = world.run(600, lambda one, n: one.answer("500", key="same") if n % 50 == 0 else None)
    assert set(named) == {Cause.OK}


@pytest.mark.parametrize(
    ("contact", "cause"),
    [
        (failing(2, "503"), Cause.PLATFORM_ERRORS),
        (failing(5, "timeout"), Cause.PLATFORM_SLOW),
        (lambda one, _: one.contact(seconds=6.0), Cause.PLATFORM_SLOW),
        (failing(40, "503"), Cause.OK),
        (failing(40, "timeout"), Cause.OK),
        (lambda one, _: one.contact(seconds=1.0), Cause.OK),
        (failing(2, "404"), Cause.OK),
    ],
)
def test_errors_and_slowness_by_their_share(contact, cause):
    """Within 50 seconds of their beginning; a share that passes names nothing."""
    world = World()
    world.run(120, healthy)
    assert set(world.run(180, contact)) <= {Cause.OK, cause}
    assert world.tracker.condition.cause is cause
    world.run(120, healthy)
    assert world.tracker.condition.cause is Cause.OK


def test_a_platform_that_is_slow_from_the_start_stays_slow():
    """It does not become the usual."""
    world = World()
    world.run(600, lambda one, _: one.contact(seconds=4.0))
    assert world.tracker.condition.cause is Cause.PLATFORM_SLOW


@settings(max_examples=50, deadline=None)
@given(
    lasting=st.floats(0.01, 12.0).filter(lambda seconds: abs(seconds - 3.0) > 0.01),
    offset=st.floats(0.0, 2.0),
)
def test_a_halt_is_named_exactly_if_it_lasts_three_seconds(lasting, offset):
    """At whatever moment between two evaluations it begins and ends."""
    world = World()
    world.idle(10)
    begin = world.now + offset
    end, moments = begin + lasting, [world.now + 2.0 * number for number in range(1, 20)]
    todo = [(moment, 1, None) for moment in moments]
    todo += [(begin, 0, Halted(HaltReason.SCOPE, "x"))]
    todo += [(end, 0, Resumed(HaltReason.SCOPE, lasting))]
    first = len(world.judged)
    for world.now, _, event in sorted(todo, key=lambda item: item[:2]):
        if event is None:
            world.tick()
        else:
            world.sink.emit(event)
    named = world.named(first)[Cause.SCOPE_MISSING]
    assert named >= 7 if lasting > 3.0 else named == 0


def test_a_missing_scope_with_its_evidence():
    """The last refusal's correlation id, the scope, and since when."""
    world = World()
    missing = ("conversations:messaging:write",)
    world.sink.emit(ScopeError(ScopeSource.FORBIDDEN, Step.NOTIFY, "k", "corr-9", missing))
    world.sink.emit(Halted(HaltReason.SCOPE, "the token lacks scope x (granted in: y)"))
    world.idle(10)
    changed = [event for event in world.judged if event.changed_from is not None]
    assert [(event.changed_from, event.condition.cause) for event in changed] == [
        (Cause.OK, Cause.SCOPE_MISSING)
    ]
    values = condition_json(world.tracker.condition, world.tracker.runbook)
    assert values["evidence"]["correlation_id"] == "corr-9"
    assert values["evidence"]["missing"] == missing[0]
    assert values["runbook"] == "docs/runbook.md#condition-scope_missing"


def test_one_client_of_two_is_halted_and_then_the_other():
    """The first alone is a client's halt; both are the run's."""
    world = World(("north", "south"))
    world.sink.emit(Halted(HaltReason.SCOPE, "x", "north"))
    world.idle(20)
    assert world.tracker.condition.cause is Cause.CLIENT_HALTED
    assert world.tracker.condition.primary.evidence["client"] == "north"
    world.sink.emit(Halted(HaltReason.CREDENTIALS, "y", "south"))
    world.idle(10)
    assert world.tracker.condition.cause is Cause.CREDENTIALS


def test_both_clients_halted_within_a_second_are_never_one_alone():
    """They are refused one after the other for one cause."""
    world = World(("north", "south"))
    world.sink.emit(Halted(HaltReason.SCOPE, "x", "north"))
    world.now += 1.0
    world.sink.emit(Halted(HaltReason.SCOPE, "x", "south"))
    assert set(world.idle(60)) <= {Cause.OK, Cause.SCOPE_MISSING}


def token(world, status="200"):
    """A token was requested."""
    world.sink.emit(TokenRequested(status, 0.1))


def test_tokens_that_last_three_seconds():
    """Each is refused while young; the requests of the old one that still come are not counted."""
    world = World()
    token(world)

    def contact(one, number):
        if number % 15 == 14:
            one.answer("401")
            token(one)
            one.answer("401", seconds=1.0)  # sent with the token before
        one.contact()

    assert set(world.run(60, contact)) == {Cause.OK, Cause.TOKEN_UNSTABLE}
    assert world.tracker.condition.primary.evidence["young_tokens_refused"] >= 3


def test_a_token_that_expires_with_all_requests_in_flight_is_one():
    """64 workers get a 401 for the same token."""
    world = World()
    token(world)
    world.run(1200, healthy)
    for _ in range(64):
        world.answer("401")
    token(world)
    assert set(world.run(120, healthy)) == {Cause.OK}


def test_tokens_to_judge_a_409_are_explained():
    """Each conflict requests one, to find out whether the scope is missing."""
    world = World()

    def contact(one, number):
        one.contact()
        if number % 20 == 0:
            token(one)
            one.sink.emit(ClosedConflict(Step.OPEN, 409, f"k{one._number}", ""))

    assert set(world.run(300, contact)) == {Cause.OK}


def test_token_requests_that_fail():
    """The API is well: it is not down."""
    world = World()

    def contact(one, number):
        one.contact()
        if number % 25 == 0:
            token(one, "503")

    world.run(120, contact)
    assert world.tracker.condition.cause is Cause.TOKEN_UNSTABLE
    assert world.tracker.condition.primary.evidence["token_status"] == "503"


def conflict(world, key):
    """A send met a closed session."""
    world.sink.emit(ClosedConflict(Step.NOTIFY, 400, key, ""))


def test_a_wave_of_closing_sessions():
    """Three of ten contacts are refused once, and then sent to."""
    world = World()

    def contact(one, number):
        if number % 10 < 3:
            conflict(one, f"c{number}")
        one.contact()

    assert set(world.run(120, contact)) == {Cause.OK, Cause.SESSIONS_CLOSING}


def test_a_retry_loop_is_named_at_once_and_alone():
    """Each of its contacts is refused three times before it is parked."""
    world = World()

    def contact(one, number):
        if number % 10 == 0:
            for _ in range(3):
                conflict(one, f"c{number}")
        if number % 10 == 0 and number > 60:
            one.sink.emit(RetryLoop(Step.NOTIFY, f"c{number - 60}"))
        one.contact()

    assert set(world.run(180, contact)) == {Cause.OK, Cause.RETRY_LOOP}


def test_contacts_that_are_parked():
    """One of five."""
    world = World()
    parked = {True: Status.PARKED, False: Status.NOTIFIED}
    world.run(120, lambda one, n: one.contact(status=parked[n % 5 == 0]))
    finding = world.tracker.condition.primary
    assert finding.cause is Cause.CONTACTS_PARKED
    assert "exhausted: " in finding.words


def test_a_quota_that_others_use():
    """After two windows; a window that somebody used once, or an idle run, names nothing."""
    world = World()
    world.gauges["quota"] = QuotaUse(300.0, 150.0, 145.0)
    assert set(world.run(60, healthy)) == {Cause.OK}
    world.gauges["quota"] = QuotaUse(300.0, 300.0, 0.0)
    assert set(world.run(60, healthy)) == {Cause.OK}
    world.gauges["quota"] = QuotaUse(300.0, 150.0, 145.0)
    assert Cause.QUOTA_SHARED in world.run(80, healthy)
    world.gauges.update(oldest_due=0.0)
    world.idle(60)
    assert world.tracker.condition.cause is Cause.OK


def test_others_that_show_in_two_windows_of_three_are_one_cause():
    """Without rate headers they show only where a request was refused; the cause stays named."""
    world = World()
    causes = []
    for window in range(9):
        others = 0.0 if window % 3 == 2 else 145.0
        world.gauges["quota"] = QuotaUse(300.0, 300.0 - others, others)
        causes += world.run(60, healthy)
    changes = [b for a, b in pairwise(causes) if a is not b]
    assert changes == [Cause.QUOTA_SHARED]


def rows(good, bad):
    """A batch of which some rows are rejected."""
    damaged = BadRow("a.csv", 7, "bad_date", "column 'due' is not a date")
    return RowsRead(good + bad, good, 0, bad, 0, (damaged,) * bad)


def test_a_source_whose_rows_are_rejected():
    """From its first batch, through its end, until rows are good again."""
    world = World()
    world.sink.emit(rows(100, 156))
    assert set(world.run(60, healthy)) == {Cause.ROWS_REJECTED}
    assert world.tracker.condition.primary.evidence["column"] == "due"
    ended = SourceState(age=60.0, rows=256, ended=True)
    world.gauges.update(in_flight=0, backlog=0, oldest_due=0.0, source=ended)
    assert set(world.idle(1000)) == {Cause.ROWS_REJECTED}
    world.sink.emit(rows(200, 0))
    world.idle(30)
    assert world.tracker.condition.cause is Cause.SOURCE_IDLE


def test_a_run_without_progress():
    """Ten minutes after the last answer, once, and until the next one."""
    world = World()
    world.run(120, healthy)
    assert set(world.idle(598)) == {Cause.OK}
    assert Cause.NO_PROGRESS in world.idle(10)
    assert world.tracker.condition.primary.evidence["waits_for"].startswith("a permit")
    world.run(30, healthy)
    assert world.tracker.condition.cause is Cause.OK


@pytest.mark.parametrize(
    "event",
    [
        Answered(Step.LOOK_BACK, "200", 0.1, "k", "c", "", failed=False),
        Answered(Step.CHECK, "200", 0.1, "k", "c", "", failed=False),
        Answered(Step.NOTIFY, "404", 0.1, "k", "c", "", failed=True),
        Deferred("k", "c", RetryReason.NOT_ENDED, 60.0),
        Settled("k", "c", Status.SKIPPED, Reason.DROPPED, None, None, None, "", 1.0),
        Halted(HaltReason.PAUSED, "paused"),
    ],
)
def test_what_ends_a_standstill(event):
    """Any answer, deferral or final contact begins the ten minutes again, and so does a halt."""
    world = World()
    world.idle(590)
    world.sink.emit(event)
    if isinstance(event, Halted):
        world.idle(4)
        world.sink.emit(Resumed(event.reason, 4.0))
    assert Cause.NO_PROGRESS not in world.idle(590)
    assert Cause.NO_PROGRESS in world.idle(30)


@pytest.mark.parametrize(
    "gauges",
    [
        {"oldest_due": 0.0, "in_flight": 0},
        {"oldest_due": 0.0, "in_flight": 3, "held": 3},
        {"draining": True},
    ],
)
def test_a_run_that_has_nothing_to_begin_needs_no_progress(gauges):
    """All contacts wait for their time, or for others; or the run drains."""
    world = World()
    world.gauges.update(gauges)
    assert Cause.NO_PROGRESS not in world.idle(1500)


def test_a_campaign_that_waits_for_another_needs_no_progress():
    """Workers are shared: while one campaign gets answers the other may be behind it."""
    world = World()
    for _ in range(10):
        world.idle(120)
        world.platform.emit(Answered(Step.CHECK, "200", 0.1, "k", "c", "", failed=False))
    assert Cause.NO_PROGRESS not in world.named()


def test_a_hold_explains_a_standstill():
    """The platform asked to wait for an hour."""
    world = World()
    world.sink.emit(Throttled(None, 3600.0, ""))
    world.idle(620)
    assert world.tracker.condition.primary.cause is Cause.THROTTLED
    assert Cause.NO_PROGRESS not in world.named()


def test_a_suppression_list_that_is_damaged_or_does_not_fit():
    """Until it is good again."""
    world = World()
    world.sink.emit(SuppressionListKept(kept=True))
    world.tick()
    assert world.tracker.condition.cause is Cause.SUPPRESSION_LIST
    world.sink.emit(SuppressionListKept(kept=False))
    world.idle(30)
    assert world.tracker.condition.cause is Cause.OK
    world.sink.emit(Deferred("k", "c", RetryReason.SUPPRESSION_LIST, 60.0))
    world.tick()
    assert world.tracker.condition.cause is Cause.SUPPRESSION_LIST


def test_a_sink_that_fails_for_a_minute_is_named_until_it_takes_rows():
    """With what waits for it; another sink that works changes nothing."""
    world = World()
    world.sink.emit(SinkLagged("lake", 40, "sink lake: no answer"))
    world.idle(50)
    assert world.tracker.condition.cause is Cause.OK
    world.sink.emit(SinkLagged("lake", 100, "sink lake: no answer"))
    world.sink.emit(SinkLagged("warehouse", 0))
    world.idle(20)
    assert world.tracker.condition.cause is Cause.SINK_BEHIND
    assert "the sink lake has failed" in world.tracker.condition.primary.words
    assert "100 rows" in world.tracker.condition.primary.words
    assert world.tracker.condition.primary.evidence["detail"] == "no answer"
    world.sink.emit(SinkLagged("lake", 0))
    world.idle(30)
    assert world.tracker.condition.cause is Cause.OK


def test_lost_metrics_are_named_for_five_minutes():
    """The detail says why."""
    world = World()
    world.sink.emit(MetricsDropped(12, "no agent at 127.0.0.1:8125"))
    world.tick()
    assert world.tracker.condition.cause is Cause.TELEMETRY_LOSSY
    assert "no agent" in world.tracker.condition.primary.words
    world.idle(320)
    assert world.tracker.condition.cause is Cause.OK


def test_a_disk_that_fills():
    """1 MiB a second of 900."""
    world, free = World(), 900 * 2**20

    def contact(one, number):
        left = LedgerState(4 * 2**20, free - number * 2**20 // CONTACTS_PER_SECOND, 0.005)
        one.gauges["ledger"] = left
        one.contact()

    assert Cause.LEDGER_DISK in world.run(90, contact)


def test_a_paused_campaign_is_paused_and_the_others_are_not():
    """Its halt goes to its own sinks; the platform is shared."""
    world, other = World(), World()
    world.sink.emit(Halted(HaltReason.PAUSED, "paused"))
    world.idle(10)
    other.idle(10)
    assert world.tracker.condition.cause is Cause.PAUSED
    assert other.tracker.condition.cause is Cause.OK
    assert gravest([other.tracker.condition, world.tracker.condition]).cause is Cause.PAUSED


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 5), st.floats(0, 30)), max_size=40))
def test_rolling_sums_are_the_sums_of_the_last_minute(pushes):
    """Compared with the sums over a list."""
    sums, now, kept = RollingSums(60.0), 0.0, []
    for name, count, pause in pushes:
        now += pause
        sums.push({name: count}, now)
        kept.append((now, name, count))
        for one in "ab":
            expected = sum(n for at, key, n in kept if key == one and now - at < 60.0)
            assert sums[one] == expected


DOUBTS = {("in_doubt", "sent"): 12}


def test_doubts_name_the_look_back_that_fails_and_its_last_status():
    """Until one is answered; other analytics and conversations that do not exist say nothing."""
    world = World()
    world.gauges |= {"contacts": DOUBTS, "backlog": 12}
    world.idle(60)
    for status in ("503", "timeout", "502"):
        world.answer(status, Step.LOOK_BACK)
        world.answer("500", Step.CHECK_MANY)
        world.idle(2)
    found = world.judged[-1].condition
    assert found.cause is Cause.DOUBTS_PENDING
    assert found.primary.words.endswith(
        "; the endpoint look_back, which shows it, has failed 3 times in 6 s, at last with 502"
    )
    evidence = {"in_doubt": 12, "endpoint": "look_back", "status": "502", "failed": 3}
    assert found.primary.evidence == {**evidence, "correlation_id": "id-7"}
    world.answer("404", Step.LOOK_BACK)
    world.tick()
    assert "look_back" not in world.judged[-1].condition.primary.words
    world.answer("503", Step.LOOK_BACK)
    world.answer("200", Step.LOOK_BACK)
    world.tick()
    assert world.judged[-1].condition.primary.evidence == {"in_doubt": 12}
