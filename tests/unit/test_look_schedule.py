"""When sessions that are waited for are looked at again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.domain.look_schedule import (
    LEAST_BURST,
    MOST_DELAY,
    MOST_REMEMBERED,
    LookSchedule,
    next_common,
)
from dispatcher.domain.next_step import LONGEST_PAUSE, pause

NOW = 1000.0
SHARE, RATE = 0.25, 10.0


def schedule():
    return LookSchedule(SHARE, lambda: RATE)


def test_one_look_is_made_when_it_is_due():
    assert schedule().plan(1, NOW + 5, NOW) == NOW + 5


def test_many_looks_are_spread_over_their_share():
    looks = schedule()
    planned = [looks.plan(id_, NOW + 1, NOW) for id_ in range(100)]
    assert planned == sorted(planned)
    assert 100 / (planned[-1] - NOW) <= SHARE * RATE


def test_first_looks_count_against_the_share():
    looks = schedule()
    before = looks.look_rate()
    for _ in range(1000):
        looks.count_request()
    for _ in range(100):
        looks.count_first_look()
    assert looks.look_rate() < before
    for _ in range(900):
        looks.count_first_look()
    assert looks.look_rate() > 0, "repeated looks never stop"


def test_looks_have_the_whole_quota_when_they_are_alone():
    looks = schedule()
    for id_ in range(100):
        looks.plan(id_, NOW + 1, NOW)
    assert len(looks.take(NOW + 2, 100)) <= LEAST_BURST
    looks.alone = True
    assert looks.next_look == NOW + 1
    assert len(looks.take(NOW + 2, 100)) >= 100 - LEAST_BURST
    assert looks.plan(7, NOW + 1, NOW) == NOW + 1


def test_no_look_is_made_before_it_is_due():
    looks = schedule()
    looks.plan(1, NOW + 5, NOW)
    looks.alone = True
    assert looks.take(NOW + 4.9, 10) == []
    assert looks.take(NOW + 5, 10) == [1]
    assert looks.take(NOW + 9, 10) == []


def test_a_look_that_was_forgotten_is_not_taken_at_its_old_time():
    looks = schedule()
    looks.plan(1, NOW + 5, NOW)
    looks.forget(1)
    looks.plan(1, NOW + 50, NOW + 5)
    looks.alone = True
    assert looks.take(NOW + 49, 10) == []
    assert looks.take(NOW + 50, 10) == [1]


def test_memory_is_bounded():
    looks = schedule()
    for id_ in range(MOST_REMEMBERED + 10):
        looks.plan(id_, NOW + 1, NOW)
    looks.alone = True
    assert len(looks.take(NOW + 1e9, 2 * MOST_REMEMBERED)) == MOST_REMEMBERED


@given(st.lists(st.floats(0, 5), max_size=200))
def test_permits_keep_to_the_share_over_any_time(gaps):
    looks, now, permitted = schedule(), NOW, 0
    for gap in gaps:
        now += gap
        permitted += looks.permit(3, now)
    burst = max(LEAST_BURST, looks.look_rate() * 5.0)
    assert permitted <= burst + looks.look_rate() * (now - NOW) + 1


@pytest.mark.parametrize(
    ("waited", "seconds"),
    [(0, 60), (60, 60), (240, 120), (1200, 600), (40_000, 1800), (86_300, 100), (86_400, 1)],
)
def test_pauses_grow_with_the_time_waited_and_end_at_the_limit(waited, seconds):
    assert pause(60.0, waited, 86_400.0) == seconds
    assert seconds <= 60 * LONGEST_PAUSE


@given(st.floats(0, 1e9), st.floats(0.01, 1e5), st.floats(0, 1e5))
def test_looks_at_about_the_same_time_are_due_together(now, pause, shift):
    """A common moment is never before the look is due, and at most a quarter of its pause later."""
    common = next_common(now + pause, pause)
    assert 0 <= common - (now + pause) <= MOST_DELAY * pause + 1e-6
    longer = next_common(now + shift + 2 * pause, 2 * pause)
    assert next_common(longer, pause) == longer, "a moment of long pauses is one of short ones"


def test_looks_that_share_a_request_are_due_together():
    looks = LookSchedule(SHARE, lambda: RATE, together=True)
    looks.alone = True
    planned = {looks.plan(id_, NOW + 5 + id_ / 100, NOW + id_ / 100) for id_ in range(1, 50)}
    assert planned == {NOW + 6}
