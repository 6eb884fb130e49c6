"""The failure table, row by row: the ledger's rows, the events, the requests."""

from dataclasses import replace

import pytest

from dispatcher.domain.answer import Answer
from dispatcher.domain.conversation import State
from dispatcher.domain.decision import DecisionPolicy, Open
from dispatcher.domain.events import Answered, Settled, StateAged
from dispatcher.domain.progress import Progress
from dispatcher.domain.status import Reason, Relation, Status, Step
from tests.support.engine import POLICY, EngineFixture, contact, event_words
from tests.support.scripted import (
    CHANNEL_400,
    CLOSED_400,
    ENDED,
    GUEST,
    NOT_ENDED,
    NOT_SENT,
    OPEN,
    OPENED,
    RESET,
    TAKEN,
    TIMEOUT,
    UNKNOWN,
    in_turn,
    refused,
    state_answer,
    throttled,
)
from tests.support.virtual import START, in_virtual_time

CHECK, NOTIFY, LINK = Step.CHECK, Step.NOTIFY, Step.OPEN
NOTIFIED, OPENED_END = (Status.NOTIFIED, Reason.DELIVERED), (Status.OPENED, Reason.DELIVERED)
UNLINKED = DecisionPolicy(open_unlinked_when_gone=True, retry=POLICY)
PAGE = Answer(503)
"""From something between us and the platform."""


def parked(reason):
    return Status.PARKED, reason


def rejected(reason):
    return Status.REJECTED, reason


GONE, CONFLICT = refused(404), refused(409)

