"""What holds for a pacer whatever callers, timers and headers do."""

import asyncio
import math
import random
from bisect import bisect_left

from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.domain.answer import QuotaReading
from dispatcher.domain.status import Step
from dispatcher.pacing.pacer import QuotaPacer
from tests.support.quota import FixedWindow, World, uniform
from tests.support.virtual import VirtualClock, in_virtual_time

GAPS = st.lists(
    st.one_of(st.just(0.0), st.floats(0.0, 0.02), st.floats(0.0, 1.5)), min_size=1, max_size=300
)


def grant(pacer):
    """Return a permit that is due now; None where the caller would have to wait."""
    coroutine = pacer.acquire(Step.CHECK)
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    try:
        coroutine.throw(asyncio.CancelledError)
    except asyncio.CancelledError:
        return None
    raise AssertionError("it is not cancelled")


@given(quota=st.integers(1, 400), window=st.floats(0.5, 60.0), gaps=GAPS, release=st.booleans())
@settings(max_examples=80)
def test_without_headers_no_span_of_a_window_has_more_than_the_quota(quota, window, gaps, release):
    """However callers come and timers are late: each asks for all that is due."""

    @in_virtual_time
    async def run():
        loop, pacer, granted = asyncio.get_running_loop(), None, []
        pacer = QuotaPacer(quota, window, VirtualClock())
        for count, gap in enumerate(gaps):
            loop.now += gap * window
            while (permit := grant(pacer)) is not None:
                if release and count % 3 == 0:
                    permit.release()
                    break
                granted.append(loop.now)
        return granted

    granted = run()
    for index, moment in enumerate(granted):
        until = bisect_left(granted, moment + window)
        assert until - index <= quota


@given(
    gaps=GAPS,
    holds=st.lists(st.tuples(st.integers(0, 300), st.floats(0.0, 5.0)), max_size=10),
    readings=st.lists(
        st.builds(QuotaReading, st.integers(0, 900), st.integers(0, 900), st.integers(0, 90)),
        max_size=50,
    ),
)
@settings(max_examples=80)
def test_nothing_is_granted_inside_a_hold_whatever_the_platform_reports(gaps, holds, readings):
    @in_virtual_time
    async def run():
        loop, held_until, reported = asyncio.get_running_loop(), -math.inf, iter(readings)
        pacer = QuotaPacer(600, 2.0, VirtualClock())
        for count, gap in enumerate(gaps):
            loop.now += gap
            for at, seconds in holds:
                if at == count:
                    pacer.hold(None, seconds)
                    held_until = max(held_until, loop.now + seconds)
            permit = grant(pacer)
            assert permit is None or loop.now >= held_until
            if permit is not None:
                permit.complete(next(reported, None))
            assert pacer.rate >= 0
            assert 0 <= pacer.quota.used <= 1

    run()


@given(
    readings=st.lists(
        st.builds(
            QuotaReading,
            st.integers(0, 900),
            st.integers(1, 900),
            st.integers(0, 5) | st.sampled_from([86_400, 1_700_000_000]),
        ),
        max_size=20,
    )
)
@settings(max_examples=50)
def test_whatever_the_platform_reported_permits_are_granted_again(readings):
    """Nonsense in the headers delays, and never for ever."""

    @in_virtual_time
    async def run():
        pacer = QuotaPacer(600, 2.0, VirtualClock())
        for reading in readings:
            permit = grant(pacer)
            if permit is not None:
                permit.complete(reading)
            await asyncio.sleep(0.05)
        async with asyncio.timeout(20):
            await pacer.acquire(Step.CHECK)

    run()


@given(
    seed=st.integers(0, 1000),
    period=st.sampled_from([2.0, 3.0, 5.0]),
    configured=st.sampled_from([2.0, 10.0, 60.0]),
    rounding=st.sampled_from([math.ceil, round, math.floor]),
    allowed=st.sampled_from([100, 200]),
)
@settings(max_examples=8)
def test_after_learning_windows_of_any_phase_are_used_up_and_not_exceeded(
    seed, period, configured, rounding, allowed
):
    """The settings permit 100 requests per second, the platform as many, fewer or more."""
    phase = random.Random(seed).random() * period
    server = FixedWindow(allowed, period, phase, rounding)
    it = World(server, uniform(0.001, 0.01), seed, seconds=10 * period, skipped=8 * period)
    result = it.run(max(1, round(configured * 100)), configured)
    assert result.refused == 0 if allowed >= 100 * period else result.throttled <= 0.005
    assert result.used >= min(0.98, 0.98 * 100 * period / allowed)
