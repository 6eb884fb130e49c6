"""Rate windows, the other program in them, and limits of endpoints."""

import pytest

from dispatcher.sandbox.quota import LimitGate, Quota
from dispatcher.sandbox.scenario.model import Limit, OtherProgramRules, RateRules


def quota(now=100.0, seed=1, **rate):
    rate = {"allowed": 3, "window_seconds": 2.0, "phase": 0.0} | rate
    return Quota(RateRules(**rate), seed, now, wall_offset=1000.0)


def complete(windows):
    return [(w.accepted, w.refused, w.other) for w in windows if w.complete]


def test_a_window_permits_so_many_and_begins_again_on_time():
    """A refused request counts as refused and nothing else."""
    q = quota()
    assert [q.take(100.0 + n / 10) for n in range(5)] == [True, True, True, False, False]
    assert q.take(102.0)
    assert [(w.accepted, w.refused) for w in q.windows(102.0)] == [(3, 2), (1, 0)]
    assert [w.start for w in q.windows(102.0)] == [1100.0, 1102.0]


def test_the_headers_of_the_contract():
    q = quota()
    q.take(100.5)
    assert q.header_lines(100.5) == (
        b"inin-ratelimit-count: 1\r\ninin-ratelimit-allowed: 3\r\ninin-ratelimit-reset: 2\r\n"
    )
    assert quota(headers=False).header_lines(100.0) == b""


def test_retry_after_is_in_whole_seconds_and_late_enough():
    q = quota(window_seconds=2.5)
    q.take(100.0)
    assert [q.reset_after(now) for now in (100.0, 100.6, 102.4)] == [3, 2, 1]


def test_idle_windows_are_there_with_nothing_in_them():
    q = quota()
    q.take(100.0)
    q.take(107.0)
    assert complete(q.windows(107.0)) == [(0, 0, 0), (0, 0, 0)]
    assert len(q.windows(107.0)) == 4


def test_the_first_window_and_the_last_are_not_complete():
    q = quota(phase=1.5)
    assert [w.complete for w in q.windows(103.0)] == [False, True, False]
    assert q.windows(103.0)[0].start == 1098.5


def test_the_phase_comes_from_the_seed():
    starts = {quota(phase=None, seed=seed).windows(100.0)[0].start for seed in range(20)}
    assert len(starts) == 20
    assert all(1098.0 < start <= 1100.0 for start in starts)


def test_a_long_sleep_does_not_cost_the_memory_of_its_windows():
    q = quota(window_seconds=0.01)
    q.take(100.0)
    assert len(q.windows(100_000.0)) <= 20_001


def test_a_steady_other_program_takes_evenly():
    q = quota(allowed=10, other=OtherProgramRules(5, "steady"))
    assert q.take(101.0)
    assert q.windows(101.0)[-1].other == 2
    q.take(102.0)
    assert q.windows(102.0)[0].other == 5


def test_a_bursting_other_program_takes_all_at_once_and_only_what_is_left():
    """Its share of a window goes from nothing to all in one step, at another moment each time."""
    q = quota(allowed=10, other=OtherProgramRules(8, "burst"))
    before = []
    for window in range(20):
        counts = []
        for step in range(5):
            q.take(100.0 + 2.0 * window + 0.4 * step)
            counts.append(q.windows(100.0 + 2.0 * window + 0.4 * step)[-1].other)
        taken = [other for other in counts if other]
        assert len(set(taken)) <= 1
        before.append(len(counts) - len(taken))
    assert len(set(before)) > 2
    assert {w.other for w in q.windows(140.0) if w.complete} <= {5, 6, 7, 8}
    assert all(w.accepted + w.other <= 10 for w in q.windows(140.0))


def test_a_change_begins_a_new_window_at_once():
    q = quota()
    while q.take(100.5):
        pass
    q.change(5, None, 101.0)
    assert [q.take(101.0) for _ in range(6)].count(True) == 5
    assert [w.complete for w in q.windows(101.0)] == [False, False]
    assert q.windows(101.0)[-1].allowed == 5


def test_a_limit_opens_again_after_its_own_time():
    gate = LimitGate(Limit("per.day", value=2, retry_after=100.0))
    assert [gate.take(0.0), gate.take(1.0), gate.take(2.0), gate.take(50.5)] == [0, 0, 100, 52]
    assert gate.take(102.0) == 0
    assert (gate.taken, gate.refused) == (1, 2)


@pytest.mark.parametrize("mode", ["steady", "burst"])
def test_an_other_program_alone_never_takes_more_than_the_window_has(mode):
    q = quota(allowed=4, other=OtherProgramRules(9, mode))
    q.take(110.0)
    assert {w.other for w in q.windows(110.0) if w.complete} == {4}