ENDS = {
    "open: notified": ([(CHECK, OPEN), (NOTIFY, TAKEN)], NOTIFIED, []),
    "ended: opened": ([(CHECK, ENDED), (LINK, OPENED)], OPENED_END, []),
    "closes after the check": (
        [(CHECK, OPEN), (NOTIFY, CLOSED_400), (LINK, OPENED)],
        OPENED_END,
        ["conflict:notify:400", "deferred:conflict"],
    ),
    "409 on open: open again": (
        [(CHECK, ENDED), (LINK, CONFLICT), (CHECK, OPEN), (NOTIFY, TAKEN)],
        NOTIFIED,
        ["conflict:open:409"],
    ),
    "409 on open: not ended": (
        [(CHECK, ENDED), (LINK, CONFLICT), (CHECK, NOT_ENDED), (CHECK, ENDED), (LINK, OPENED)],
        OPENED_END,
        ["conflict:open:409", "deferred:not_ended"],
    ),
    "409 on open: somebody else": (
        [(CHECK, ENDED), (LINK, CONFLICT), (CHECK, state_answer(identity="person-2"))],
        parked(Reason.IDENTITY),
        ["conflict:open:409"],
    ),
    "409 on open: nobody known": (
        [(CHECK, ENDED), (LINK, CONFLICT), (CHECK, state_answer(identity=None))],
        parked(Reason.IDENTITY),
        ["conflict:open:409"],
    ),
    "409 on open for ever": (
        [(CHECK, ENDED), *[(LINK, CONFLICT), (CHECK, ENDED)] * 3],
        parked(Reason.RETRY_LOOP),
        ["conflict:open:409", "deferred:conflict"] * 2 + ["conflict:open:409", "loop:open"],
    ),
    "404 on notify": (
        [(CHECK, OPEN), (NOTIFY, GONE), (CHECK, ENDED), (LINK, OPENED)],
        OPENED_END,
        [],
    ),
    "409 on notify": (
        [(CHECK, OPEN), (NOTIFY, CONFLICT), (CHECK, ENDED), (LINK, OPENED)],
        OPENED_END,
        ["conflict:notify:409"],
    ),
    "409 on notify for ever": (
        [(CHECK, OPEN), (NOTIFY, CONFLICT)] * 3,
        parked(Reason.RETRY_LOOP),
        ["conflict:notify:409"] * 3 + ["loop:notify"],
    ),
    "404 on notify for ever": (
        [(CHECK, OPEN), (NOTIFY, GONE)] * 3,
        parked(Reason.RETRY_LOOP),
        ["loop:notify"],
    ),
    "never ends": (
        [(CHECK, NOT_ENDED)] * 8,
        parked(Reason.NEVER_ENDED),
        ["deferred:not_ended"] * 7,
    ),
    "429": (
        [(CHECK, throttled()), (CHECK, OPEN), (NOTIFY, throttled()), (NOTIFY, TAKEN)],
        NOTIFIED,
        ["throttled:all"] * 2,
    ),
    "429 on one endpoint for long": (
        [(CHECK, ENDED), (LINK, throttled(600, "open")), (CHECK, ENDED), (LINK, OPENED)],
        OPENED_END,
        ["throttled:open", "deferred:throttled"],
    ),
    "404 on the check": ([(CHECK, GONE)], rejected(Reason.CONVERSATION_GONE), []),
    "channel, in the state": (
        [(CHECK, state_answer(proactive=False))],
        rejected(Reason.CHANNEL),
        [],
    ),
    "channel, but open": (
        [(CHECK, state_answer(State.OPEN, proactive=False)), (NOTIFY, TAKEN)],
        NOTIFIED,
        [],
    ),
    "channel, in the answer": ([(CHECK, ENDED), (LINK, CHANNEL_400)], rejected(Reason.CHANNEL), []),
    "no identity": ([(CHECK, state_answer(identity=None))], rejected(Reason.NO_IDENTITY), []),
    "no address": ([(CHECK, state_answer(target=None))], rejected(Reason.NO_ADDRESS), []),
    "unknown state": (
        [(CHECK, UNKNOWN)] * 2,
        parked(Reason.UNKNOWN_STATE),
        ["deferred:unknown_state"],
    ),
    "another 4xx on a send": (
        [(CHECK, OPEN), (NOTIFY, refused(422))],
        rejected(Reason.REFUSED),
        [],
    ),
    "400 without its words": (
        [(CHECK, OPEN), (NOTIFY, refused(400))],
        rejected(Reason.REFUSED),
        [],
    ),
    "404 on open": ([(CHECK, ENDED), (LINK, GONE)], rejected(Reason.REFUSED), []),
    "redirect on a check": ([(CHECK, refused(302))], rejected(Reason.REFUSED), []),
    "redirect on a send": ([(CHECK, OPEN), (NOTIFY, refused(307))], rejected(Reason.REFUSED), []),
    "nothing left": (
        [(CHECK, NOT_SENT)] * 2
        + [(CHECK, ENDED), (LINK, NOT_SENT), (CHECK, ENDED), (LINK, OPENED)],
        OPENED_END,
        ["deferred:not_sent"] * 3,
    ),
    "5xx on a read": (
        [(CHECK, refused(500))] * 3,
        parked(Reason.EXHAUSTED),
        ["deferred:server_error"] * 2,
    ),
    "reset and timeout on a read": (
        [(CHECK, RESET), (CHECK, TIMEOUT), (CHECK, OPEN), (NOTIFY, TAKEN)],
        NOTIFIED,
        ["deferred:no_answer"] * 2,
    ),
    "nonsense on a read": (
        [(CHECK, Answer(200)), (CHECK, OPEN), (NOTIFY, TAKEN)],
        NOTIFIED,
        ["deferred:nonsense"],
    ),
    "somebody else's 404 on a read": (
        [(CHECK, Answer(404)), (CHECK, OPEN), (NOTIFY, TAKEN)],
        NOTIFIED,
        ["deferred:server_error"],
    ),
    "the platform's own 503 on a send": (
        [(CHECK, OPEN), (NOTIFY, refused(503)), (CHECK, OPEN), (NOTIFY, TAKEN)],
        NOTIFIED,
        ["deferred:not_taken"],
    ),
}


