"""States out of the analytics of the `genesys` dialect, whatever is in them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from dispatcher.domain.conversation import Conversation, State, Target
from dispatcher.domain.failure import AnswerKind, classify
from dispatcher.domain.status import Step
from dispatcher.platforms.genesys.analytics_states import details_target, read_states
from dispatcher.platforms.genesys.requests import Sender
from dispatcher.platforms.genesys.threading_timeline import ThreadingWindows
from dispatcher.platforms.http import HttpResponse
from tests.support.genesys_sdk import fields_of_model

NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z
TIMELINE = ThreadingWindows(72 * 60.0, {"webmessaging": 24 * 60.0, "sms": 0.0})
WEB, SMS = Sender("deployment-1"), Sender("+4930100", "sms")


def session(type_="webmessaging", end=None, **more):
    segment = {"segmentStart": "2025-12-31T10:00:00.000Z"} | ({"segmentEnd": end} if end else {})
    return {
        "messageType": type_,
        "addressFrom": "guest-1",
        "addressTo": "deployment-1",
        "segments": [segment],
        **more,
    }


def customer(*sessions, **more):
    sessions = list(sessions or (session(),))
    return {"purpose": "customer", "externalContactId": "x-1", "sessions": sessions, **more}


def talker(purpose, end=None):
    return {"purpose": purpose, "sessions": [session(end=end)]}


def record(*participants, end=None, **more):
    ended = {"conversationEnd": end} if end else {}
    return {
        "conversationId": "c-1",
        "participants": list(participants or (customer(),)),
        **ended,
        **more,
    }


def read(*records, sender=WEB, now=NOW):
    exchange = HttpResponse(200, CIMultiDict(), {"conversations": list(records)})
    return read_states(exchange, sender, TIMELINE, now).conversations


def fields(value, model):
    """Yield every field of a body, with the SDK's names for that model."""
    kinds = fields_of_model(model)
    for key, inner in value.items():
        yield model, key, kinds
        for item in inner if isinstance(inner, list) else ():
            yield from fields(item, kinds[key].removeprefix("list[").removesuffix("]"))


def test_what_is_read_are_fields_of_the_sdks_models():
    """These tests' own records have no field that the platform does not."""
    whole = record(customer(), talker("agent", "2025-12-31T10:00:00.000Z"), end="2025-12-31T11:00Z")
    answer = {"conversations": [whole]}
    found = list(fields(answer, "AnalyticsConversationWithoutAttributesMultiGetResponse"))
    assert {model for model, _, _ in found} >= {"AnalyticsSession", "AnalyticsConversationSegment"}
    assert not [key for _, key, kinds in found if key not in kinds]


def test_many_are_requested_in_one_path():
    """Separated by commas; a plus stays one."""
    target = details_target(["a-1", "b+2"])
    assert target == "/api/v2/analytics/conversations/details?id=a-1,b%2B2"


@pytest.mark.parametrize(
    ("participants", "engaged"),
    [
        ((), False),
        ((talker("agent"),), True),
        ((talker("botflow"),), True),
        ((talker("agent", "2025-12-31T11:00:00.000Z"),), False),
        ((talker("acd"),), False),
    ],
)
def test_without_an_end_it_is_open(participants, engaged):
    """Who is in a segment without an end talks with the customer."""
    expected = Conversation("c-1", State.OPEN, "x-1", engaged=engaged)
    assert read(record(customer(), *participants)) == (expected,)


@pytest.mark.parametrize(
    ("end", "state"),
    [("2025-12-31T01:00:00.000Z", State.RESUMABLE), ("2025-12-30T23:00:00.000Z", State.ENDED)],
)
def test_with_an_end_the_window_tells(end, state):
    """Of the messenger's type, as for a state check; who talked there is over."""
    found = read(record(customer(), talker("agent"), end=end))
    assert found == (Conversation("c-1", state, "x-1"),)


@pytest.mark.parametrize(
    "unclear",
    [
        record(customer(externalContactId=None)),
        record(customer(), customer(externalContactId="x-2")),
        record({"purpose": "customer", "externalContactId": "x-1", "sessions": []}),
        record(talker("agent")),
        record(conversationId=None),
        None,
        7,
    ],
)
def test_what_is_not_plain_is_left_out(unclear):
    """Then the ordinary check is made."""
    assert read(unclear) == ()


def test_the_address_of_other_messengers():
    """The end that is not ours; without one the ordinary check reads it."""
    ours = {"addressFrom": "+4930100", "addressTo": "+4930200"}
    (found,) = read(record(customer(session("sms", **ours))), sender=SMS)
    assert found.target == Target("+4930200", is_guest_id=False)
    nowhere = {"addressFrom": "+4930100", "addressTo": None}
    assert read(record(customer(session("sms", **nowhere))), sender=SMS) == ()


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, {}, AnswerKind.PASSING),
        (200, None, AnswerKind.PASSING),
        (403, {"message": "no", "code": "missing.any.permissions"}, AnswerKind.FORBIDDEN),
        (404, {"message": "no"}, AnswerKind.REFUSED),
        (429, {"message": "no"}, AnswerKind.THROTTLED),
        (502, None, AnswerKind.PASSING),
    ],
)
def test_what_is_no_answer(status, body, kind):
    """It is judged as any read is; no conversation is gone by it."""
    answer = read_states(HttpResponse(status, CIMultiDict(), body), WEB, TIMELINE, NOW)
    assert classify(Step.CHECK_MANY, answer) is kind


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
KEYS = ("conversationId", "conversationEnd", "participants", "purpose", "sessions", "segments")


@given(
    st.lists(st.dictionaries(st.sampled_from(KEYS), JSON), max_size=3), st.sampled_from(KEYS), JSON
)
def test_nothing_in_a_record_crashes(records, key, value):
    """Whatever a platform newer than us says."""
    spoilt = [record() | {key: value}, record(customer() | {key: value})]
    for conversation in read(*records, *spoilt):
        assert conversation.state in State
