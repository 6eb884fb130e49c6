"""Counts in memory."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.domain import events as e
from dispatcher.domain.status import HaltReason, Reason, RetryReason, ScopeSource, Status, Step
from dispatcher.telemetry.stats.as_json import as_json
from dispatcher.telemetry.stats.run_stats import RunStats

small = st.integers(0, 500)
few = st.floats(0, 100)
rows = st.builds(
    lambda a, d, r, f: e.RowsRead(a + d + r + f, a, d, r, f), small, small, small, small
)
answered = st.builds(
    lambda step, status: e.Answered(step, status, 0.1, "k", "c", "r", failed=False),
    st.sampled_from(Step),
    st.sampled_from(["200", "202", "409", "timeout"]),
)
settled = st.builds(
    lambda status, reason: e.Settled("k", "c", status, reason, None, None, None, "r", 1.0),
    st.sampled_from([Status.NOTIFIED, Status.PARKED]),
    st.sampled_from(Reason),
)
facts = st.lists(
    st.one_of(
        rows,
        answered,
        settled,
        st.builds(e.StateAged, few),
        st.builds(lambda r: e.Deferred("k", "c", r, 1.0), st.sampled_from(RetryReason)),
        st.builds(
            lambda s: e.ScopeError(s, Step.OPEN, "k", "r"),
            st.sampled_from(ScopeSource),
        ),
        st.builds(
            lambda s, c: e.ClosedConflict(s, c, "k", "r"),
            st.sampled_from(Step),
            st.sampled_from([400, 409]),
        ),
        st.builds(lambda s: e.RetryLoop(s, "k"), st.sampled_from(Step)),
        st.just(e.InDoubt("parked", Step.OPEN, "k", "c", "r")),
        st.just(e.Throttled(None, 1.0, "")),
        st.just(e.Probed(HaltReason.SCOPE)),
    )
)


class Time:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@given(facts)
def test_it_adds_up(emitted):
    """Every row is in one of the four kinds, and every fact is counted exactly once."""
    stats = RunStats()
    for fact in emitted:
        stats.emit(fact)
    shot = stats.snapshot()

    def count(kind):
        return sum(isinstance(fact, kind) for fact in emitted)

    assert shot.rows == shot.admitted + shot.duplicates + shot.rejected_rows + shot.filtered
    assert shot.rows == sum(f.rows for f in emitted if isinstance(f, e.RowsRead))
    assert shot.settled_total == count(e.Settled)
    assert shot.requests_total == count(e.Answered)
    assert sum(shot.retries.values()) == count(e.Deferred)
    assert sum(shot.scope_errors.values()) == count(e.ScopeError)
    assert sum(shot.closed_session_conflicts.values()) == count(e.ClosedConflict)
    assert sum(shot.retry_loops.values()) == count(e.RetryLoop)
    assert sum(shot.in_doubt.values()) == count(e.InDoubt)
    assert shot.throttled == count(e.Throttled)
    assert orjson.loads(orjson.dumps(as_json(shot)))["rows"]["read"] == shot.rows


def test_a_snapshot_stays_as_it_was():
    """What is counted later does not change a snapshot that was taken before."""
    stats = RunStats()
    before = stats.snapshot()
    stats.emit(e.RetryLoop(Step.OPEN, "k"))
    assert before.retry_loops == {}
    assert stats.snapshot().retry_loops == {Step.OPEN: 1}


def test_halts_are_those_that_last():
    """A halt is there with its first time until it is over; two of them do not mix."""
    clock = Time()
    stats = RunStats(epoch=clock)
    stats.emit(e.Halted(HaltReason.SCOPE, ""))
    clock.now = 1005.0
    stats.emit(e.Halted(HaltReason.SCOPE, ""))
    stats.emit(e.Halted(HaltReason.PLATFORM_DOWN, ""))
    assert stats.snapshot().halts == {HaltReason.SCOPE: 1000.0, HaltReason.PLATFORM_DOWN: 1005.0}
    stats.emit(e.Resumed(HaltReason.SCOPE, 5.0))
    assert stats.snapshot().halts == {HaltReason.PLATFORM_DOWN: 1005.0}


def test_rates_follow_the_last_seconds():
    """The 10-second rate forgets what the 60-second rate still knows; in the end both do."""
    clock = Time()
    stats = RunStats(monotonic=clock)
    fact = e.Settled(
        "k", "c", Status.NOTIFIED, Reason.DELIVERED, None, None, None, "r", seconds=1.0
    )
    for second in range(100):
        clock.now = 1000.5 + second
        for _ in range(5):
            stats.emit(fact)
    clock.now = 1100.0
    rates = stats.snapshot().rates
    assert rates.settled_10 == pytest.approx(5.0)
    assert rates.settled_60 == pytest.approx(5.0)
    clock.now = 1120.0
    rates = stats.snapshot().rates
    assert rates.settled_10 == 0
    assert 3.0 < rates.settled_60 < 4.0
    clock.now = 99999.0
    assert stats.snapshot().rates.settled_60 == 0


def test_rates_at_the_start():
    """Before ten seconds have passed, the rate is over those that have."""
    clock = Time()
    stats = RunStats(monotonic=clock)
    for _ in range(8):
        stats.emit(e.Answered(Step.CHECK, "200", 0.1, "k", "c", "r", failed=False))
    clock.now = 1004.0
    assert stats.snapshot().rates.requests_10 == pytest.approx(2.0)


def test_gauges_are_the_last_ones():
    """The last gauges are in the snapshot and in the JSON."""
    stats = RunStats()
    assert as_json(stats.snapshot())["gauges"] is None
    gauges = e.Gauges(3, 100, 1.5, 5.0, 0.9)
    stats.emit(e.Gauges(1, 1, 1, 1, 1))
    stats.emit(gauges)
    assert stats.snapshot().gauges == gauges
    assert as_json(stats.snapshot())["gauges"]["backlog"] == 100


def test_where_contacts_and_the_quota_are_is_in_the_json():
    """By state and reason, and by user; with the source, the ledger, tokens and halts."""
    stats = RunStats()
    contacts = {("waiting", "quiet_hours"): 2, ("waiting", "other"): 1, ("final", "delivered"): 4}
    gauges = e.Gauges(
        3, 100, 1.5, 5.0, 0.9, quota=e.QuotaUse(300.0, 200.0, 50.0), contacts=contacts,
        source=e.SourceState(1.5, 7, waits_for="a.csv is not complete yet", lag=31),
        ledger=e.LedgerState(10, 20, 0.5), loop_lag=0.25,
    )  # fmt: skip
    stats.emit(gauges)
    stats.emit(e.TokenRequested("200", 0.1))
    stats.emit(e.Halted(HaltReason.SCOPE, ""))
    stats.emit(e.Resumed(HaltReason.SCOPE, 0.0))
    found = as_json(stats.snapshot())
    assert found["gauges"]["contacts"] == {
        "waiting": {"quiet_hours": 2, "other": 1}, "final": {"delivered": 4},
    }  # fmt: skip
    assert found["gauges"]["quota"] == {"limit": 300.0, "own": 200.0, "others": 50.0}
    assert found["gauges"]["source"]["waits_for"] == "a.csv is not complete yet"
    assert found["gauges"]["source"]["lag"] == 31
    assert found["gauges"]["ledger"] == {"size": 10, "free": 20, "commit": 0.5}
    assert found["gauges"]["loop_lag"] == 0.25
    assert (found["token_requests"], found["halts_begun"]) == ({"200": 1}, {"scope": 1})
    assert found["requests_per_contact"] == 0.0
