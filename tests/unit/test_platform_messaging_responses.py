"""What the `messaging` dialect makes of an answer, whatever is in it."""

import json
import math
import re

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from dispatcher.domain.answer import Answer, Hint, QuotaReading
from dispatcher.domain.contact import Contact
from dispatcher.domain.conversation import State, Target
from dispatcher.domain.decision import Notify, Open
from dispatcher.domain.failure import AnswerKind, classify
from dispatcher.domain.status import Step
from dispatcher.platforms.access_token import AccessToken
from dispatcher.platforms.grants import TokenInfo
from dispatcher.platforms.http import (
    HttpResponse,
    PlatformClock,
    _json_object,
    parse_number,
    parse_quota,
)
from dispatcher.platforms.messaging import MessagingPlatform, read_answer
from tests.support.rawserver import FakeClock

CHECKED = "c-1"
STATE = {
    "id": CHECKED,
    "state": "ended",
    "externalContactId": "x-1",
    "guest": {"id": "g-1", "type": "guest"},
    "from": {"address": "a-1"},
    "to": {"address": "deployment"},
    "channel": {"type": "webmessaging", "proactive": True},
    "previousConversationId": None,
    "startTime": "2026-01-01T00:00:00Z",
    "endTime": None,
}
ERROR = {"contextId": "k", "details": [], "errors": []}


