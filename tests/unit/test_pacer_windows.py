"""The pacer in virtual time, against fixed windows of 300 requests per 2 s at a random phase."""

import math
import random
from dataclasses import replace
from itertools import count

import pytest

from tests.support.quota import (
    FixedWindow,
    World,
    bursts,
    constant,
    lognormal,
    steady,
    uniform,
)

QUOTA, PERIOD = 300, 2.0
LATENCIES = {
    "loopback": constant(0.0005),
    "constant": constant(0.05),
    "far": constant(0.15),
    "uniform": uniform(0.0025, 0.05),
    "lognormal": lognormal(0.01, 0.6, 0.15),
}
SEEDS = (1,)


def world(latency, seed, **changes):
    phase = random.Random(seed * 7 + 1).random() * PERIOD
    server = FixedWindow(changes.pop("allowed", QUOTA), changes.pop("period", PERIOD), phase)
    return World(server, LATENCIES[latency], seed, **changes)


def within_windows(moments, phase):
    """Shift another program's moments so that its periods are the platform's windows."""
    return (moment + phase - PERIOD for moment in moments if moment + phase >= PERIOD)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("latency", ["loopback", "far", "lognormal"])
@pytest.mark.parametrize("headers", [True, False], ids=["headers", "no headers"])
def test_alone_the_quota_is_used_and_never_exceeded(latency, headers, seed):
    result = world(latency, seed, headers=lambda _: headers).run(QUOTA, PERIOD)
    assert result.used >= 0.97
    assert result.throttled <= 0.001


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("latency", ["loopback", "constant", "uniform", "lognormal"])
def test_what_a_steady_program_leaves_is_used(latency, seed):
    others = steady(QUOTA // 2, PERIOD, random.Random(seed))
    result = world(latency, seed, others=others, seconds=24.0).run(QUOTA, PERIOD)
    assert result.used >= 0.90
    assert result.throttled <= 0.01


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("latency", "at"),
    [("loopback", None), ("lognormal", None), ("uniform", 0.0), ("lognormal", 0.5)],
)
def test_what_a_bursting_program_leaves_is_used(latency, at, seed):
    """The other one takes half of the quota at one go, once in each window."""
    it = world(latency, seed, seconds=24.0)
    moments = bursts(QUOTA // 2, PERIOD, random.Random(seed), at)
    it.others = within_windows(moments, it.server.phase)
    result = it.run(QUOTA, PERIOD)
    assert result.used >= 0.90
    assert result.throttled <= 0.01


def test_who_stays_away_for_a_while_leaves_more_and_finds_room_again():
    others = (
        moment
        for moment in steady(QUOTA // 2, PERIOD, random.Random(1))
        if not 20 <= moment % 60 < 40
    )
    result = world("uniform", 1, others=others, seconds=60.0).run(QUOTA, PERIOD)
    assert result.used >= 0.90
    assert result.throttled <= 0.01


def test_where_others_take_all_only_what_is_on_the_wire_is_refused():
    others = bursts(QUOTA, PERIOD, random.Random(1), 0.0)
    it = world("uniform", 1, seconds=60.0)
    it.others = within_windows(others, it.server.phase)
    result = it.run(QUOTA, PERIOD)
    assert result.refused <= 30 * 30  # windows, by requests on the wire within 0.1 s


@pytest.mark.parametrize("seed", SEEDS)
def test_headers_that_vanish_halfway_leave_the_even_pace(seed):
    result = world("uniform", seed, headers=lambda now: now < 9).run(QUOTA, PERIOD)
    assert result.used >= 0.97
    assert result.throttled <= 0.001


@pytest.mark.parametrize("seed", SEEDS)
def test_headers_that_come_late_change_nothing_when_alone(seed):
    result = world("uniform", seed, headers=lambda now: now > 9).run(QUOTA, PERIOD)
    assert result.used >= 0.97
    assert result.throttled <= 0.001


@pytest.mark.parametrize("headers", [True, False], ids=["headers", "no headers"])
def test_an_event_loop_that_stops_now_and_then_loses_little(headers):
    it = world("uniform", 1, headers=lambda _: headers, stall_every=2.0)
    result = it.run(QUOTA, PERIOD)
    assert result.used >= 0.96
    assert result.throttled <= 0.001


@pytest.mark.parametrize("seed", SEEDS)
def test_a_smaller_quota_than_configured_is_obeyed(seed):
    """One window may be exhausted before the first answers report it."""
    result = world("uniform", seed, allowed=200).run(QUOTA, PERIOD)
    assert result.used >= 0.95
    assert result.throttled <= 0.001


def test_a_larger_quota_than_configured_is_left():
    result = world("uniform", 1, allowed=600).run(QUOTA, PERIOD)
    assert 0.97 * QUOTA <= result.taken / 6 <= QUOTA


def test_a_longer_window_than_configured_is_obeyed():
    result = world("uniform", 1, period=6.0).run(QUOTA, PERIOD)
    assert result.used >= 0.90
    assert result.throttled <= 0.01


@pytest.mark.parametrize("rounding", [round, math.floor], ids=["nearest", "down"])
def test_seconds_may_be_rounded_in_any_way(rounding):
    it = world("uniform", 1, seconds=20.0)
    it.server.rounding = rounding
    result = it.run(QUOTA, PERIOD)
    assert result.used >= 0.97
    assert result.throttled <= 0.001


@pytest.mark.parametrize("headers", [True, False], ids=["headers", "no headers"])
def test_at_300_a_minute_a_state_does_not_grow_old(headers):
    """From a check's answer to its send's permit, with 64 workers."""
    dice = random.Random(5)
    server = FixedWindow(300, 60.0, dice.random() * 60)
    it = World(server, uniform(0.01, 0.15), 5, seconds=360, workers=64, headers=lambda _: headers)
    result = it.run(300, 60.0)
    waits = sorted(result.waits)
    assert waits[int(0.99 * len(waits))] < 1.0
    assert result.used >= 0.97
    assert result.throttled <= 0.001


ROUNDINGS = {"up": math.ceil, "nearest": round, "down": math.floor}


def learnt(period, allowed, *, configured=(9_000, 60.0), rounding="up", latency="uniform", **more):
    """Run against windows of another length than the settings have, after six windows to learn."""
    it = world(
        latency, 1, allowed=allowed, period=period, skipped=6 * period, seconds=8 * period, **more
    )
    it.server.rounding = ROUNDINGS[rounding]
    return it.run(*configured)


@pytest.mark.parametrize(
    ("rounding", "latency"),
    [("up", "constant"), ("up", "lognormal"), ("nearest", "uniform"), ("down", "uniform")],
)
def test_windows_that_are_shorter_than_configured_are_learnt(rounding, latency):
    """300 requests per 2 s, where the settings have the same rate per 60 s."""
    result = learnt(PERIOD, QUOTA, rounding=rounding, latency=latency)
    assert result.used >= 0.98
    assert result.refused == 0


@pytest.mark.parametrize(
    ("period", "rate", "used", "configured", "rounding"),
    [
        (1.0, 150, 0.85, (9_000, 60.0), "up"),
        (1.0, 150, 0.85, (300, 2.0), "up"),
        (1.5, 150, 0.97, (9_000, 60.0), "nearest"),
        (3.0, 60, 0.97, (9_000, 60.0), "up"),
        (3.0, 60, 0.97, (9_000, 60.0), "down"),
        (7.3, 30, 0.97, (9_000, 60.0), "nearest"),
        (7.3, 30, 0.97, (300, 2.0), "up"),
    ],
)
def test_windows_of_any_length_are_learnt(period, rate, used, configured, rounding):
    """One second is no longer than the error of what the platform reports."""
    result = learnt(period, rate * period, configured=configured, rounding=rounding)
    assert result.used >= used
    assert result.throttled <= 0.005


def test_a_configured_rate_above_the_allowed_one_is_limited_by_windows_that_are_learnt():
    """The settings permit 300 requests per second, the platform 50."""
    result = learnt(PERIOD, 100, configured=(18_000, 60.0))
    assert result.used >= 0.97
    assert result.throttled <= 0.0001


def test_a_configured_rate_below_the_allowed_one_is_kept_in_windows_that_are_learnt():
    """The settings permit 50 requests per second, the platform 150."""
    result = learnt(PERIOD, QUOTA, configured=(3_000, 60.0))
    assert 0.97 <= result.taken / (8 * 100) <= 1
    assert result.refused == 0


def test_with_another_program_shorter_windows_are_learnt():
    others = steady(QUOTA // 2, PERIOD, random.Random(1))
    result = learnt(PERIOD, QUOTA, others=others)
    assert result.used >= 0.90
    assert result.throttled <= 0.01


def test_headers_that_come_late_show_shorter_windows():
    result = learnt(PERIOD, QUOTA, headers=lambda now: now > 3.0)
    assert result.used >= 0.98
    assert result.refused == 0


@pytest.mark.parametrize(
    "headers",
    [lambda now: now < 10.0, lambda now: now % 0.1 < 0.02, lambda now: now % 10 < 5],
    ids=["until 10 s", "a fifth", "now and then"],
)
def test_windows_are_learnt_and_kept_when_the_headers_vanish_or_are_rare(headers):
    result = learnt(PERIOD, QUOTA, headers=headers)
    assert result.used >= 0.97
    assert result.refused == 0


@pytest.mark.parametrize("position", [0, 290, 590])
@pytest.mark.parametrize("reset", [86_400, -5])
def test_a_reset_that_is_wrong_once_is_soon_corrected(reset, position):
    it = world("uniform", 1, skipped=8.0, seconds=8.0)
    readings, request = count(), it.server.request

    def wrong_once(now, *, ours=True):
        taken, reading = request(now, ours=ours)
        return taken, replace(reading, reset=reset) if next(readings) == position else reading

    it.server.request = wrong_once
    result = it.run(QUOTA, PERIOD)
    assert result.used >= 0.98
    assert result.refused == 0
