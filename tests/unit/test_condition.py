"""The condition of a run: which cause the facts show, and how it is named in the course of time."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.domain import condition_ledger as ledger_rules
from dispatcher.domain.condition import HEALTHY, PRECEDENCE, Cause, Condition, Finding
from dispatcher.domain.condition_facts import (
    AnswerCounts,
    DiskTrend,
    Facts,
    FailingSink,
    HaltFact,
    Outage,
    PlatformFacts,
    QuotaPressure,
    Refusal,
    RowCounts,
    Standstill,
    Throttle,
    TokenCounts,
)
from dispatcher.domain.condition_hold import (
    CONFIRM_SECONDS,
    NAMED_SECONDS,
    RELEASE_SECONDS,
    ConditionHold,
)
from dispatcher.domain.condition_judgement import judge
from dispatcher.domain.condition_platform import HALT_CAUSES, SHORTEST_HALT
from dispatcher.domain.condition_texts import TEXTS, Impact, Priority, runbook_link
from dispatcher.domain.events import LedgerState, QuotaUse, SourceState
from dispatcher.domain.status import HaltReason

MIB = 2**20
LEDGER = LedgerState(size=10 * MIB, free=500 * MIB, commit=0.005)
WAITING = ("waiting", "quiet_hours")


def halted(reason, seconds=30.0, detail="", client="", clients=1):
    """Facts of a run of which all requests, or those of one client, are halted."""
    return PlatformFacts(clients=clients, halts=(HaltFact(reason, seconds, detail, client),))


def outage(seconds=31.0, answers=40, contacts=3, silence=1.0, **more):
    """Facts of a run that gets nothing but 503."""
    return PlatformFacts(
        outage=Outage(seconds, answers, contacts, silence, {"503": answers}, **more)
    )


def answers(total, **counts):
    """Facts of a run with so many answers."""
    return PlatformFacts(answers=AnswerCounts(total, **counts))


def tokens(*counts):
    """Facts of a run with such token requests."""
    return PlatformFacts(tokens=TokenCounts(*counts))


def throttle(*counts, **more):
    """Facts of the platform of a run that it answers with 429."""
    return PlatformFacts(throttles=(Throttle(*counts, **more),))


SHOWN = {
    Cause.PLATFORM_DOWN: Facts(platform=outage()),
    Cause.LEDGER_AWAY: Facts(ledger_away=30.0),
    Cause.LEDGER_DISK: Facts(ledger=replace(LEDGER, free=2 * MIB)),
    Cause.THROTTLED: Facts(
        platform=throttle(90.0, 0.0, 1, 600.0), contacts={("waiting", "throttled"): 4}, backlog=4
    ),
    Cause.PLATFORM_ERRORS: Facts(platform=answers(40, errors=9)),
    Cause.PLATFORM_SLOW: Facts(platform=answers(40, timeouts=5)),
    Cause.RETRY_LOOP: Facts(loops=3, handled=100, conflicts=30),
    Cause.SUPPRESSION_LIST: Facts(list_kept=True),
    Cause.CLIENT_HALTED: Facts(platform=halted(HaltReason.SCOPE, client="north", clients=2)),
    Cause.SOURCE_STALLED: Facts(source=SourceState(age=400.0, rows=5)),
    Cause.NO_PROGRESS: Facts(standstill=Standstill(600.0, 1e9), oldest_due=600.0),
    Cause.ROWS_REJECTED: Facts(rows=RowCounts(19, 10, {"bad_date": 10})),
    Cause.TOKEN_UNSTABLE: Facts(platform=tokens(5, 0, 3)),
    Cause.SESSIONS_CLOSING: Facts(handled=100, conflicts=11),
    Cause.QUOTA_SHARED: Facts(
        pressures=(QuotaPressure(QuotaUse(300.0, 150.0, 140.0), 63.0),), window_seconds=60.0
    ),
    Cause.CONTACTS_PARKED: Facts(settled=90, parked={"exhausted": 10}),
    Cause.DOUBTS_PENDING: Facts(contacts={("in_doubt", ""): 10}),
    Cause.LEDGER_SLOW: Facts(ledger=replace(LEDGER, commit=0.3)),
    Cause.TELEMETRY_LOSSY: Facts(dropped=1),
    Cause.SINK_BEHIND: Facts(failing_sinks=(FailingSink("lake", 7, 60.0, "no answer"),)),
    Cause.QUIET_HOURS: Facts(contacts={WAITING: 7}, backlog=7),
    Cause.SOURCE_IDLE: Facts(source=SourceState(age=9.0, rows=5, ended=True)),
    Cause.OK: Facts(settled=50, in_flight=3, ledger=LEDGER),
    **{
        cause: Facts(platform=halted(reason))
        for reason, cause in HALT_CAUSES.items()
        if cause not in (Cause.PLATFORM_DOWN, Cause.PAUSED, Cause.SUSPICIOUS, Cause.FAILURES)
    },
    **{
        HALT_CAUSES[reason]: Facts(halts=(HaltFact(reason, 30.0),))
        for reason in (HaltReason.PAUSED, HaltReason.SUSPICIOUS, HaltReason.FAILURES)
    },
}
"""Facts that show each cause and nothing else."""


@pytest.mark.parametrize("cause", Cause)
def test_the_facts_show_the_cause_and_no_other(cause):
    """There is a case for every cause of the closed list."""
    judged = judge(SHOWN[cause])
    assert judged.cause is cause
    assert judged.others == ()
    assert judged.primary.words


NOT_SHOWN = {
    "one forbidden contact": Facts(platform=halted(HaltReason.FORBIDDEN, 0.01)),
    "a halt of almost three seconds": Facts(platform=halted(HaltReason.SCOPE, 2.99)),
    "a network that fails for a while": Facts(platform=halted(HaltReason.PLATFORM_DOWN, 29.9)),
    "one contact that the platform fails for": Facts(platform=outage(contacts=1)),
    "a server whose disk is not known": Facts(ledger=LedgerState(size=9 * MIB, free=None)),
    "a database whose standby takes over": Facts(ledger_away=29.9),
    "four errors": Facts(platform=outage(answers=4)),
    "a restart of the platform": Facts(platform=outage(seconds=29.0)),
    "an outage long ago, with nobody left to ask for": Facts(platform=outage(500.0, silence=130.0)),
    "few answers": Facts(platform=answers(19, errors=19, timeouts=10, slow=10)),
    "a fifth of errors": Facts(platform=answers(100, errors=20)),
    "a tenth of time-outs is within the slow ones": Facts(platform=answers(100, slow=5)),
    "a token that somebody revoked": Facts(platform=tokens(2, 2, 1, 0)),
    "a sink that fails for almost a minute": Facts(
        failing_sinks=(FailingSink("lake", 7, 59.0, "no answer"),)
    ),
    "two loops": Facts(loops=2, handled=100, conflicts=50),
    "a few closed sessions": Facts(handled=300, conflicts=30),
    "conflicts of few contacts": Facts(handled=19, conflicts=10),
    "few parked of few": Facts(settled=9, parked={"exhausted": 9}),
    "a few parked of many": Facts(settled=1000, parked={"never_ended": 100}),
    "a few sends in doubt": Facts(contacts={("in_doubt", ""): 9}),
    "others for one window": Facts(pressures=(QuotaPressure(QuotaUse(300, 150, 140), 60.0),)),
    "a small disk with room for what is left": Facts(
        ledger=LedgerState(4 * MIB, 90 * MIB), backlog=1000
    ),
    "a ledger that grows at its start": Facts(
        ledger=replace(LEDGER, free=100 * MIB), disk=DiskTrend(30.0, MIB, MIB)
    ),
    "a ledger that grows, of a source that has ended": Facts(
        ledger=LEDGER, source=SourceState(age=1.0, rows=9, ended=True), backlog=9, oldest_due=1.0,
        disk=DiskTrend(100.0, 2 * MIB, 2 * MIB),
    ),
    "a ledger that was not measured": Facts(ledger=LedgerState()),
    "a ledger whose disk is a server's": Facts(ledger=LedgerState(4 * MIB, None)),
    "quiet hours of some": Facts(contacts={WAITING: 7, ("ready", ""): 1}, backlog=8),
    "a stream while its contacts are sent to": Facts(
        source=SourceState(age=400.0, rows=5), in_flight=1
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_SHOWN)
def test_what_is_no_cause(name):
    """Small samples, short halts and what passes without an operator name nothing."""
    assert judge(NOT_SHOWN[name]).cause is Cause.OK


@pytest.mark.parametrize(
    ("facts", "cause"),
    [
        (Facts(source=SourceState(age=400.0, rows=1, watched=True)), Cause.SOURCE_IDLE),
        (
            Facts(source=SourceState(age=400.0, rows=1, watched=True), expected_every=300.0),
            Cause.SOURCE_STALLED,
        ),
        (
            Facts(source=SourceState(watched=True), seconds=301.0, expected_every=300.0),
            Cause.SOURCE_STALLED,
        ),
        (
            Facts(source=SourceState(age=400.0, ended=True), expected_every=300.0),
            Cause.SOURCE_IDLE,
        ),
        (
            Facts(source=SourceState(age=400.0, rows=1), expected_every=3600.0),
            Cause.SOURCE_IDLE,
        ),
        (
            Facts(source=SourceState(age=1.0, waits_for="permission denied"), oldest_due=5.0),
            Cause.SOURCE_STALLED,
        ),
        (
            Facts(source=SourceState(age=40.0, waits_for="asked"), expected_every=300.0),
            Cause.SOURCE_IDLE,
        ),
        (
            Facts(source=SourceState(age=9999.0), halts=(HaltFact(HaltReason.PAUSED, 9.0),)),
            Cause.PAUSED,
        ),
        (
            Facts(source=SourceState(age=9.0), contacts={("in_doubt", ""): 1}),
            Cause.OK,
        ),
    ],
)
def test_a_source_that_is_stalled_idle_or_done(facts, cause):
    """A folder may be silent all night; a stream, or a source with a rhythm, may not."""
    assert judge(facts).cause is cause


def test_a_disk_that_others_fill_is_foreseen():
    """500 MiB last ten minutes when a program writes 1 MiB a second beside the ledger."""
    facts = Facts(ledger=LEDGER, disk=DiskTrend(120.0, MIB, 0.0))
    judged = judge(facts)
    assert judged.cause is Cause.LEDGER_DISK
    assert judged.primary.evidence["full_in_seconds"] == 500


def test_the_contacts_that_are_left_need_room():
    """The same disk has room for a thousand contacts, and not for a million."""
    small = LedgerState(4 * MIB, 90 * MIB)
    assert judge(Facts(ledger=small, backlog=1_000)).cause is Cause.OK
    assert judge(Facts(ledger=small, backlog=1_000_000)).cause is Cause.LEDGER_DISK
    assert ledger_rules.bytes_needed(Facts()) == ledger_rules.LEAST_FREE


def test_the_evidence_of_a_missing_scope_names_it_and_the_refusal():
    """Which scope, where it is granted, the correlation id, the client, since when."""
    refusal = Refusal("masked_conflict", "c-1", ("messaging:write",), "north")
    detail = "the token lacks scope messaging:write (granted in: the admin pages)"
    facts = replace(halted(HaltReason.SCOPE, 12.0, detail, "north"), refusal=refusal)
    finding = judge(Facts(platform=facts)).primary
    assert detail in finding.words
    assert finding.evidence == {
        "halted_seconds": 12.0, "status": "masked_conflict", "correlation_id": "c-1",
        "missing": "messaging:write", "client": "north", "detail": detail,
    }  # fmt: skip


def test_a_token_host_that_fails_is_in_the_evidence_of_the_outage():
    """The API may be well: the operator sees that token requests fail."""
    facts = replace(halted(HaltReason.PLATFORM_DOWN), tokens=TokenCounts(6, 6, 0, 0, "503"))
    finding = judge(Facts(platform=facts)).primary
    assert finding.evidence["token_requests_failed"] == 6
    assert finding.evidence["token_status"] == "503"


def test_all_clients_halted_is_a_halt_of_the_run():
    """Of two clients one is a client's halt, both are the run's, by the first cause of both."""
    north = HaltFact(HaltReason.FORBIDDEN, 9.0, client="north")
    south = HaltFact(HaltReason.CREDENTIALS, 9.0, client="south")
    short = replace(south, seconds=1.0)
    assert judge(Facts(platform=PlatformFacts(2, (north, short)))).cause is Cause.CLIENT_HALTED
    both = judge(Facts(platform=PlatformFacts(2, (north, south))))
    assert [finding.cause for finding in both.findings] == [Cause.CREDENTIALS, Cause.FORBIDDEN]


def merged(one, other):
    """Facts that show what each of two facts shows."""
    changes = {
        name: value
        for name in Facts.__dataclass_fields__
        if (value := getattr(other, name)) != getattr(Facts(), name) and name != "platform"
    }
    platform = {
        name: value
        for name in PlatformFacts.__dataclass_fields__
        if (value := getattr(other.platform, name)) != getattr(PlatformFacts(), name)
    }
    return replace(one, **changes, platform=replace(one.platform, **platform))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Cause.SCOPE_MISSING, Cause.DOUBTS_PENDING),
        (Cause.SCOPE_MISSING, Cause.CONTACTS_PARKED),
        (Cause.SCOPE_MISSING, Cause.PLATFORM_ERRORS),
        (Cause.SCOPE_MISSING, Cause.SUSPICIOUS),
        (Cause.CREDENTIALS, Cause.TOKEN_UNSTABLE),
        (Cause.PLATFORM_DOWN, Cause.PLATFORM_ERRORS),
        (Cause.PLATFORM_DOWN, Cause.CONTACTS_PARKED),
        (Cause.PLATFORM_DOWN, Cause.DOUBTS_PENDING),
        (Cause.PLATFORM_DOWN, Cause.QUOTA_SHARED),
        (Cause.SUSPICIOUS, Cause.LEDGER_DISK),
        (Cause.PLATFORM_DOWN, Cause.THROTTLED),
        (Cause.THROTTLED, Cause.PLATFORM_SLOW),
        (Cause.THROTTLED, Cause.SOURCE_STALLED),
        (Cause.PLATFORM_ERRORS, Cause.CONTACTS_PARKED),
        (Cause.PLATFORM_SLOW, Cause.DOUBTS_PENDING),
        (Cause.RETRY_LOOP, Cause.CONTACTS_PARKED),
        (Cause.SOURCE_STALLED, Cause.TELEMETRY_LOSSY),
        (Cause.SOURCE_STALLED, Cause.ROWS_REJECTED),
        (Cause.NO_PROGRESS, Cause.ROWS_REJECTED),
        (Cause.ROWS_REJECTED, Cause.CONTACTS_PARKED),
        (Cause.ROWS_REJECTED, Cause.SOURCE_IDLE),
        (Cause.SESSIONS_CLOSING, Cause.CONTACTS_PARKED),
        (Cause.TELEMETRY_LOSSY, Cause.PAUSED),
        (Cause.PAUSED, Cause.QUIET_HOURS),
    ],
)
def test_one_cause_explains_the_other(first, second):
    """The first is named, the second is among the others."""
    judged = judge(merged(SHOWN[second], SHOWN[first]))
    assert judged.cause is first
    assert second in [finding.cause for finding in judged.others]


def test_a_loop_is_no_wave_of_closing_sessions():
    """Conflicts that loops are made of are not a second cause."""
    judged = judge(Facts(loops=3, handled=100, conflicts=60))
    assert [finding.cause for finding in judged.findings] == [Cause.RETRY_LOOP]


def test_no_cause_hides_a_more_urgent_one():
    """Monitors see the first cause only: so the order of precedence is never against priorities."""
    order = [list(Priority).index(TEXTS[cause].priority) for cause in Cause]
    assert order == sorted(order)


@given(st.lists(st.sampled_from(list(Cause)), max_size=5))
def test_exactly_one_cause_is_primary(causes):
    """Whatever comes together, one is named, and it precedes all others."""
    facts = Facts()
    for cause in causes:
        facts = merged(facts, SHOWN[cause])
    judged = judge(facts)
    found = [PRECEDENCE[finding.cause] for finding in judged.findings]
    assert found == sorted(set(found))
    assert Cause.OK not in [finding.cause for finding in judged.others]


@given(st.sampled_from(list(Cause)), st.sampled_from(list(Cause)))
def test_more_facts_never_name_a_less_urgent_halt(one, other):
    """What precedes is still named when something else comes to it."""
    halts = {HALT_CAUSES[reason] for reason in HALT_CAUSES} - {Cause.PAUSED}
    together = judge(merged(SHOWN[other], SHOWN[one]))
    if one in halts:
        assert PRECEDENCE[together.cause] <= PRECEDENCE[one]


def test_silence_is_ok():
    """A run of which nothing is known has no cause, and neither before the first evaluation."""
    assert judge(Facts()).cause is Cause.OK
    assert HEALTHY.cause is Cause.OK


def test_every_cause_has_words():
    """A title, steps, and a service check that is critical only where nobody is written to."""
    assert set(TEXTS) == set(Cause)
    for cause, text in TEXTS.items():
        assert text.title
        assert text.steps
        is_critical = text.priority is Priority.P1 or cause is Cause.NO_PROGRESS
        assert (text.effect is Impact.STOPPED) == is_critical
        assert runbook_link(cause) == f"docs/runbook.md#condition-{cause}"
    assert runbook_link(Cause.OK, "https://x/y") == "https://x/y#condition-ok"


def test_the_manual_has_the_table():
    """Every cause with its title, priority and effect, in the order of precedence."""
    manual = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    section = manual.split("\n## Condition\n")[1].split("\n## ")[0]
    table = section.split("| cause | meaning |")[1]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    assert rows == [
        f"| `{cause}` | {text.title} | {text.priority} | {text.effect} |"
        for cause, text in ((cause, TEXTS[cause]) for cause in Cause)
    ]


def condition(*causes):
    """A judgement of such causes."""
    ordered = sorted(causes, key=PRECEDENCE.__getitem__) or [Cause.OK]
    primary, *others = (Finding(cause, "") for cause in ordered)
    return Condition(primary, tuple(others))


class Time:
    """A hold, and evaluations every two seconds."""

    def __init__(self):
        self.hold, self.now = ConditionHold(), 100.0

    def step(self, *causes):
        """Evaluate; return the cause that is named."""
        named = self.hold.take(condition(*causes), self.now, self.now + 5000.0)
        self.now += 2.0
        return named

    def run(self, seconds, *causes):
        """Evaluate for a time; return the causes that are named."""
        return [self.step(*causes).cause for _ in range(int(seconds / 2))]


@pytest.mark.parametrize("cause", [cause for cause in Cause if cause is not Cause.OK])
def test_a_cause_is_named_when_it_is_confirmed_and_stays_for_fifteen_seconds(cause):
    """No 10-second bucket misses it."""
    time, confirm = Time(), CONFIRM_SECONDS.get(cause, 0.0)
    before = time.run(confirm, cause)
    assert set(before) <= {Cause.OK}
    named = time.step(cause)
    while named.cause is Cause.OK:
        named = time.step(cause)
    assert named.since == time.now - 2.0 + 5000.0
    after = time.run(60)
    lasting = after.index(Cause.OK) * 2.0
    assert lasting + 2.0 >= NAMED_SECONDS
    assert set(after[after.index(Cause.OK) :]) == {Cause.OK}


def test_what_explains_it_replaces_a_cause_at_once():
    """An outage does not wait for the fifteen seconds of the retry loops before it."""
    time = Time()
    assert time.step(Cause.RETRY_LOOP).cause is Cause.RETRY_LOOP
    named = time.step(Cause.RETRY_LOOP, Cause.PLATFORM_DOWN)
    assert named.cause is Cause.PLATFORM_DOWN
    assert [finding.cause for finding in named.others] == [Cause.RETRY_LOOP]


def test_a_run_that_resumes_and_halts_again_has_one_cause():
    """Halted for four seconds, resumed for four: one cause, not many."""
    time = Time()
    named = [one for _ in range(10) for one in time.run(4, Cause.FORBIDDEN) + time.run(4)]
    assert set(named) == {Cause.FORBIDDEN}


@settings(max_examples=60)
@given(st.lists(st.sets(st.sampled_from(list(Cause)), max_size=3), min_size=10, max_size=60))
def test_no_flapping(steps):
    """Whatever the facts show, a cause gives way within 15 seconds only to one that precedes."""
    time, named, since = Time(), Cause.OK, 0.0
    for causes in steps:
        now = time.now
        cause = time.step(*(causes - {Cause.OK})).cause
        if cause is not named:
            early = named is not Cause.OK and now - since < NAMED_SECONDS
            assert not early or PRECEDENCE[cause] < PRECEDENCE[named]
            named, since = cause, now


def test_a_release_is_longer_than_an_evaluation():
    """One evaluation that misses a cause does not end it, nor its confirmation."""
    time = Time()
    for _ in range(30):
        time.step(Cause.PLATFORM_ERRORS)
        named = time.step()
    assert named.cause is Cause.PLATFORM_ERRORS
    assert RELEASE_SECONDS > 4.0 > SHORTEST_HALT
