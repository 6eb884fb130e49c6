"""The plan of a run that learns first calls, and the proof of the rows' addresses."""

import pytest

from dispatcher.domain.contact import Contact
from dispatcher.domain.conversation import Conversation, State
from dispatcher.domain.decision import DecisionPolicy, IdentityRule
from dispatcher.domain.first_call_forecast import FirstCallForecast
from dispatcher.domain.forecast import SampleTotals, forecast
from dispatcher.domain.progress import NEW
from dispatcher.domain.row_likeness import RowLikeness
from dispatcher.domain.status import Step
from dispatcher.domain.unchecked_send import EQUAL_ADDRESSES, AddressProof

ROW = DecisionPolicy(identity=IdentityRule.ROW)
BOTH = (Step.OPEN, Step.NOTIFY)


def contact(number, status="", address="a"):
    return Contact(
        f"k{number}", f"c{number}", "Hello", external_contact_id=f"p{number}", address=address,
        attributes={"status": status},
    )  # fmt: skip


def conversation(number, state, address="A "):
    return Conversation(f"c{number}", state, f"p{number}", address=address)


def planned(states, policy=ROW, address="a"):
    first_calls, totals = FirstCallForecast(RowLikeness(("status",)), policy), SampleTotals()
    for number, state in enumerate(states):
        row, read = contact(number, str(state), address), conversation(number, state)
        expected = forecast(row, read, NEW, policy, 0.0, 60.0)
        totals.add(first_calls.adapt(expected, row, read, 0.0))
    return totals.estimate(len(states))


@pytest.mark.parametrize(("policy", "most"), [(ROW, 1.03), (DecisionPolicy(), 1.53)])
def test_half_ended_and_half_open_take_what_a_run_takes(policy, most):
    estimate = planned([State.ENDED, State.OPEN] * 200, policy)
    assert 400 <= estimate.requests.number <= most * 400


def test_with_addresses_that_are_not_the_platforms_it_is_two():
    estimate = planned([State.ENDED] * 100, DecisionPolicy(), address="else")
    assert estimate.requests.number == 200


def test_a_change_costs_refusals():
    states = [State.ENDED] * 100 + [State.OPEN] * 100
    first_calls, total = FirstCallForecast(RowLikeness(), ROW), 0
    for number, state in enumerate(states):
        row, read = contact(number), conversation(number, state)
        expected = forecast(row, read, NEW, ROW, 0.0, 60.0)
        total += first_calls.adapt(expected, row, read, 0.0).requests
    assert 200 < total < 200 + 80


@pytest.mark.parametrize(
    ("pairs", "permitted"),
    [
        ([], (Step.NOTIFY,)),
        ([("a", "A")] * EQUAL_ADDRESSES, BOTH),
        ([("a", "A")] * (EQUAL_ADDRESSES - 1), (Step.NOTIFY,)),
        ([("a", "A")] * 9 + [("a", "b")], (Step.NOTIFY,)),
        ([("a", None)] * 9 + [(None, "b")], (Step.NOTIFY,)),
    ],
)
def test_addresses_are_proved_by_rows_whose_states_were_read(pairs, permitted):
    proof = AddressProof()
    first = [
        proof.compare(f"c-{number}", row, platform)
        for number, (row, platform) in enumerate([*pairs, ("a", "c"), ("a", "c")][: len(pairs)])
    ]
    assert proof.permitted(BOTH) == permitted
    assert sum(first) == proof.differ


def test_a_contact_whose_state_is_read_often_proves_no_more_than_once():
    """It waits for its session's end, or was refused."""
    proof = AddressProof()
    for _ in range(9):
        assert not proof.compare("c-1", "a", "A")
    assert proof.permitted(BOTH) == (Step.NOTIFY,)
