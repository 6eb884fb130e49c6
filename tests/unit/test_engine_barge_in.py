"""Open sessions that are not written into, resumable ones, and refusals by a person's activity."""

from dataclasses import replace

import pytest

from dispatcher.domain.answer import Answer, Hint
from dispatcher.domain.contact import Contact
from dispatcher.domain.conversation import Conversation, State, Target
from dispatcher.domain.decision import (
    BargeIn,
    DecisionPolicy,
    Finish,
    IdentityRule,
    Notify,
    Open,
    Wait,
    decide,
    open_with,
)
from dispatcher.domain.failure import AnswerKind, classify
from dispatcher.domain.forecast import forecast
from dispatcher.domain.next_step import (
    Defer,
    Recheck,
    after_conflict,
    after_engaged,
    after_open_conflict,
    forget_engaged,
)
from dispatcher.domain.progress import NEW, Progress, RetryPolicy
from dispatcher.domain.status import Reason, Relation, RetryReason, Status, Step
from tests.support.engine import POLICY, EngineFixture, contact, event_words
from tests.support.scripted import (
    ACTIVE_400,
    ENDED,
    ENGAGED,
    OPEN,
    OPENED,
    RESUMABLE,
    TAKEN,
    in_turn,
    refused,
    state_answer,
)
from tests.support.virtual import START, in_virtual_time

GUEST = Target("g-1", is_guest_id=True)
NOW = 1000.0
CHECK, NOTIFY, OPENING = Step.CHECK, Step.NOTIFY, Step.OPEN
TALKING_400 = Answer(400, from_platform=True, hint=Hint.TALKING)
NEVER = DecisionPolicy(
    barge_in=BargeIn.NEVER, engaged_seconds=30, engaged_max_seconds=100, retry=POLICY
)
CUSTOMER_ONLY = DecisionPolicy(barge_in=BargeIn.CUSTOMER_ONLY, engaged_seconds=30, retry=POLICY)
ROW = Contact("k", "c-1", "hi")


def session(state=State.OPEN, *, engaged=False, identity="x-1", target=GUEST):
    return Conversation("c-1", state, identity, target, engaged=engaged)


@pytest.mark.parametrize(
    ("barge_in", "engaged", "sends"),
    [
        (BargeIn.ALWAYS, True, True),
        (BargeIn.ALWAYS, False, True),
        (BargeIn.CUSTOMER_ONLY, True, False),
        (BargeIn.CUSTOMER_ONLY, False, True),
        (BargeIn.NEVER, True, False),
        (BargeIn.NEVER, False, False),
    ],
)
def test_an_open_session_is_written_into_only_as_the_operator_permits(barge_in, engaged, sends):
    """Bots and agents are not barged into by any policy but the last."""
    decision = decide(ROW, session(engaged=engaged), NEW, DecisionPolicy(barge_in=barge_in), NOW)
    assert decision == (Notify("c-1") if sends else Wait(RetryReason.ENGAGED))


def test_a_notification_knows_whom_it_is_for():
    """The state check's value comes before the row's, where the rule says so."""
    row = replace(ROW, external_contact_id="x-row")
    known = decide(row, session(), NEW, DecisionPolicy(identity=IdentityRule.PLATFORM), NOW)
    assert (known.external_contact_id, known.target) == ("x-1", GUEST)
    unknown = decide(row, session(identity=None, target=None), NEW, DecisionPolicy(), NOW)
    assert (unknown.external_contact_id, unknown.target) == ("x-row", None)


def test_a_session_that_stays_engaged_is_parked_in_the_end():
    """The bound counts from when it was first seen so."""
    for since, end in (
        (NOW - 99, Wait(RetryReason.ENGAGED)),
        (NOW - 100, Finish(Status.PARKED, Reason.ENGAGED)),
    ):
        assert decide(ROW, session(), Progress(engaged_since=since), NEVER, NOW) == end


def test_the_wait_ends_when_the_contact_expires():
    """It is due again then, to be skipped as any other."""
    first = after_engaged(ROW, NEW, NEVER, NOW)
    assert first == Defer(30, RetryReason.ENGAGED, Progress(engaged_since=NOW))
    assert after_engaged(ROW, first.progress, NEVER, NOW + 30).progress.engaged_since == NOW
    soon = Contact("k", "c-1", "hi", expires_at=NOW + 12)
    assert after_engaged(soon, NEW, NEVER, NOW).seconds == 12


def test_another_state_forgets_since_when_a_session_was_engaged():
    """The next talk has a bound of its own; so has one after a send."""
    talking = Progress(engaged_since=NOW)
    assert forget_engaged(talking, session(engaged=True), CUSTOMER_ONLY) is talking
    for other in (session(), session(State.ENDED), session(State.RESUMABLE, engaged=True)):
        assert forget_engaged(talking, other, CUSTOMER_ONLY) == NEW
    assert talking.count_send() == Progress(sends=1)


def test_a_resumable_session_is_opened_as_an_ended_one():
    """Where the message goes is the platform's affair."""
    assert decide(ROW, session(State.RESUMABLE), NEW, NEVER, NOW) == Open(GUEST, "x-1", "c-1")


