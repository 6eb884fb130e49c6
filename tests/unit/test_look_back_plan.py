"""When look backs are made: for many at once, and when an answer can be new."""

import pytest

from dispatcher.domain.evidence import NEVER_SHOWN
from dispatcher.domain.look_back_plan import (
    COMPANIONS,
    JUST_AFTER,
    MIN_PATIENCE_SECONDS,
    LookBackPlan,
)
from dispatcher.domain.reconcile_policy import MAX_PAUSE_SECONDS, ReconcilePolicy
from dispatcher.domain.status import Step
from dispatcher.domain.unsettled_send import UnsettledSend

POLICY = ReconcilePolicy(
    timeout=10, max_effect_delay=60, max_lag=120, clock_skew=5, look_seconds=10
)
BOUND, PATIENCE = 195.0, 97.5
SEND = UnsettledSend(1, Step.NOTIFY, "c-1", None, "digest", 0.0, 2.0)


@pytest.fixture
def plan():
    return LookBackPlan(POLICY)


@pytest.mark.parametrize(
    ("times", "more_expected", "last_round", "at"),
    [
        ([50.0], False, NEVER_SHOWN, 50.0),
        ([50.0, 60.0], False, NEVER_SHOWN, 60.0),
        ([50.0, 900.0], False, NEVER_SHOWN, 50.0 + PATIENCE),
        ([50.0], True, NEVER_SHOWN, 50.0),
        ([50.0], True, 40.0, 40.0 + PATIENCE),
        ([50.0], False, 40.0, 50.0),
        ([50.0 + n for n in range(COMPANIONS)], True, 49.0, 49.0 + COMPANIONS),
    ],
)
def test_a_contact_waits_for_companions(plan, times, more_expected, last_round, at):
    """Until all are due, or many; not for long, and not where nobody is expected."""
    plan.last_round = last_round
    assert plan.round_at(times, more_expected=more_expected) == at


def test_bounds_that_are_short_do_not_make_it_hasty():
    """Half of the bound, but a minute at least."""
    assert LookBackPlan(ReconcilePolicy(max_lag=1, max_effect_delay=1)).patience == (
        MIN_PATIENCE_SECONDS
    )
    assert LookBackPlan(POLICY).patience == PATIENCE


def test_the_first_look_waits_for_the_lag_that_was_observed(plan):
    """At once while it is not known; it is counted from the end of the request."""
    assert plan.useful_from(SEND, looked=False) == SEND.at
    plan.observe(100.0, 70.0)
    assert plan.useful_from(SEND, looked=False) == 2.0 + 30.0


def test_between_the_first_look_and_the_bound_there_is_none(plan):
    """Then one comes when a record from after the bound is probably shown."""
    assert plan.next_look(SEND, 12.0) == BOUND + JUST_AFTER + 30.0
    plan.observe(100.0, 93.0)
    assert plan.next_look(SEND, 12.0) == BOUND + JUST_AFTER + 7.0
    assert plan.useful_from(SEND, looked=True) == BOUND + 7.0


def test_at_least_once_needs_no_record_from_after_the_bound():
    """It looks as soon as the bound is over."""
    plan = LookBackPlan(ReconcilePolicy(True, 10, 60, 120, 5, 10))
    assert plan.next_look(SEND, 12.0) == BOUND + JUST_AFTER
    plan.observe(100.0, 93.0)
    assert plan.useful_from(SEND, looked=True) == BOUND


def test_after_the_bound_the_pauses_double(plan):
    """From the setting on, up to ten minutes."""
    at, looks = BOUND + 5.0, []
    while len(looks) < 9:
        looks.append(plan.next_look(SEND, at) - at)
        at = BOUND + 5.0 + sum(looks)
    assert looks == [10, 15, 30, 60, 120, 240, 480, MAX_PAUSE_SECONDS, MAX_PAUSE_SECONDS]


def test_contacts_that_wait_for_the_same_evidence_share_their_next_look(plan):
    """The first one's pause counts, and a look that is planned already is not made twice."""
    younger = UnsettledSend(2, Step.NOTIFY, "c-2", None, "digest", 60.0, 62.0)
    at = BOUND + 100.0
    assert plan.next_look(SEND, at, overdue=100.0) == at + 100.0
    assert plan.next_look(younger, at, overdue=100.0) == at + 100.0
    assert plan.next_look(younger, at + 10.0, overdue=70.0) == at + 100.0
    assert plan.next_look(younger, at + 100.0, overdue=200.0) == at + 300.0


def test_the_shortest_lag_counts_and_impossible_ones_do_not(plan):
    """A newest record that is old says that nobody wrote, not that records are slow."""
    for newest in (NEVER_SHOWN, 1000.0 - 121.0, 1001.0):
        plan.observe(1000.0, newest)
    assert plan.lag is None
    for age in (20.0, 5.0, 40.0):
        plan.observe(1000.0, 1000.0 - age)
    assert plan.lag == 5.0


def test_pauses_are_not_longer_than_the_run(plan):
    """What was in doubt for long before the run began is proved by messages of this run."""
    at = BOUND + 5000.0
    plan.began_at = at - 2.0
    assert plan.next_look(SEND, at, overdue=5000.0) == at + 10.0
    assert plan.next_look(SEND, at + 58.0, overdue=5058.0) == at + 58.0 + 60.0
