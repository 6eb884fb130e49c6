"""Forecasts of single contacts, and estimates from a sample."""

import random
from collections import Counter

import pytest

from dispatcher.domain.contact import Contact
from dispatcher.domain.conversation import Conversation, State, Target
from dispatcher.domain.decision import DecisionPolicy
from dispatcher.domain.forecast import (
    Forecast,
    Interval,
    SampleTotals,
    estimate_count,
    estimate_total,
    forecast,
    forecast_unchecked,
)
from dispatcher.domain.progress import NEW, Progress, RetryPolicy
from dispatcher.domain.reservoir import Reservoir
from dispatcher.domain.status import Reason, RetryReason, Status

NOW = 1000.0
POLICY = RetryPolicy(max_attempts=4, not_ended_seconds=5.0, not_ended_max_seconds=60.0)
RULES = DecisionPolicy(retry=POLICY)
CONTACT = Contact("k", "c", "Hello", external_contact_id="person")


def checked(state, identity="person", **more):
    return Conversation("c", state, identity, Target("guest", is_guest_id=True), **more)


@pytest.mark.parametrize(
    ("conversation", "end", "requests"),
    [
        (checked(State.OPEN), (Status.NOTIFIED, Reason.DELIVERED), (1, 1)),
        (checked(State.ENDED), (Status.OPENED, Reason.DELIVERED), (1, 1)),
        (checked(State.GONE), (Status.REJECTED, Reason.CONVERSATION_GONE), (1, 0)),
        (checked(State.ENDED, "other"), (Status.PARKED, Reason.IDENTITY), (1, 0)),
        (checked(State.ENDED, proactive=False), (Status.REJECTED, Reason.CHANNEL), (1, 0)),
        (checked(State.CLOSED), (Status.OPENED, Reason.DELIVERED), (1 + 4, 1)),
        (checked(State.UNKNOWN), (Status.PARKED, Reason.UNKNOWN_STATE), (3, 0)),
    ],
)
def test_every_state_leads_to_an_end_and_to_requests(conversation, end, requests):
    """The decision's own table, with the checks that the retry policy adds."""
    found = forecast(CONTACT, conversation, NEW, RULES, NOW, ended_after=18.0)
    assert (found.status, found.reason) == end
    assert (found.checks, found.sends) == requests


def test_a_session_that_ends_too_late_is_parked_when_the_policy_says():
    """What was waited before counts: 20 of 60 s are over; the pauses are 10, 15 and 15 s."""
    waited = Progress(not_ended_since=NOW - 20)
    found = forecast(CONTACT, checked(State.CLOSED), waited, RULES, NOW, ended_after=600.0)
    assert (found.status, found.reason) == (Status.PARKED, Reason.NEVER_ENDED)
    assert (found.checks, found.sends, found.wait_reason) == (1 + 3, 0, RetryReason.NOT_ENDED)


def test_some_contacts_need_no_question():
    """An expired one is skipped; one whose refusal has a recipient is opened without a check."""
    expired = Contact("k", "c", "Hello", expires_at=NOW)
    assert forecast_unchecked(expired, NEW, RULES, NOW) == Forecast(Status.SKIPPED, Reason.EXPIRED)
    next_is_open = Progress(open_next=True, target=Target("guest", is_guest_id=True))
    found = forecast_unchecked(CONTACT, next_is_open, RULES, NOW)
    assert found == Forecast(Status.OPENED, Reason.DELIVERED, sends=1)
    assert forecast_unchecked(CONTACT, NEW, RULES, NOW) is None


@pytest.mark.parametrize("share", [0.005, 0.1, 0.5, 0.97])
def test_intervals_of_shares_hold_the_truth_as_often_as_they_say(share):
    """Of 600 random samples, about 95% of the intervals hold the real number."""
    chance = random.Random(1)
    whole, sample = 3000, 400
    truth = round(share * whole)
    people = [1] * truth + [0] * (whole - truth)
    held = 0
    for _ in range(600):
        span = estimate_count(sum(chance.sample(people, sample)), sample, whole)
        held += span.low <= truth <= span.high
    assert held >= 0.93 * 600


def test_intervals_of_sums_hold_the_truth_as_often_as_they_say():
    """The same of requests, where some contacts take many."""
    chance = random.Random(2)
    costs = [1] * 300 + [2] * 2500 + [13] * 200
    held = 0
    for _ in range(600):
        taken = chance.sample(costs, 400)
        span = estimate_total(sum(taken), sum(cost**2 for cost in taken), 400, len(costs))
        held += span.low <= sum(costs) <= span.high
    assert held >= 0.93 * 600


def test_a_whole_is_exact_and_a_sample_in_which_all_are_alike_is_not():
    """A complete sample is exact; any other one leaves an interval."""
    assert estimate_count(7, 50, 50) == Interval(7, 7, 7)
    assert estimate_total(100, 200, 50, 50) == Interval(100, 100, 100)
    alike = estimate_total(100, 200, 50, 5000)
    assert alike.low < alike.number < alike.high
    assert estimate_count(50, 50, 5000).low < 5000
    assert estimate_count(0, 0, 10) == Interval(0, 0, 10)


def test_what_is_known_is_added_to_what_is_estimated():
    """Contacts that are known exactly widen no interval."""
    sums, known = SampleTotals(), SampleTotals()
    for _ in range(20):
        sums.add(Forecast(Status.OPENED, Reason.DELIVERED, checks=1, sends=1))
    known.add(Forecast(Status.OPENED, Reason.DELIVERED, sends=1))
    known.add(Forecast(Status.SKIPPED, Reason.EXPIRED))
    whole = sums.estimate(20).plus(known)
    assert whole.outcomes[Status.OPENED, Reason.DELIVERED] == Interval(21, 21, 21)
    assert whole.outcomes[Status.SKIPPED, Reason.EXPIRED] == Interval(1, 1, 1)
    assert (whole.requests.number, whole.checks.number, whole.sends.number) == (41, 20, 21)


def test_a_reservoir_takes_every_item_with_the_same_chance():
    """5 of 50, 4,000 times: every item is taken about 400 times, the first and the last alike."""
    chance = random.Random(3)
    taken = Counter()
    for _ in range(4000):
        reservoir = Reservoir(5, chance.randrange)
        for number in range(50):
            reservoir.offer(number)
        assert (len(reservoir.kept), reservoir.offered) == (5, 50)
        taken.update(reservoir.kept)
    assert all(300 < taken[number] < 500 for number in range(50))


def test_first_checks_are_certain_and_without_any_answer_there_are_only_bounds():
    """Each contact of a sample takes one; where none could be read, requests lie between two."""
    sums = SampleTotals()
    for _ in range(10):
        sums.add(Forecast(Status.NOTIFIED, Reason.DELIVERED, checks=1, sends=1))
    assert sums.estimate(1000).checks == Interval(1000, 1000, 1000)
    assert SampleTotals().estimate(1000).requests == Interval(2000, 1000, 2000)
    assert SampleTotals().estimate(0).requests == Interval(0, 0, 0)