@pytest.mark.parametrize(
    ("needs", "known", "decision"),
    [
        ((True, False), ("x-1", None), Open(None, "x-1", "c-1")),
        ((True, False), (None, GUEST), Finish(Status.REJECTED, Reason.NO_IDENTITY)),
        ((False, True), (None, GUEST), Open(GUEST, None, "c-1")),
        ((False, True), ("x-1", None), Finish(Status.REJECTED, Reason.NO_ADDRESS)),
        ((False, False), (None, None), Finish(Status.REJECTED, Reason.NO_ADDRESS)),
    ],
)
def test_an_open_needs_what_the_platform_needs(needs, known, decision):
    """An identity, an address, or both; never neither."""
    rules = DecisionPolicy(needs_identity=needs[0], needs_address=needs[1])
    there = session(State.ENDED, identity=known[0], target=known[1])
    assert open_with(ROW, there, NEW, "c-1", rules) == decision


def test_an_open_that_meets_an_active_person_is_a_conflict():
    """Only an open, and only with the platform's own hint."""
    active = Answer(400, from_platform=True, hint=Hint.ACTIVE)
    assert classify(OPENING, active) is AnswerKind.CONFLICT
    assert classify(NOTIFY, active) is AnswerKind.REFUSED
    assert classify(OPENING, Answer(400, from_platform=True)) is AnswerKind.REFUSED


@pytest.mark.parametrize("state", [State.ENDED, State.RESUMABLE])
def test_a_400_that_the_state_does_not_explain_is_the_contacts_own(state):
    """A 409 is tried again, a 400 is not, unless it says that the person is in a conversation."""
    sent, policy = Open(GUEST, "x-1", "c-1"), RetryPolicy()
    own = after_conflict(sent, ACTIVE_400, session(state), NEW, policy)
    assert own == Finish(Status.REJECTED, Reason.REFUSED)
    for refusal in (Answer(409), TALKING_400):
        assert isinstance(after_conflict(sent, refusal, session(state), NEW, policy), Defer)
        nobody = Open(GUEST, None, "c-1")
        assert isinstance(after_conflict(nobody, refusal, session(state), NEW, policy), Defer)


def test_a_person_who_comes_and_goes_costs_a_bounded_number_of_sends():
    """Each 400 costs an attempt; of a conversation that is gone there is no state to read."""
    sent, policy, progress = Open(GUEST, "x-1", "c-1"), RetryPolicy(max_attempts=3), NEW
    for _ in range(2):
        again = after_open_conflict(sent, ACTIVE_400, progress, policy)
        assert isinstance(again, Recheck)
        progress = again.progress
    assert after_open_conflict(sent, ACTIVE_400, progress, policy) == Finish(
        Status.PARKED, Reason.EXHAUSTED
    )
    unlinked = after_open_conflict(Open(GUEST, "x-1", None), ACTIVE_400, NEW, policy)
    assert unlinked == Finish(Status.REJECTED, Reason.REFUSED)
    talking = after_open_conflict(Open(GUEST, "x-1", None), TALKING_400, NEW, policy)
    assert isinstance(talking, Recheck)


def test_a_plan_takes_a_talk_to_be_over_at_the_next_look():
    """Unless the contact expires before."""
    found = forecast(ROW, session(engaged=True), NEW, NEVER, NOW, ended_after=60.0)
    assert (found.status, found.checks, found.sends) == (Status.OPENED, 2, 1)
    assert (found.wait_reason, found.wait_seconds) == (RetryReason.ENGAGED, 30)
    soon = Contact("k", "c-1", "hi", expires_at=NOW + 12)
    found = forecast(soon, session(engaged=True), NEW, NEVER, NOW, ended_after=60.0)
    assert (found.status, found.reason, found.sends) == (Status.SKIPPED, Reason.EXPIRED, 0)
    assert found.wait_seconds == 12


