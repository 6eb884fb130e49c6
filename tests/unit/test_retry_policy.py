"""Pauses of unknown states: fewer and fewer looks, and the same wait as before in all."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.domain.progress import Progress, RetryPolicy

policies = st.builds(
    RetryPolicy,
    max_attempts=st.integers(1, 200),
    backoff_seconds=st.floats(0.001, 100),
    backoff_max_seconds=st.floats(100, 1000),
)
jitters = st.floats(0, 1)


def looks(policy):
    """Return what `Progress.unknown` is at each look, until the contact is parked."""
    found = [Progress().unknown]
    while found[-1] + 1 < policy.max_attempts:
        found.append(policy.next_unknown(found[-1]))
    return found


@given(policies)
def test_no_look_is_after_the_last_attempt(policy):
    found = looks(policy)
    assert found == sorted(set(found))
    assert found[-1] == policy.max_attempts - 1


@given(policies)
def test_each_pause_is_made_of_twice_as_many_attempts(policy):
    found = looks(policy)
    assert len(found) <= policy.max_attempts.bit_length() + 1
    steps = [after - before for before, after in pairwise(found)]
    assert all(after >= 2 * before for before, after in pairwise(steps))


@given(policies, st.lists(jitters, min_size=20, max_size=20))
def test_pauses_never_shrink(policy, drawn):
    draw = iter(drawn).__next__
    pauses = [policy.unknown_pause(unknown, draw) for unknown in looks(policy)[:-1]]
    assert all(after >= before * 0.999 for before, after in pairwise(pauses))


@given(policies, jitters)
def test_the_whole_wait_is_that_of_all_attempts(policy, jitter):
    pauses = sum(policy.unknown_pause(unknown, lambda: jitter) for unknown in looks(policy)[:-1])
    attempts = sum(
        policy.backoff(attempt, lambda: jitter) for attempt in range(1, policy.max_attempts)
    )
    assert abs(pauses - attempts) <= 1e-6 * (1 + attempts)


def test_with_the_defaults_four_looks_are_made_instead_of_eight():
    assert looks(RetryPolicy()) == [0, 1, 3, 7]


@given(policies, st.integers(0, 500))
def test_a_count_of_another_limit_goes_on(policy, unknown):
    """A ledger of a run with another ``max_attempts``: the next look is later, and there is one."""
    assert policy.next_unknown(unknown) > unknown
    assert policy.unknown_pause(unknown, lambda: 0.0) > 0
