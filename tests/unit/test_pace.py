"""The pace in virtual time, against fixed windows of 600 requests per 2 s at a random phase."""

import random

import pytest

from dispatcher.domain.answer import QuotaReading
from dispatcher.pacing.schedule import RateSchedule
from tests.support.quota import (
    FixedWindow,
    World,
    bursts,
    constant,
    lognormal,
    steady,
    uniform,
)

QUOTA, PERIOD = 600, 2.0
LATENCIES = {
    "loopback": constant(0.0005),
    "constant": constant(0.05),
    "far": constant(0.15),
    "uniform": uniform(0.0025, 0.05),
    "lognormal": lognormal(0.01, 0.6, 0.15),
}
SEEDS = range(2)


def world(latency, seed, **changes):
    phase = random.Random(seed * 7 + 1).random() * PERIOD
    server = FixedWindow(changes.pop("allowed", QUOTA), changes.pop("period", PERIOD), phase)
    return World(server, LATENCIES[latency], seed, **changes)


def within_windows(moments, phase):
    """Shift another program's moments so that its periods are the platform's windows."""
    return (moment + phase - PERIOD for moment in moments if moment + phase >= PERIOD)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("latency", LATENCIES)
@pytest.mark.parametrize("headers", [True, False], ids=["headers", "no headers"])
def test_alone_the_quota_is_used_and_never_exceeded(latency, headers, seed):
    result = world(latency, seed, headers=lambda _: headers).run(RateSchedule(QUOTA, PERIOD))
    assert result.used >= 0.97
    assert result.throttled <= 0.001


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("latency", ["loopback", "constant", "uniform", "lognormal"])
def test_what_a_steady_program_leaves_is_used(latency, seed):
    others = steady(QUOTA // 2, PERIOD, random.Random(seed))
    result = world(latency, seed, others=others).run(RateSchedule(QUOTA, PERIOD))
    assert result.used >= 0.90
    assert result.throttled <= 0.01


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("latency", ["loopback", "uniform", "lognormal"])
@pytest.mark.parametrize("at", [None, 0.0, 0.5], ids=["anywhere", "start", "middle"])
def test_what_a_bursting_program_leaves_is_used(latency, at, seed):
    """The other one takes half of the quota at one go, once in each window."""
    it = world(latency, seed)
    moments = bursts(QUOTA // 2, PERIOD, random.Random(seed), at)
    it.others = within_windows(moments, it.server.phase)
    result = it.run(RateSchedule(QUOTA, PERIOD))
    assert result.used >= 0.90
    assert result.throttled <= 0.01


def test_who_stays_away_for_a_while_leaves_more_and_finds_room_again():
    others = (
        moment for moment in steady(300, PERIOD, random.Random(1)) if not 20 <= moment % 60 < 40
    )
    result = world("uniform", 1, others=others).run(RateSchedule(QUOTA, PERIOD))
    assert result.used >= 0.90
    assert result.throttled <= 0.01


def test_where_others_take_all_only_what_is_on_the_wire_is_refused():
    others = bursts(QUOTA, PERIOD, random.Random(1), 0.0)
    it = world("uniform", 1)
    it.others = within_windows(others, it.server.phase)
    result = it.run(RateSchedule(QUOTA, PERIOD))
    assert result.refused <= 30 * 30  # windows, by requests on the wire within 0.1 s


@pytest.mark.parametrize("seed", SEEDS)
def test_headers_that_vanish_halfway_leave_the_even_pace(seed):
    result = world("uniform", seed, headers=lambda now: now < 30).run(RateSchedule(QUOTA, PERIOD))
    assert result.used >= 0.97
    assert result.throttled <= 0.001


@pytest.mark.parametrize("seed", SEEDS)
def test_headers_that_come_late_change_nothing_when_alone(seed):
    result = world("uniform", seed, headers=lambda now: now > 30).run(RateSchedule(QUOTA, PERIOD))
    assert result.used >= 0.97
    assert result.throttled <= 0.001


@pytest.mark.parametrize("headers", [True, False], ids=["headers", "no headers"])
def test_an_event_loop_that_stops_now_and_then_loses_little(headers):
    it = world("uniform", 1, headers=lambda _: headers, stall_every=2.0)
    result = it.run(RateSchedule(QUOTA, PERIOD))
    assert result.used >= 0.96
    assert result.throttled <= 0.001


@pytest.mark.parametrize("seed", SEEDS)
def test_a_smaller_quota_than_configured_is_obeyed(seed):
    """One window may be exhausted before its first answers tell."""
    result = world("uniform", seed, allowed=400).run(RateSchedule(QUOTA, PERIOD))
    assert result.used >= 0.95
    assert result.throttled <= 0.001


def test_a_larger_quota_than_configured_is_left():
    result = world("uniform", 1, allowed=1200).run(RateSchedule(QUOTA, PERIOD))
    assert 0.97 * QUOTA <= result.taken / 30 <= QUOTA


def test_a_longer_window_than_configured_is_obeyed():
    result = world("uniform", 1, period=6.0).run(RateSchedule(QUOTA, PERIOD))
    assert result.used >= 0.90
    assert result.throttled <= 0.01


@pytest.mark.parametrize("rounding", [round, int], ids=["nearest", "down"])
def test_seconds_may_be_rounded_in_any_way(rounding):
    it = world("uniform", 1)
    it.server.rounding = rounding
    result = it.run(RateSchedule(QUOTA, PERIOD))
    assert result.used >= 0.97
    assert result.throttled <= 0.001


@pytest.mark.parametrize("headers", [True, False], ids=["headers", "no headers"])
def test_at_300_a_minute_a_state_does_not_grow_old(headers):
    """From a check's answer to its send's permit, with 64 workers."""
    dice = random.Random(5)
    server = FixedWindow(300, 60.0, dice.random() * 60)
    it = World(server, uniform(0.01, 0.15), 5, seconds=600, workers=64, headers=lambda _: headers)
    result = it.run(RateSchedule(300, 60.0))
    waits = sorted(result.waits)
    assert waits[int(0.99 * len(waits))] < 1.0
    assert result.used >= 0.97
    assert result.throttled <= 0.001


def test_there_is_no_burst_at_the_start():
    pace = RateSchedule(600, 2.0)
    assert [pace.take(5.0) for _ in range(3)] == [1, None, None]


def test_late_slots_are_made_up_but_not_more_than_a_hundredth_of_a_window():
    pace = RateSchedule(600, 2.0)
    pace.take(0.0)
    granted = sum(pace.take(1.0) is not None for _ in range(100))
    assert 5 <= granted <= 7


def test_nothing_is_given_out_while_held_and_a_shorter_hold_does_not_end_a_longer_one():
    pace = RateSchedule(600, 2.0)
    pace.take(0.0)
    pace.hold(3.0)
    pace.hold(1.0)
    assert pace.held(0.5) == 2.5
    assert all(pace.take(tick / 100) is None for tick in range(1, 300))
    assert pace.due(1.0) == 3.0
    assert pace.take(3.0) is not None
    assert pace.held(3.0) == 0.0


def test_a_slot_given_back_is_free_at_once():
    pace = RateSchedule(60, 60.0)
    pace.take(0.0)
    assert pace.take(0.0) is None
    pace.give_back()
    assert pace.take(0.0) is not None
    assert pace.take(0.0) is None


def test_a_quota_that_is_used_up_stops_until_the_window_ends():
    pace = RateSchedule(300, 60.0)
    number = pace.take(0.0)
    pace.read(number, 0.0, 0.1, QuotaReading(300, 300, 10))
    moment = next(at / 100 for at in range(25, 2000) if pace.take(at / 100) is not None)
    assert 9.0 <= moment <= 11.1


def test_gauges_tell_rate_and_share():
    pace = RateSchedule(600, 2.0)
    assert pace.rate == pytest.approx(294)
    number = pace.take(0.0)
    pace.read(number, 0.0, 0.01, QuotaReading(300, 600, 1))
    assert pace.used(0.01) == pytest.approx(0.5)
