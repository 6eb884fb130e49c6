"""What the `genesys` dialect makes of an answer, whatever is in it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from dispatcher.domain.answer import Hint
from dispatcher.domain.conversation import State, Target
from dispatcher.domain.failure import AnswerKind, classify
from dispatcher.domain.past_conversation import PastMessage
from dispatcher.domain.status import Step
from dispatcher.platforms.genesys.requests import Sender
from dispatcher.platforms.genesys.responses import (
    FOREIGN_PURPOSES,
    messages,
    read_check,
    read_sent,
    unread_times,
)
from dispatcher.platforms.genesys.threading_timeline import ThreadingWindows, windows
from dispatcher.platforms.http import HttpResponse

ENDED = 1_767_225_600.0  # 2026-01-01T00:00:00Z
HOUR = 3600.0
TIMELINE = ThreadingWindows(72 * 60.0, {"webmessaging": 24 * 60.0, "sms": 0.0})
WEB = Sender("deployment-1")
SMS = Sender("+4930100", "sms")


def participant(purpose, state, **more):
    return {"id": f"p-{purpose}", "purpose": purpose, "state": state, **more}


CUSTOMER = participant(
    "customer",
    "connected",
    type="webmessaging",
    connectedTime="2025-12-31T20:00:00.000Z",
    externalContact={"id": "x-1", "selfUri": "/api/v2/externalcontacts/contacts/x-1"},
    fromAddress={"addressNormalized": "guest-1", "addressRaw": "guest-1"},
    toAddress={"addressNormalized": "deployment-1"},
)
GONE = CUSTOMER | {"state": "disconnected", "endTime": "2026-01-01T00:00:00.000Z"}
ERROR = {"contextId": "k", "details": [], "errors": []}


def checked(*participants, sender=WEB, now=ENDED, **more):
    body = {"id": "c-1", "participants": list(participants), **more}
    exchange = HttpResponse(200, CIMultiDict(), body)
    return read_check(exchange, "c-1", sender, TIMELINE, now).conversation


def sent(status, body, step=Step.OPEN, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return read_sent(step, HttpResponse(status, CIMultiDict(named), body))


def test_an_open_conversation():
    """Whom it is with is in the customer's participant; web messaging has no address."""
    found = checked(CUSTOMER, participant("acd", "connected"), participant("workflow", "connected"))
    assert (found.id, found.state, found.external_contact_id) == ("c-1", State.OPEN, "x-1")
    assert (found.target, found.engaged, found.proactive) == (None, False, True)


@pytest.mark.parametrize("purpose", ["bot", "botflow", "agent", "user"])
@pytest.mark.parametrize(
    ("state", "engaged"), [("connected", True), ("alerting", False), ("disconnected", False)]
)
def test_somebody_talks_with_the_customer(purpose, state, engaged):
    """A bot or an agent counts while it is connected."""
    found = checked(CUSTOMER, participant(purpose, state))
    assert (found.state, found.engaged) == (State.OPEN, engaged)


def test_nobody_is_interrupted_in_a_session_that_is_over():
    """An agent who is still at the paperwork talks with nobody."""
    assert not checked(GONE, participant("agent", "connected")).engaged


@pytest.mark.parametrize(
    ("hours", "state"),
    [(0, State.RESUMABLE), (23.99, State.RESUMABLE), (24, State.ENDED), (100, State.ENDED)],
)
@pytest.mark.parametrize("left", ["disconnected", "terminated"])
def test_the_window_of_the_messenger_type(left, hours, state):
    """By the customer's own type, from the customer's end."""
    found = checked(GONE | {"state": left}, now=ENDED + hours * HOUR)
    assert (found.state, found.external_contact_id) == (state, "x-1")


@pytest.mark.parametrize(
    ("type_", "hours", "state"),
    [
        ("sms", 0, State.ENDED),
        ("open", 71, State.RESUMABLE),
        ("open", 72, State.ENDED),
        (None, 23, State.RESUMABLE),
        (None, 24, State.ENDED),
    ],
)
def test_the_window_of_other_types(type_, hours, state):
    """The default where the type has none; the setting's type where the participant has none."""
    assert checked(GONE | {"type": type_}, now=ENDED + hours * HOUR).state is state


def test_an_end_that_is_not_known_closes_no_window():
    """Nothing shows that it is over."""
    assert checked(GONE | {"endTime": None}, now=ENDED + 1000 * HOUR).state is State.RESUMABLE


@pytest.mark.parametrize("state", ["hibernating", "", None, 7])
@pytest.mark.parametrize("purpose", ["customer", "agent", "bot"])
def test_states_that_are_not_known(purpose, state):
    """Neither of the customer nor of somebody who may be talking."""
    there = [CUSTOMER] if purpose != "customer" else []
    assert checked(*there, participant(purpose, state)).state is State.UNKNOWN


def test_without_a_customer_nothing_is_known():
    """There is nobody to judge by."""
    assert checked(participant("agent", "connected")).state is State.UNKNOWN
    assert checked().state is State.UNKNOWN