ENDS = {
    "open, never: waits, then opens": (
        NEVER,
        [(CHECK, OPEN), (CHECK, OPEN), (CHECK, ENDED), (OPENING, OPENED)],
        (Status.OPENED, Reason.DELIVERED),
        ["deferred:engaged"] * 2,
    ),
    "an agent leaves: notified": (
        CUSTOMER_ONLY,
        [(CHECK, ENGAGED), (CHECK, OPEN), (NOTIFY, TAKEN)],
        (Status.NOTIFIED, Reason.DELIVERED),
        ["deferred:engaged"],
    ),
    "talks for ever": (
        NEVER,
        [(CHECK, ENGAGED)] * 5,
        (Status.PARKED, Reason.ENGAGED),
        ["deferred:engaged"] * 4,
    ),
    "talks twice": (
        NEVER,
        [*[(CHECK, ENGAGED)] * 4, (CHECK, state_answer(State.UNKNOWN)), *[(CHECK, ENGAGED)] * 5],
        (Status.PARKED, Reason.ENGAGED),
        [*["deferred:engaged"] * 4, "deferred:unknown_state", *["deferred:engaged"] * 4],
    ),
    "400 on open: open again": (
        CUSTOMER_ONLY,
        [(CHECK, ENDED), (OPENING, ACTIVE_400), (CHECK, OPEN), (NOTIFY, TAKEN)],
        (Status.NOTIFIED, Reason.DELIVERED),
        ["conflict:open:400"],
    ),
    "400 on open: talks": (
        NEVER,
        [(CHECK, RESUMABLE), (OPENING, ACTIVE_400), (CHECK, ENGAGED), (CHECK, RESUMABLE),
         (OPENING, OPENED)],
        (Status.OPENED, Reason.DELIVERED),
        ["conflict:open:400", "deferred:engaged"],
    ),
    "400 on open: talks in another conversation, and it ends": (
        NEVER,
        [(CHECK, ENDED), (OPENING, TALKING_400), (CHECK, ENDED), (OPENING, OPENED)],
        (Status.OPENED, Reason.DELIVERED),
        ["conflict:open:400", "deferred:conflict"],
    ),
    "400 on open: talks in another conversation for ever": (
        NEVER,
        [*[(CHECK, ENDED), (OPENING, TALKING_400)] * 3, (CHECK, ENDED)],
        (Status.PARKED, Reason.RETRY_LOOP),
        [*["conflict:open:400", "deferred:conflict"] * 2, "conflict:open:400", "loop:open"],
    ),
    "400 on open: nothing explains it": (
        NEVER,
        [(CHECK, ENDED), (OPENING, ACTIVE_400), (CHECK, ENDED)],
        (Status.REJECTED, Reason.REFUSED),
        ["conflict:open:400"],
    ),
    "409 on a resumable one": (
        NEVER,
        [(CHECK, RESUMABLE), (OPENING, refused(409)), (CHECK, RESUMABLE), (OPENING, OPENED)],
        (Status.OPENED, Reason.DELIVERED),
        ["conflict:open:409", "deferred:conflict"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("rules", "script", "end", "words"), ENDS.values(), ids=ENDS)
@in_virtual_time
async def test_what_follows_a_session_that_is_engaged(rules, script, end, words):
    """What the ledger holds, which events were emitted, and no request but those of the script."""
    engine = EngineFixture(in_turn(*script), rules)
    await engine.until_final()
    assert engine.ledger.end("key-1") == end
    assert event_words(engine.events) == words
    assert not engine.platform.answer.left
    conflicts = [word for word in words if word.startswith("conflict:open:409")]
    assert len(engine.platform.verified) == len(conflicts), "a token for each 409, for no 400"


@in_virtual_time
async def test_a_refusal_that_is_the_contacts_own_keeps_the_platforms_words():
    """A person can read why."""
    engine = EngineFixture(in_turn((CHECK, ENDED), (OPENING, ACTIVE_400), (CHECK, ENDED)), NEVER)
    row = await engine.until_final()
    assert row.settlement.words == ACTIVE_400.words


@in_virtual_time
async def test_an_engaged_contact_is_skipped_when_it_expires():
    """To the second, however long the pause between two looks is."""
    engine = EngineFixture(lambda _: ENGAGED, NEVER)
    row = await engine.until_final(contact(expires_at=START + 40))
    assert engine.ledger.end("key-1") == (Status.SKIPPED, Reason.EXPIRED)
    assert engine.clock.time() == pytest.approx(START + 40, abs=0.2)
    assert row.history.count("claim") == 3


@pytest.mark.parametrize(
    ("state", "answer", "relation"),
    [
        (ENDED, Answer(200, conversation_id="conversation-1"), Relation.THREADED),
        (RESUMABLE, Answer(200, conversation_id="conversation-1"), Relation.THREADED),
        (ENDED, Answer(200, conversation_id="other"), Relation.LINKED),
        (OPEN, Answer(200, conversation_id="conversation-1"), Relation.NOTIFIED),
        (OPEN, Answer(200, conversation_id="other"), Relation.LINKED),
        (
            state_answer(State.OPEN, identity=None),
            Answer(200, conversation_id="other"),
            Relation.UNLINKED,
        ),
    ],
)
@in_virtual_time
async def test_the_relation_shows_where_the_message_went(state, answer, relation):
    """A message may end in another conversation than the one it was sent into."""
    engine = EngineFixture(lambda request: state if request.step is CHECK else answer)
    row = await engine.until_final()
    assert (row.settlement.relation, row.settlement.conversation_id) == (
        relation, answer.conversation_id,
    )  # fmt: skip
    person = None if relation is Relation.UNLINKED else "person-1"
    assert row.settlement.external_contact_id == person


@in_virtual_time
async def test_an_open_without_an_identity_is_linked_all_the_same():
    """The address alone is enough where the platform needs no more."""
    rules = DecisionPolicy(needs_identity=False, retry=POLICY)
    engine = EngineFixture(in_turn((CHECK, state_answer(identity=None)), (OPENING, OPENED)), rules)
    row = await engine.until_final()
    assert engine.ledger.end("key-1") == (Status.OPENED, Reason.DELIVERED)
    assert (row.settlement.relation, row.settlement.external_contact_id) == (Relation.LINKED, None)
