"""What holds for a pace whatever happens to it."""

import math
from bisect import bisect_left

from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.domain.answer import QuotaReading
from dispatcher.pacing.schedule import RateSchedule

GAPS = st.lists(
    st.one_of(st.just(0.0), st.floats(0.0, 0.02), st.floats(0.0, 1.5)), min_size=1, max_size=300
)


@given(quota=st.integers(1, 400), window=st.floats(0.5, 60.0), gaps=GAPS, give_back=st.booleans())
@settings(max_examples=150, deadline=None)
def test_without_headers_no_span_of_a_window_sees_more_than_the_quota(
    quota, window, gaps, give_back
):
    """However callers come and timers are late: each asks for all that is due."""
    pace, now, granted = RateSchedule(quota, window), 0.0, []
    for count, gap in enumerate(gaps):
        now += gap * window
        while pace.take(now) is not None:
            if give_back and count % 3 == 0:
                pace.give_back()
                break
            granted.append(now)
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
@settings(max_examples=150, deadline=None)
def test_nothing_is_granted_inside_a_hold_whatever_the_platform_tells(gaps, holds, readings):
    pace, now, held_until, told = RateSchedule(600, 2.0), 0.0, -math.inf, iter(readings)
    for count, gap in enumerate(gaps):
        now += gap
        for at, seconds in holds:
            if at == count:
                pace.hold(now + seconds)
                held_until = max(held_until, now + seconds)
        number = pace.take(now)
        assert number is None or now >= held_until
        if number is not None and (reading := next(told, None)) is not None:
            pace.read(number, now, now + 0.01, reading)
        assert pace.rate >= 0
        assert 0 <= pace.used(now) <= 1


@given(
    readings=st.lists(
        st.builds(QuotaReading, st.integers(0, 900), st.integers(1, 900), st.integers(0, 5)),
        max_size=20,
    )
)
@settings(max_examples=100, deadline=None)
def test_whatever_the_platform_told_slots_come_again(readings):
    """Nonsense in the headers delays, and never for ever."""
    pace, now = RateSchedule(600, 2.0), 0.0
    for reading in readings:
        number = pace.take(now)
        if number is not None:
            pace.read(number, now, now + 0.01, reading)
        now += 0.05
    deadline = now + 20
    while pace.take(now) is None:
        now = max(pace.due(now), now + 0.001)
        assert now < deadline