def answered(status, body, checked=None, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    step = Step.CHECK if checked is not None else Step.NOTIFY
    return read_answer(step, HttpResponse(status, CIMultiDict(named), body), checked or "")


def conversation(**changes):
    return answered(200, {k: v for k, v in (STATE | changes).items() if v != "absent"}, CHECKED)


def test_a_state_check():
    """Everything that a decision needs is in it."""
    found = conversation().conversation
    assert (found.id, found.state, found.external_contact_id) == (CHECKED, State.ENDED, "x-1")
    assert (found.target, found.proactive) == (Target("g-1", is_guest_id=True), True)
    assert found.address == "a-1"


@pytest.mark.parametrize(
    ("reported", "state"),
    [
        ("active", State.OPEN),
        ("ringing", State.OPEN),
        ("closed", State.CLOSED),
        ("ended", State.ENDED),
        ("hibernating", State.UNKNOWN),
        ("Active", State.UNKNOWN),
        ("ended ", State.UNKNOWN),
    ],
)
def test_states(reported, state):
    """The four that the contract names, and anything else is one that nobody knows."""
    answer = conversation(state=reported)
    assert answer.conversation.state is state
    assert classify(Step.CHECK, answer) is AnswerKind.ACCEPTED


@pytest.mark.parametrize("state", ["absent", None, "", 5, True, [], {}, ["ended"]])
def test_a_state_check_without_a_state_is_nonsense(state):
    """It is asked again, and nothing is decided on it."""
    answer = conversation(state=state)
    assert answer.conversation is None
    assert classify(Step.CHECK, answer) is AnswerKind.PASSING


@pytest.mark.parametrize("id_", ["absent", None, "c-2", 1, [CHECKED], "C-1"])
def test_the_state_of_another_conversation_is_nonsense(id_):
    """An answer that is not about the conversation asked for decides nothing."""
    assert conversation(id=id_).conversation is None


NOTHINGS = ["absent", None, "", 5, True, [], ["x"], {"id": 5, "address": None}, {}]


@pytest.mark.parametrize("nothing", NOTHINGS)
def test_fields_that_are_missing_or_of_another_type_are_not_there(nothing):
    """Each for itself: the others are read all the same."""
    by_address = conversation(guest=nothing).conversation
    assert by_address.target == Target("a-1", is_guest_id=False)
    nobody = conversation(**{"guest": nothing, "from": nothing}).conversation
    assert (nobody.target, nobody.state) == (None, State.ENDED)
    assert conversation(externalContactId=nothing).conversation.external_contact_id is None
    assert conversation(channel=nothing).conversation.proactive is True


@pytest.mark.parametrize(
    ("reported", "proactive"),
    [(False, False), (True, True), (None, True), (0, True), ("false", True)],
)
def test_only_a_plain_no_closes_a_channel(reported, proactive):
    """Where the state check does not say, the refusal will."""
    assert conversation(channel={"proactive": reported}).conversation.proactive is proactive


def test_unknown_fields_are_left_alone():
    """Fields come and go."""
    assert conversation(novelty={"a": [1]}, wrapUp="x").conversation == conversation().conversation


def test_a_notification_that_was_taken():
    """Both ids are the platform's."""
    found = answered(202, {"id": "m-1", "conversationId": "c-1"})
    assert (found.message_id, found.conversation_id) == ("m-1", "c-1")
    assert classify(Step.NOTIFY, found) is AnswerKind.ACCEPTED


def test_a_conversation_that_was_opened():
    """It has no message id; its own id is the new conversation."""
    body = {"id": "n-1", "state": "active", "externalContactId": "x", "previousConversationId": "c"}
    found = answered(201, body)
    assert (found.message_id, found.conversation_id) == (None, "n-1")
    assert classify(Step.OPEN, found) is AnswerKind.ACCEPTED


@pytest.mark.parametrize("step", [Step.NOTIFY, Step.OPEN])
@pytest.mark.parametrize("id_", [None, "", 5, [], {"id": "m"}, True])
def test_a_send_without_a_readable_id_is_in_doubt(step, id_):
    """2xx alone does not say what was taken."""
    for body in ({"id": id_, "conversationId": "c-1"}, {"conversationId": "c-1"}, {}):
        assert classify(step, answered(202, body)) is AnswerKind.IN_DOUBT


def refusal(status, message="no", **more):
    headers = more.pop("headers", {})
    return answered(status, ERROR | {"message": message, "status": status} | more, **headers)


def test_a_notification_into_a_closed_session():
    """Its message says so, and it has the address."""
    words = "Cannot send notification to closed conversation"
    found = refusal(400, words, code="bad.request", **{"from": {"address": "a-9"}})
    assert (found.hint, found.address, found.words) == (Hint.CLOSED, "a-9", words)
    assert classify(Step.NOTIFY, found) is AnswerKind.CLOSED
    assert classify(Step.OPEN, found) is AnswerKind.REFUSED
    for sender in NOTHINGS:
        without = refusal(400, words, **{"from": sender})
        assert (without.address, classify(Step.NOTIFY, without)) == (None, AnswerKind.CLOSED)


@pytest.mark.parametrize("message", ["Text too long", "", None, 5, ["closed conversation"]])
def test_another_400_refuses_the_contact(message):
    """Only the contract's own words mean that a session is closed."""
    found = refusal(400, message)
    assert (found.hint, classify(Step.NOTIFY, found)) == (Hint.NONE, AnswerKind.REFUSED)
    assert found.words == (message if isinstance(message, str) else "")


@pytest.mark.parametrize("step", [Step.NOTIFY, Step.OPEN])
def test_a_channel_without_proactive_messages(step):
    """Its message says so."""
    found = refusal(400, "Channel does not support proactive initiation")
    assert (found.hint, classify(step, found)) == (Hint.CHANNEL, AnswerKind.CHANNEL)


@pytest.mark.parametrize("status", [409, 403, 401, 404, 418, 422])
def test_refusals_keep_their_words_and_their_number(status):
    """What a person needs to ask the platform's support."""
    found = refusal(status, "Conflict", headers={"ININ_Correlation_Id": "corr-1"})
    expected = (status, True, "Conflict", "corr-1", Hint.NONE)
    parsed = (found.status, found.from_platform, found.words, found.correlation_id, found.hint)
    assert parsed == expected


@pytest.mark.parametrize("header", ["ININ_Correlation_Id", "inin_correlation_id"])
@pytest.mark.parametrize(
    ("status", "body", "checked"),
    [(200, STATE, CHECKED), (202, {"id": "m"}, None), (502, None, None), (404, {}, CHECKED)],
)
def test_every_answer_carries_the_correlation_id(status, body, checked, header):
    """Also a page of something in between, and in any case of the header."""
    assert answered(status, body, checked, **{header: "corr-2"}).correlation_id == "corr-2"
    assert answered(status, body, checked).correlation_id == ""


@pytest.mark.parametrize("key", ["", "token.rate.per.minute", "org.app.user.rate.per.minute"])
def test_a_429_of_the_tokens_rate_names_no_limit(key):
    """It holds everything."""
    body = {"limit": {"key": key, "namespace": "platform.api", "value": 300}}
    found = refusal(429, headers={"Retry_After": "17"}, **body)
    assert (found.limit_key, found.retry_after) == (None, 17.0)
    assert classify(Step.OPEN, found) is AnswerKind.THROTTLED


def test_a_429_of_another_limit_names_it():
    """A daily limit on one endpoint does not stop the others."""
    found = refusal(429, headers={"Retry_After": "5400"}, limit={"key": "agentless.day"})
    assert (found.limit_key, found.retry_after) == ("agentless.day", 5400.0)


@pytest.mark.parametrize("limit", [None, "x", 5, [], {}, {"key": None}, {"key": 5}])
def test_a_429_whose_limit_cannot_be_read_is_the_tokens(limit):
    """The careful reading."""
    assert refusal(429, limit=limit).limit_key is None


SAID = [("0", 0.0), ("3", 3.0), ("2.5", 2.5), ("-4", 0.0), (" 7 ", 7.0)]
UNREADABLE = ["", "soon", "inf", "-inf", "nan", "1e999", "Wed, 21 Oct 2026 07:28:00 GMT", None]


@pytest.mark.parametrize(("said", "seconds"), SAID + [(said, None) for said in UNREADABLE])
def test_seconds_of_a_header(said, seconds):
    """A number that can be waited for, or none: never for ever, and never nan."""
    assert parse_number(said) == seconds


@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize("said", UNREADABLE)
def test_the_rate_windows_headers(at, said):
    """All three, or none of them."""
    names = ("inin-ratelimit-count", "inin-ratelimit-allowed", "inin-ratelimit-reset")
    headers = dict(zip(names, ("12", "300", "41"), strict=True))
    assert parse_quota(CIMultiDict(headers)) == QuotaReading(12, 300, 41.0)
    if said is None:
        del headers[names[at]]
    else:
        headers[names[at]] = said
    assert parse_quota(CIMultiDict(headers)) is None


def test_a_quota_of_nothing_is_not_believed():
    """It would stop the run for ever without a word."""
    headers = {"inin-ratelimit-count": "0", "inin-ratelimit-reset": "5"}
    assert parse_quota(CIMultiDict(headers | {"inin-ratelimit-allowed": "0"})) is None


def dated(seconds):
    day = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][seconds // 86400 % 7]
    clock = f"{seconds % 86400 // 3600:02}:{seconds % 3600 // 60:02}:{seconds % 60:02}"
    return {"Date": f"{day}, 14 Nov 2023 {clock} GMT"}


def test_the_platforms_clock():
    """How far it is ahead is taken when a date is new, and kept where none can be read."""
    clock = FakeClock(epoch=1_700_000_000.0)  # 2023-11-14 22:13:20
    platform = PlatformClock(clock)
    assert platform.ahead({}) is None
    assert platform.ahead(dated(1_700_000_030)) == 30.0
    clock.pass_by(0.7)
    assert platform.ahead(dated(1_700_000_030)) == 30.0, "the same date again changes nothing"
    assert platform.ahead({}) == 30.0
    assert platform.ahead({"Date": "yesterday"}) == 30.0
    assert platform.ahead(dated(1_700_000_020)) == pytest.approx(19.3)


@pytest.mark.parametrize(
    "date",
    [
        "Mon, 01 Jan 99999999999 00:00:00 GMT",
        "Mon, 01 Jan 2020 00:00:00 +99999999999999",
        "Mon, 99 Jan 2020 25:00:00 GMT",
        "\x00",
        "0",
    ],
)
def test_a_date_that_is_none_tells_nothing(date):
    """Years and zones beyond all bounds included."""
    assert PlatformClock(FakeClock()).ahead({"Date": date}) is None


DATES = st.from_regex(
    re.compile(r"\w{3}, \d{1,9} (Jan|Dec) -?\d{1,12} \d+:\d+:\d+ [+-]?\w+", re.ASCII)
)


@given(DATES | st.text())
def test_no_date_raises(date):
    """A header is the platform's; whatever it holds, the answer is read."""
    ahead = PlatformClock(FakeClock()).ahead({"Date": date})
    assert ahead is None or math.isfinite(ahead)


@given(st.text() | st.from_regex(r"\A[-+]?[0-9._]*(e[0-9]+)?\Z"))
def test_no_number_raises(said):
    """The same for what is counted."""
    number = parse_number(said)
    assert number is None or (math.isfinite(number) and number >= 0)
    parse_quota(dict.fromkeys([f"inin-ratelimit-{n}" for n in ("count", "allowed", "reset")], said))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = (
    *("id", "state", "externalContactId", "guest", "from", "channel", "conversationId"),
    *("message", "code", "limit", "address", "proactive", "key"),
)
NAMED = st.dictionaries(st.sampled_from(FIELDS), VALUES)
BODIES = NAMED | st.dictionaries(st.sampled_from(FIELDS), VALUES | NAMED)


@given(
    st.integers(200, 599),
    BODIES | st.none(),
    st.sampled_from([None, CHECKED, ""]),
    st.sampled_from(list(Step)),
)
def test_any_body_yields_an_answer_that_can_be_classified(status, body, checked, step):
    """Any JSON object with any status: nothing raises, and texts are texts."""
    found = answered(status, body, checked)
    assert isinstance(found, Answer)
    assert found.status == status
    assert classify(step, found) in AnswerKind
    texts = (found.message_id, found.conversation_id, found.address, found.limit_key)
    assert all(text is None or (isinstance(text, str) and text) for text in texts)
    assert isinstance(found.words, str)
    if found.conversation is not None:
        assert (found.conversation.id, found.status // 100) == (checked, 2)
        assert isinstance(found.conversation.state, State)


@given(VALUES)
def test_any_json_value_is_an_object_or_nothing(value):
    """A list, a text or a number is as good as no body."""
    found = _json_object(json.dumps(value, ensure_ascii=False).encode(errors="surrogatepass"))
    assert found is None or isinstance(value, dict)
    assert isinstance(answered(200, found, CHECKED), Answer)


@given(st.binary())
def test_any_bytes_are_an_object_or_nothing(body):
    """Nothing raises."""
    assert _json_object(body) is None or body.lstrip().startswith(b"{")


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"a":' * 100_000, b'{"a": 1' + b"0" * 400 + b"}"]
)
def test_hostile_json_is_nothing(body):
    """Neither depth nor size brings the reader down."""
    assert _json_object(body) is None


class Wire:
    """Replaces the HTTP client: records requests, and answers 500."""

    def __init__(self):
        self.requests = []

    def origin(self, url):
        return str(url.origin())

    async def request(self, origin, method, target, headers, body=None, *, sends=False):
        self.requests.append((method, origin + target, body))
        return HttpResponse(500, {}, None), 0.0


class OneToken:
    """A keeper of tokens that has one."""

    def fresh(self):
        return AccessToken(3, {"Authorization": "Bearer t"}, 900.0, 9e9, 9e9, TokenInfo())


def platform(wire):
    return MessagingPlatform(wire, OneToken(), "https://api.example.com/", FakeClock())


BAD_IDS = [
    *("", ".", "..", "...", "a/b", "/", "a?b", "a#b", "a%2Fb", "a b", "a\n", "\r\n", "a\\b"),
    *("é", "a\x00", "a;b", "a&b", "\u202e", "a'b", "{id}", "a,b"),
]


@pytest.mark.parametrize("bad", BAD_IDS)
async def test_an_id_that_could_change_the_path_is_refused(bad):
    """Whatever a source let through: no request is made, and no token is asked for."""
    wire = Wire()
    with pytest.raises(ValueError, match="path"):
        await platform(wire).check(bad)
    with pytest.raises(ValueError, match="path"):
        await platform(wire).notify(Contact("k", bad, "Hello"), Notify(bad))
    assert wire.requests == []


@given(st.text(max_size=8) | st.text("./?#%:@~=+ \n", max_size=5))
def test_an_id_is_one_part_of_the_path_or_refused(conversation_id):
    """There is nothing in between."""
    wire = Wire()
    try:
        call = platform(wire).check(conversation_id)
        with pytest.raises(StopIteration):
            call.send(None)
    except ValueError:
        assert wire.requests == []
        return
    ((method, url, _),) = wire.requests
    base = "https://api.example.com/api/v2/conversations/messaging/"
    assert (method, url) == ("GET", base + conversation_id)
    assert conversation_id.strip(".")
    assert not set(conversation_id) & set("/?#%\\ \r\n")


@pytest.mark.parametrize("good", ["c-1", "1a2b.~:@_-", "a..b", "x" * 500])
async def test_ids_that_a_path_can_hold(good):
    """They are not changed on their way."""
    wire = Wire()
    await platform(wire).notify(Contact("k", good, "Hi"), Notify(good))
    assert wire.requests[0][1].endswith(f"/messaging/{good}/notifications")


@given(st.text(st.characters(exclude_categories=["Cs"])), st.booleans())
def test_texts_arrive_as_they_are(text, linked):
    """In a body of JSON, whatever characters they are made of."""
    wire = Wire()
    contact = Contact("k", "c-1", text, subject=text)
    call = platform(wire).open(
        contact, Open(Target(text, is_guest_id=linked), text, text if linked else None)
    )
    with pytest.raises(StopIteration):
        call.send(None)
    sent = orjson.loads(wire.requests[0][2])
    assert sent == json.loads(wire.requests[0][2])
    expected = {
        "to": {"id" if linked else "address": text, "type": "guest"},
        "externalContactId": text,
        "message": {"text": text},
    }
    expected |= {"previousConversationId": text} if linked else {}
    assert sent == expected | ({"subject": text} if text else {})


LOOKED = {
    "conversations": [
        {
            "conversationId": "n-1",
            "previousConversationId": "c-1",
            "externalContactId": "x-1",
            "state": "active",
            "startTime": "2026-11-22T06:00:00Z",
            "endTime": None,
            "messages": [
                {
                    "id": "m-1",
                    "direction": "outbound",
                    "time": "2026-11-22T06:00:00.250Z",
                    "text": "Hello\u00e9",
                },
                {
                    "id": "m-2",
                    "direction": "inbound",
                    "time": "2026-11-22T07:00:01+01:00",
                    "text": "Hi",
                },
            ],
        }
    ]
}


def looked_back(body, status=200):
    return read_answer(Step.LOOK_BACK, HttpResponse(status, CIMultiDict(), body))


def test_a_look_back():
    """Conversations with what they continue, and messages with their times in any zone."""
    (found,) = looked_back(LOOKED).past_conversations
    assert (found.id, found.previous, found.external_contact_id) == ("n-1", "c-1", "x-1")
    ours, theirs = found.messages
    assert (ours.id, ours.outbound, ours.text) == ("m-1", True, "Hello\u00e9")
    assert (theirs.outbound, theirs.at) == (False, ours.at + 0.75)
    assert "Hello" not in repr(found)


@pytest.mark.parametrize(
    ("state", "shown"),
    [("ended", True), ("closed", False), ("active", False), ("new", False), (None, False)],
)
def test_an_end_is_a_record_if_the_session_has_ended(state, shown):
    """The time of an end that is planned passes without a new record: it would prove too much."""
    (conversation,) = LOOKED["conversations"]
    body = {"conversations": [conversation | {"state": state, "endTime": "2026-11-22T07:00:00Z"}]}
    (found,) = looked_back(body).past_conversations
    assert (found.ended is not None) == shown


def test_a_look_back_that_shows_nothing_is_one_all_the_same():
    """Nothing there (yet) is an answer; a body of another kind is none."""
    assert looked_back({"conversations": []}).past_conversations == ()
    assert classify(Step.LOOK_BACK, looked_back({"conversations": []})) is AnswerKind.ACCEPTED
    for body in ({}, {"conversations": None}, {"conversations": {}}):
        assert classify(Step.LOOK_BACK, looked_back(body)) is AnswerKind.PASSING


@pytest.mark.parametrize("status", [408, 500, 502, 503])
def test_a_look_back_that_fails_is_a_passing_fault(status):
    """It is a read: it can be made again."""
    assert classify(Step.LOOK_BACK, looked_back({"message": "no"}, status)) is AnswerKind.PASSING


@pytest.mark.parametrize("key", ["id", "time", "text", "direction"])
@pytest.mark.parametrize("value", [None, 7, "", "absent"])
def test_a_message_that_lacks_a_part_is_left_out(key, value):
    """Nothing can be matched with it, but it may be ours; the others of its conversation stay."""
    (conversation,) = LOOKED["conversations"]
    first, second = conversation["messages"]
    odd = {name: text for name, text in (first | {key: value}).items() if text != "absent"}
    body = {"conversations": [conversation | {"messages": [odd, second]}]}
    (found,) = looked_back(body).past_conversations
    assert [message.id for message in found.messages] == ["m-2"]
    at = looked_back(LOOKED).past_conversations[0].messages[0].at
    assert found.unread == ((None,) if key == "time" else (at,))


def test_a_message_of_a_guest_that_cannot_be_read_is_not_ours():
    (conversation,) = LOOKED["conversations"]
    _, second = conversation["messages"]
    body = {"conversations": [conversation | {"messages": [second | {"text": None}]}]}
    assert looked_back(body).past_conversations[0].unread == ()


@pytest.mark.parametrize("time", ["yesterday", "2026-13-01T00:00:00Z", "12"])
def test_a_message_with_a_time_that_is_none_is_left_out(time):
    """It could have been any time."""
    (conversation,) = LOOKED["conversations"]
    odd = conversation["messages"][0] | {"time": time}
    body = {"conversations": [conversation | {"messages": [odd]}]}
    assert looked_back(body).past_conversations[0].messages == ()


def test_a_conversation_without_an_id_is_left_out():
    """And one without messages, or with odd ones, is shown without them."""
    odd = [{"previousConversationId": "c-1"}, {"conversationId": "c-2", "messages": "none"}, 7]
    assert [
        (conversation.id, conversation.messages)
        for conversation in looked_back({"conversations": odd}).past_conversations
    ] == [("c-2", ())]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["conversations", "conversationId", "messages", "id", "time", "text"]
                ),
                inner,
            )
        ),
        max_leaves=12,
    )
)
def test_whatever_a_look_back_holds_is_read_without_a_fault(value):
    """Unknown shapes come and go."""
    history = looked_back({"conversations": value}).past_conversations
    assert history is None or isinstance(history, tuple)