EXTERNAL = CUSTOMER | {"purpose": "external", "id": "p-external"}


def test_in_a_conversation_that_our_side_began_the_other_side_is_the_customer():
    """Its purpose is `external`: its state and its person count as a customer's."""
    found = checked(EXTERNAL, participant("agent", "disconnected"))
    assert (found.state, found.external_contact_id) == (State.OPEN, "x-1")
    over = checked(EXTERNAL | GONE | {"purpose": "external"}, now=ENDED + 25 * HOUR)
    assert (over.state, over.external_contact_id) == (State.ENDED, "x-1")
    written = {"fromAddress": {"addressNormalized": "+4930100"}, "type": "sms"}
    to = {"toAddress": {"addressNormalized": "+491701"}}
    assert checked(EXTERNAL | written | to, sender=SMS).target == Target("+491701", False)


def test_beside_a_customer_an_external_participant_is_a_third_party():
    """Whatever its state is, whenever it joined."""
    later = EXTERNAL | {"externalContact": {"id": "x-2"}, "connectedTime": "2026-01-01T00:00:00Z"}
    found = checked(GONE, later, now=ENDED + 25 * HOUR)
    assert (found.state, found.external_contact_id) == (State.ENDED, "x-1")


def test_messages_of_a_conversation_that_our_side_began():
    """What the other side sent was received; anything else may be our first message."""
    other = EXTERNAL | {"messages": [said("in", status="received"), said("out")]}
    found = {message.id: message.outbound for message in messages([other], ENDED)}
    assert found == {"in": False, "out": True}
    assert not messages([CUSTOMER, other], ENDED)


UPPER, LOWER = "ABCDEF01-0000-4000-8000-00000000000A", "abcdef01-0000-4000-8000-00000000000a"


@pytest.mark.parametrize(("row", "answer"), [(UPPER, LOWER), (LOWER, UPPER), (UPPER, UPPER)])
def test_a_conversation_whose_id_comes_in_another_case(row, answer):
    """It is the one that was checked, and keeps the row's id; ids of people are canonical."""
    body = {"id": answer, "participants": [CUSTOMER | {"externalContact": {"id": answer}}]}
    exchange = HttpResponse(200, CIMultiDict(), body)
    found = read_check(exchange, row, WEB, TIMELINE, ENDED).conversation
    assert (found.id, found.state, found.external_contact_id) == (row, State.OPEN, LOWER)


def test_of_several_customers_the_latest_counts():
    """A conversation that was resumed has its customer once for each time, in any order."""
    back = CUSTOMER | {"connectedTime": "2026-01-01T09:00:00Z", "externalContact": {"id": "x-2"}}
    for order in ([GONE, back], [back, GONE]):
        found = checked(*order)
        assert (found.state, found.external_contact_id) == (State.OPEN, "x-2")
    same = [GONE | {"connectedTime": None}, CUSTOMER | {"connectedTime": None}]
    assert checked(*same).state is State.OPEN


@pytest.mark.parametrize("key", ["fromAddress", "toAddress"])
def test_the_address_of_other_messengers(key):
    """Whichever end is not ours, in the platform's own form."""
    other = {"fromAddress", "toAddress"} - {key}
    customer = CUSTOMER | {
        key: {"addressRaw": "0049 30 200", "addressNormalized": "+4930200"},
        other.pop(): {"addressNormalized": "+4930100"},
    }
    assert checked(customer, sender=SMS).target == Target("+4930200", is_guest_id=False)
    nowhere = CUSTOMER | {"fromAddress": None, "toAddress": {"addressNormalized": "+4930100"}}
    assert checked(nowhere, sender=SMS).target is None


def test_another_conversation_is_no_answer():
    """What is not about the conversation asked for is a fault that passes."""
    for body in ({"id": "c-2", "participants": [CUSTOMER]}, {"id": "c-1"}, {}, None):
        answer = read_check(HttpResponse(200, CIMultiDict(), body), "c-1", WEB, TIMELINE, ENDED)
        assert classify(Step.CHECK, answer) is AnswerKind.PASSING


def test_a_conversation_that_is_gone():
    """By the platform's own 404, not by one of something in between."""
    for body, kind in (
        ({"message": "not found", **ERROR}, AnswerKind.GONE),
        (None, AnswerKind.PASSING),
    ):
        answer = read_check(HttpResponse(404, CIMultiDict(), body), "c-1", WEB, TIMELINE, ENDED)
        assert classify(Step.CHECK, answer) is kind


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["purpose", "state", "endTime", "messages", "externalContact", "type"]),
            inner | st.just("customer"),
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(ANYTHING, st.lists(ANYTHING, max_size=3))
def test_nothing_in_a_body_crashes(timeline, participants):
    """Platforms newer than us say new things."""
    parsed = windows({"settings": timeline, "defaultTimeoutMinutes": timeline})
    body = {"id": "c-1", "participants": participants}
    read = read_check(HttpResponse(200, CIMultiDict(), body), "c-1", SMS, parsed or TIMELINE, ENDED)
    assert read.conversation.state in State
    assert all(message.text is None for message in messages(participants, ENDED))


