"""Whose contact is next, as a plain calculation."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.engine.scheduling import CREDIT, PriorityScheduler, StrideScheduler


def choices(scheduler, waiting, turns):
    return [scheduler.next(waiting) for _ in range(turns)]


def test_equal_shares_take_turns():
    """Nobody gets two in a row while others wait."""
    assert choices(StrideScheduler([1, 1, 1]), [0, 1, 2], 6) == [0, 1, 2, 0, 1, 2]


def test_three_to_one():
    """In every four contacts three are of the campaign with the share of 3."""
    chosen = choices(StrideScheduler([3, 1]), [0, 1], 400)
    assert Counter(chosen) == {0: 300, 1: 100}
    assert all(chosen[start : start + 4].count(1) == 1 for start in range(0, 400, 4))


def test_a_campaign_without_contacts_leaves_its_turn_to_the_others():
    """One campaign alone gets every contact, whatever its share."""
    assert choices(StrideScheduler([1, 1000]), [0], 50) == [0] * 50


def test_what_was_not_taken_is_not_kept():
    """A campaign that comes back after long catches up by its credit, and then takes turns."""
    scheduler = StrideScheduler([1, 1])
    choices(scheduler, [0], 10_000)
    returned = choices(scheduler, [0, 1], 200)
    first = returned.index(0)
    assert first <= CREDIT + 1
    assert abs(Counter(returned[first:])[0] - Counter(returned[first:])[1]) <= 1


def test_a_short_absence_is_made_up_for():
    """A campaign that waited a moment for its next claims keeps its share."""
    scheduler = StrideScheduler([1, 1])
    absent = choices(scheduler, [0], 10)
    assert Counter(absent + choices(scheduler, [0, 1], 90)) == {0: 50, 1: 50}


def test_the_highest_priority_first():
    """Lower ones get something only when it has nothing; equals share."""
    scheduler = PriorityScheduler([5, 1, 1], [1, 3, 1])
    assert choices(scheduler, [0, 1, 2], 30) == [0] * 30
    assert Counter(choices(scheduler, [1, 2], 40)) == {1: 30, 2: 10}
    assert scheduler.next([0, 1]) == 0


@given(
    st.lists(st.floats(0.01, 100), min_size=2, max_size=5),
    st.data(),
)
def test_nobody_is_ever_far_from_its_share(shares, data):
    """While all wait, what each got by its share differs by one contact's cost at most."""
    scheduler, everybody = StrideScheduler(shares), range(len(shares))
    turns = data.draw(st.integers(1, 300))
    got = Counter(choices(scheduler, everybody, turns))
    by_share = [got[number] / share for number, share in enumerate(shares)]
    assert max(by_share) - min(by_share) <= 1 / min(shares) + 1e-6


@given(
    strides=st.lists(st.sampled_from([0.5, 1.0, 3.0]), min_size=1, max_size=5),
    turns=st.lists(st.sets(st.integers(0, 4), min_size=1), max_size=60),
)
def test_only_the_chosen_campaign_is_examined_for_its_credit(strides, turns):
    """The choice is that of a scheduler which limits the credit of all that wait, every time."""
    scheduler, passes, now = StrideScheduler(strides), [0.0] * len(strides), 0.0
    for turn in turns:
        waiting = sorted({index % len(strides) for index in turn})
        for index in waiting:
            passes[index] = max(passes[index], now - CREDIT / strides[index])
        chosen = min(waiting, key=passes.__getitem__)
        now = max(now, passes[chosen])
        passes[chosen] += 1 / strides[chosen]
        assert scheduler.next(waiting) == chosen