@pytest.mark.parametrize(("script", "end", "facts"), ENDS.values(), ids=ENDS)
@in_virtual_time
async def test_row(script, end, facts):
    """Each answer leads to the end, the facts and exactly the requests that the table names."""
    answer = in_turn(*script)
    engine = EngineFixture(answer)
    row = await engine.until_final()
    assert (row.status, row.settlement.reason) == end
    assert event_words(engine.events) == facts
    assert answer.left == []
    assert [(e.status, e.reason) for e in engine.events.of_type(Settled)] == [end]
    assert len(engine.events.of_type(Answered)) == len(script)
    assert {permit.end for permit in engine.pacer.permits} == {"answered"}


IN_DOUBT = [RESET, TIMEOUT, PAGE, *map(refused, (408, 500, 502, 504)), Answer(201)]


@pytest.mark.parametrize("answer", IN_DOUBT, ids=str)
@pytest.mark.parametrize(("state", "step"), [(OPEN, NOTIFY), (ENDED, LINK)], ids=["notify", "open"])
@in_virtual_time
async def test_a_send_in_doubt_is_left_to_be_looked_for(answer, state, step):
    """Whatever may have taken effect is left for reconciling; nothing is resent."""
    engine = EngineFixture(in_turn((CHECK, state), (step, answer)))
    row = await engine.until_final()
    assert row.status is Status.IN_DOUBT
    assert row.history == ["claim", "intend", "doubt"]
    assert row.look_at == pytest.approx(START + 10.1, abs=0.1)
    assert event_words(engine.events) == []


@in_virtual_time
async def test_a_link_names_the_closed_conversation_and_settles_with_its_lineage():
    """Intent, request and settlement all name the same previous conversation and person."""
    engine = EngineFixture(in_turn((CHECK, ENDED), (LINK, OPENED)))
    row = await engine.deliver()
    sent = Open(GUEST, "person-1", "conversation-1")
    assert engine.platform.requests[1].decision == row.intent.decision == sent
    end = row.settlement
    assert (end.relation, end.conversation_id) == (Relation.LINKED, "new-1")
    assert (end.external_contact_id, end.state_seen) == ("person-1", State.ENDED)
    assert end.state_at == pytest.approx(START + 0.05, abs=0.01)
    assert end.correlation_id == "corr-1"
    assert row.progress.sends == 1
    (age,) = engine.events.of_type(StateAged)
    assert age.seconds < 0.01


@in_virtual_time
async def test_a_link_that_the_platform_put_into_the_old_conversation_is_threaded():
    """The answer names the old conversation itself."""
    same = replace(OPENED, conversation_id="conversation-1")
    row = await EngineFixture(in_turn((CHECK, ENDED), (LINK, same))).deliver()
    assert row.settlement.relation is Relation.THREADED


@in_virtual_time
async def test_a_gone_conversation_is_opened_without_a_link_if_so_set():
    """The setting open-unlinked, with identity and address from the row."""
    engine = EngineFixture(in_turn((CHECK, GONE), (LINK, OPENED)), UNLINKED)
    row = await engine.deliver(contact(external_contact_id="person-9", address="a@example.org"))
    assert (row.status, row.settlement.relation) == (Status.OPENED, Relation.UNLINKED)
    assert engine.platform.requests[1].decision.previous is None


@in_virtual_time
async def test_an_unlinked_open_that_is_refused_for_ever_is_a_loop():
    """No state can explain a 409 there: it is counted, and the calls are bounded."""
    engine = EngineFixture(in_turn(*[(CHECK, GONE), (LINK, CONFLICT)] * 3), UNLINKED)
    row = await engine.until_final(contact(external_contact_id="person-9", address="a@example.org"))
    assert (row.status, row.settlement.reason) == parked(Reason.RETRY_LOOP)
    assert event_words(engine.events) == ["conflict:open:409"] * 3 + ["loop:open"]


@in_virtual_time
async def test_the_address_in_the_refusal_of_a_closed_session_is_used():
    """Where neither the check nor the row knows whom to write to."""
    unknown = state_answer(State.OPEN, target=None)
    engine = EngineFixture(in_turn((CHECK, unknown), (NOTIFY, CLOSED_400), (LINK, OPENED)))
    await engine.until_final()
    assert engine.platform.requests[-1].decision.target.value == "told@example.org"