UPPER, LOWER = "ABCDEF01-0000-4000-8000-00000000000A", "abcdef01-0000-4000-8000-00000000000a"


@pytest.mark.parametrize(("row", "said"), [(UPPER, LOWER), (LOWER, UPPER), (UPPER, UPPER)])
def test_ids_of_an_answer_come_in_any_case(row, said):
    """The conversation is the one that was checked, and all ids of answers are canonical."""
    body = STATE | {"id": said, "externalContactId": said}
    found = answered(200, body, row).conversation
    assert (found.id, found.external_contact_id) == (row, LOWER)
    sent = read_answer(
        Step.NOTIFY, HttpResponse(202, CIMultiDict(), {"id": said, "conversationId": said})
    )
    assert (sent.message_id, sent.conversation_id) == (LOWER, LOWER)
    row_of_records = {
        "conversationId": said,
        "previousConversationId": said,
        "externalContactId": said,
        "messages": [
            {"id": said, "time": "2026-01-01T00:00:00Z", "text": "x", "direction": "outbound"}
        ],
    }
    records = HttpResponse(200, CIMultiDict(), {"conversations": [row_of_records]})
    (past,) = read_answer(Step.LOOK_BACK, records).past_conversations
    assert {past.id, past.previous, past.external_contact_id, past.messages[0].id} == {LOWER}