def test_a_message_that_was_taken():
    """The response has both ids; the conversation may be the old one."""
    answer = sent(200, {"id": "m-1", "conversationId": "c-1"}, ININ_Correlation_Id="corr")
    assert (answer.message_id, answer.conversation_id) == ("m-1", "c-1")
    assert (answer.correlation_id, classify(Step.OPEN, answer)) == ("corr", AnswerKind.ACCEPTED)


@pytest.mark.parametrize("body", [{"id": "m-1"}, {"conversationId": "c-1"}, {}, None])
def test_an_answer_without_both_ids_leaves_it_in_doubt(body):
    """Whatever it says, it does not say where the message is."""
    assert classify(Step.OPEN, sent(200, body)) is AnswerKind.IN_DOUBT


@pytest.mark.parametrize(
    ("code", "words", "hint"),
    [
        ("bad.request", "The recipient has an active conversation", Hint.TALKING),
        ("", "A connected conversation between fromAddress and recipient exists", Hint.TALKING),
        ("general.bad.request", "", Hint.ACTIVE),
        ("", "The request could not be completed", Hint.ACTIVE),
        ("bad.request", "textBody must have 1 to 765 characters", Hint.NONE),
        ("template.not.found", "", Hint.NONE),
        ("", "toAddress cannot be used with webmessaging", Hint.NONE),
        ("", "externalContactId is required for webmessaging", Hint.NONE),
        ("", "Channel does not support proactive initiation", Hint.CHANNEL),
    ],
)
@pytest.mark.parametrize("status", [400, 409])
def test_a_refusal_that_may_mean_an_open_conversation(status, code, words, hint):
    """Unless it is plainly about something else: the state check decides."""
    body = {"message": words, "code": code, "status": status, **ERROR}
    assert sent(status, body).hint is hint
    assert sent(status, body, Step.NOTIFY).hint is Hint.NONE


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_other_refusals_hint_at_nothing(status):
    """Their status says it all."""
    assert sent(status, {"message": "Something", **ERROR}).hint is Hint.NONE


def test_the_rate_limit():
    """Read as in the other dialect."""
    body = {"message": "Rate limit exceeded", "code": "too.many", "limit": {"key": "daily"}}
    answer = sent(429, body, Retry_After="41")
    assert (answer.retry_after, answer.limit_key) == (41.0, "daily")


def said(id_, at="2026-01-01T00:00:01Z", status="sent"):
    return {"messageId": id_, "messageStatus": status, "messageTime": at}


def test_messages_that_an_agentless_send_may_have_made():
    """The API's own participant, and what is not known; never an agent's or a bot's."""
    others = [
        participant(purpose, "connected", messages=[said(f"m-{purpose}")])
        for purpose in FOREIGN_PURPOSES
    ]
    shown = messages(
        [
            participant("customer", "connected", messages=[said("m-in", status="received")]),
            *others,
            participant("api", "disconnected", messages=[said("m-1"), said("m-1"), said("m-2")]),
            participant("novelty", "connected", messages=[said("m-3")]),
        ],
        ENDED + 1,
    )
    assert [(message.id, message.outbound) for message in shown] == [
        ("m-in", False),
        ("m-1", True),
        ("m-2", True),
        ("m-3", True),
    ]
    assert shown[1] == PastMessage("m-1", outbound=True, at=ENDED + 1, text=None)


def test_messages_that_analytics_do_not_show_yet():
    """They are found, and do not show how complete analytics are."""
    sender = participant("api", "none", messages=[said("m-1"), said("m-2", "2026-01-01T00:01Z")])
    assert [message.indexed for message in messages([sender], ENDED + 1)] == [True, False]


def test_messages_that_cannot_be_read_are_left_out():
    """One without an id or a time proves nothing, but it may be the message that is looked for."""
    broken = [said(None), said("m-1", "soon"), said("m-1", None), 7, None]
    ours = participant("api", "none", messages=broken)
    theirs = participant("customer", "connected", messages=broken)
    assert messages([ours, theirs], ENDED) == ()
    assert unread_times([ours, theirs]) == (ENDED + 1, None, None, None, None)


def test_a_timeline():
    """Minutes by type, and the default; what is unreadable is left out."""
    body = {
        "settings": [
            {"messengerType": "webmessaging", "timeoutInMinutes": 1440},
            {"messengerType": "sms", "timeoutInMinutes": 0},
            {"messengerType": "open", "timeoutInMinutes": "soon"},
            {"timeoutInMinutes": 5},
            None,
        ],
        "defaultTimeoutMinutes": 60,
    }
    found = windows(body)
    assert (found.default, found.by_type) == (60.0, {"webmessaging": 1440.0, "sms": 0.0})
    assert windows({"settings": []}) is None
    assert windows(json.loads('{"defaultTimeoutMinutes": NaN}')) is None