@in_virtual_time
async def test_a_closed_session_is_opened_at_once_if_so_set():
    """retry.not_ended_seconds = 0: in the same hand, without another state check."""
    rules = DecisionPolicy(retry=replace(POLICY, not_ended_seconds=0))
    engine = EngineFixture(in_turn((CHECK, OPEN), (NOTIFY, CLOSED_400), (LINK, OPENED)), rules)
    row = await engine.deliver()
    assert row.history == ["claim", "intend", "retract", "intend", "settle"]
    assert row.progress.sends == 2


@in_virtual_time
async def test_notify_closed_for_ever_is_a_loop():
    """The state says open and the send says closed, again and again."""
    script = [(CHECK, OPEN), (NOTIFY, CLOSED_400), (LINK, CONFLICT)] * 3
    engine = EngineFixture(in_turn(*script[:-1]))
    row = await engine.until_final()
    assert (row.status, row.settlement.reason) == parked(Reason.RETRY_LOOP)
    assert event_words(engine.events)[-1] == "loop:notify"


@pytest.mark.parametrize("answer", [NOT_SENT, refused(503), throttled(600, "open")], ids=str)
@in_virtual_time
async def test_what_a_closed_session_returned_outlives_a_send_that_was_not_taken(answer):
    """Open linked is still next, without another state check."""
    open_next = Progress(open_next=True, target=GUEST, external_contact_id="person-1")
    engine = EngineFixture(in_turn((LINK, answer), (LINK, OPENED)))
    row = await engine.until_final(progress=open_next)
    assert row.status is Status.OPENED


@in_virtual_time
async def test_a_refused_link_is_judged_even_if_it_was_tried_without_a_check():
    """After the 409 the state is read; the link is not just tried again."""
    open_next = Progress(open_next=True, target=GUEST, external_contact_id="person-1")
    engine = EngineFixture(in_turn((LINK, CONFLICT), (CHECK, OPEN), (NOTIFY, TAKEN)))
    row = await engine.until_final(progress=open_next)
    assert row.status is Status.NOTIFIED


@in_virtual_time
async def test_an_expired_contact_is_skipped_without_a_request():
    """Expiry is looked at each time, also after a delay."""
    engine = EngineFixture(in_turn())
    row = await engine.deliver(contact(expires_at=START))
    assert (row.status, row.settlement.reason) == (Status.SKIPPED, Reason.EXPIRED)
    late = EngineFixture(in_turn((CHECK, NOT_ENDED)))
    row = await late.until_final(contact(expires_at=START + 3))
    assert (row.status, row.settlement.reason) == (Status.SKIPPED, Reason.EXPIRED)


@in_virtual_time
async def test_throttling_costs_no_attempt_and_holds_to_the_second():
    """Neither for the contact nor for the time: the next request comes when it may."""
    engine = EngineFixture(in_turn((CHECK, throttled(7)), (CHECK, OPEN), (NOTIFY, TAKEN)))
    row = await engine.deliver()
    first, second, _ = engine.platform.requests
    assert second.at - first.at == pytest.approx(7.05)
    assert row.progress.attempts == 0


@in_virtual_time
async def test_a_rejection_keeps_the_words_of_the_platform():
    """For the person who reads the ledger."""
    row = await EngineFixture(in_turn((CHECK, OPEN), (NOTIFY, refused(422)))).deliver()
    assert row.settlement.words == "words of 422"


@in_virtual_time
async def test_a_long_hold_of_one_endpoint_defers_before_the_intent():
    """Contacts that come later do not wait at a worker either."""
    engine = EngineFixture(in_turn((CHECK, ENDED)))
    engine.pacer.hold(LINK, 3600)
    row = await engine.deliver()
    assert (row.status, row.history) == (Status.READY, ["claim", "defer"])
    assert row.due == pytest.approx(START + 3600, abs=1)
    assert event_words(engine.events) == ["deferred:throttled"]