RECORD = {
    "conversationId": CHECKED,
    "state": "ended",
    "externalContactId": "x-1",
    "endTime": "2026-01-01T00:00:00Z",
    "messages": [],
}


def recorded(*rows):
    body = {"conversations": list(rows)}
    return read_answer(Step.CHECK_MANY, HttpResponse(200, CIMultiDict(), body))


@pytest.mark.parametrize(
    ("shown", "state"),
    [
        ("active", State.OPEN),
        ("ringing", State.OPEN),
        ("closed", State.CLOSED),
        ("ended", State.ENDED),
        ("hibernating", State.UNKNOWN),
    ],
)
def test_a_record_of_each_state(shown, state):
    (found,) = recorded(RECORD | {"state": shown, "endTime": None}).conversations
    assert (found.id, found.state, found.external_contact_id) == (CHECKED, state, "x-1")
    assert found.target is None


@pytest.mark.parametrize(
    "odd",
    [
        {"state": None},
        {"state": 7},
        {"state": "active"},
        {"conversationId": None},
        {"conversationId": ["c-1"]},
    ],
    ids=str,
)
def test_a_record_that_cannot_be_read_or_contradicts_itself_is_left_out(odd):
    """An open session has no end."""
    assert recorded(RECORD | odd, "text", None).conversations == ()


def test_a_record_without_a_person_has_none():
    (found,) = recorded(RECORD | {"externalContactId": 5}, 1).conversations
    assert found.external_contact_id is None


def test_the_guests_address_is_read_beside_the_guest():
    """The suppression list may have it, although the message goes to the guest's id."""
    found = conversation().conversation
    assert (found.target.value, found.address) == ("g-1", "a-1")
