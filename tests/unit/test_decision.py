"""The decision: which call is right for which state."""

import pytest

from dispatcher.domain.contact import Contact
from dispatcher.domain.conversation import Conversation, State, Target
from dispatcher.domain.decision import (
    DecisionPolicy,
    Finish,
    IdentityRule,
    Notify,
    Open,
    Wait,
    decide,
    open_with,
)
from dispatcher.domain.progress import Progress, RetryPolicy
from dispatcher.domain.status import Reason, RetryReason, Status

GUEST = Target("g-1", is_guest_id=True)
RULES = DecisionPolicy(retry=RetryPolicy(max_attempts=3, not_ended_max_seconds=60))


def contact(**more):
    return Contact(key="k", conversation_id="c-1", text="hi", **more)


def conversation(state, **more):
    fields = {"external_contact_id": "x-1", "target": GUEST} | more
    return Conversation("c-1", state, **fields)


def decided(state, *, row=None, progress=None, rules=RULES, now=1000.0, **more):
    found = conversation(state, **more)
    return decide(row or contact(), found, progress or Progress(), rules, now)


def test_an_open_session_is_notified_whatever_else_is_missing():
    """Neither identity nor address nor a proactive channel matters for an open session."""
    bare = {"external_contact_id": None, "target": None, "proactive": False}
    assert decided(State.OPEN, **bare) == Notify("c-1")


def test_an_ended_session_is_continued_by_a_link():
    """Guest and external contact come from the state check."""
    assert decided(State.ENDED) == Open(GUEST, "x-1", "c-1")


def test_a_closed_session_waits_until_it_has_ended():
    """A link to a session that is not quite closed would be refused."""
    assert decided(State.CLOSED) == Wait(RetryReason.NOT_ENDED)
    long_ago = Progress(not_ended_since=900.0)
    assert decided(State.CLOSED, progress=long_ago) == Finish(Status.PARKED, Reason.NEVER_ENDED)


@pytest.mark.parametrize("state", [State.CLOSED, State.ENDED])
def test_a_channel_that_may_not_write_first_is_rejected_before_any_send(state):
    """The state check reports it."""
    assert decided(state, proactive=False) == Finish(Status.REJECTED, Reason.CHANNEL)


def test_a_gone_conversation_is_rejected_or_opened_without_a_link():
    """By setting."""
    gone = Finish(Status.REJECTED, Reason.CONVERSATION_GONE)
    assert decided(State.GONE) == gone
    unlinked = DecisionPolicy(open_unlinked_when_gone=True)
    row = contact(external_contact_id="x-1", address="a@example.org")
    target = Target("a@example.org", is_guest_id=False)
    assert decided(State.GONE, row=row, rules=unlinked) == Open(target, "x-1", None)


def test_an_unknown_state_waits_a_bounded_number_of_times():
    """A platform newer than us crashes nothing."""
    assert decided(State.UNKNOWN) == Wait(RetryReason.UNKNOWN_STATE)
    tired = Progress(unknown=2)
    assert decided(State.UNKNOWN, progress=tired) == Finish(Status.PARKED, Reason.UNKNOWN_STATE)


def test_without_identity_nothing_is_sent():
    """Neither the row nor the platform knows the external contact."""
    no_identity = Finish(Status.REJECTED, Reason.NO_IDENTITY)
    assert decided(State.ENDED, external_contact_id=None) == no_identity


def test_the_rows_identity_serves_where_the_platform_tells_none():
    """The link is tried; a refusal is judged afterwards."""
    row = contact(external_contact_id="x-row")
    assert decided(State.ENDED, row=row, external_contact_id=None) == Open(GUEST, "x-row", "c-1")


def test_two_identities_that_differ_need_a_person():
    """A link with somebody else's external contact would be refused, or worse, taken."""
    row = contact(external_contact_id="x-other")
    assert decided(State.ENDED, row=row) == Finish(Status.PARKED, Reason.IDENTITY)


UPPER, LOWER = "ABCDEF01-0000-4000-8000-00000000000A", "abcdef01-0000-4000-8000-00000000000a"
PARKED = Finish(Status.PARKED, Reason.IDENTITY)


@pytest.mark.parametrize(
    ("rule", "person"),
    [(IdentityRule.PARK, None), (IdentityRule.PLATFORM, "x-1"), (IdentityRule.ROW, "x-old")],
)
@pytest.mark.parametrize("state", [State.OPEN, State.ENDED, State.RESUMABLE])
def test_the_rule_decides_between_two_people(state, rule, person):
    """The default sends nothing: also into an open session, which is another person's."""
    rules = DecisionPolicy(identity=rule)
    found = decided(state, row=contact(external_contact_id="x-old"), rules=rules)
    if person is None:
        assert found == PARKED == decided(state, row=contact(external_contact_id="x-old"))
    else:
        assert found.external_contact_id == person


@pytest.mark.parametrize("rule", IdentityRule)
@pytest.mark.parametrize("row", [None, LOWER, UPPER])
def test_a_uuid_in_another_case_is_the_same_person(rule, row):
    """The platform's spelling is sent."""
    policy = DecisionPolicy(identity=rule)
    one = contact(external_contact_id=row)
    found = decided(State.ENDED, row=one, rules=policy, external_contact_id=LOWER)
    assert found == Open(GUEST, LOWER, "c-1")
    assert decided(State.OPEN, row=one, rules=policy, external_contact_id=LOWER) == Notify("c-1")


def test_only_a_uuid_has_another_case():
    """Other ids are compared as they are."""
    row = contact(external_contact_id="X-1")
    assert decided(State.ENDED, row=row) == PARKED


def test_without_an_address_nothing_is_sent():
    """Neither the state check, nor an answer, nor the row has a recipient."""
    assert decided(State.ENDED, target=None) == Finish(Status.REJECTED, Reason.NO_ADDRESS)


def test_the_address_is_the_checks_then_the_answers_then_the_rows():
    """In this order."""
    row = contact(external_contact_id="x-1", address="row")
    learnt = Target("answer", is_guest_id=False)
    progress = Progress(target=learnt)
    found = conversation(State.ENDED)
    assert open_with(row, found, progress, "c-1", RULES) == Open(GUEST, "x-1", "c-1")
    assert open_with(row, None, progress, "c-1", RULES) == Open(learnt, "x-1", "c-1")
    by_row = Open(Target("row", is_guest_id=False), "x-1", "c-1")
    assert open_with(row, None, Progress(), "c-1", RULES) == by_row
