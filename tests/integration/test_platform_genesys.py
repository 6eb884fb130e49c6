"""The `genesys` dialect on the wire."""

import asyncio
from contextlib import asynccontextmanager
from urllib.parse import parse_qs

import pytest
from yarl import URL

from dispatcher.credentials.env import EnvCredentialSource
from dispatcher.domain.answer import Hint, NoAnswer
from dispatcher.domain.contact import Contact
from dispatcher.domain.conversation import State, Target
from dispatcher.domain.decision import Notify, Open
from dispatcher.domain.failure import AnswerKind, classify
from dispatcher.domain.status import Step
from dispatcher.engine.clock import SystemClock
from dispatcher.pacing.pacer import QuotaPacer
from dispatcher.platforms.genesys import lineage as genesys_lineage
from dispatcher.platforms.genesys import requests as bodies
from dispatcher.platforms.genesys.platform import GenesysOptions, GenesysPlatform
from dispatcher.platforms.genesys.requests import Sender
from dispatcher.platforms.http import HttpClient, HttpOptions
from dispatcher.platforms.token import TokenManager, TokenOptions
from dispatcher.ports import LookBackQuery, TokenExpiredError
from tests.support.rawserver import FakeClock, answer, json_answer, raw_server

EPOCH = 1_767_225_600.0  # 2026-01-01T00:00:00Z
TOKEN = ("POST", bodies.TOKEN_PATH)
TIMELINE = ("GET", bodies.TIMELINE_PATH)
QUERY = ("POST", bodies.QUERY_PATH)
SEND = ("POST", bodies.AGENTLESS_PATH)
WINDOWS = {"settings": [], "defaultTimeoutMinutes": 60}
TAKEN = {"id": "m-1", "conversationId": "n-1"}
HELLO = Contact("k", "c-1", "Hello", "x-1", "a-1", "Subject")
GUEST = Target("g-1", is_guest_id=True)
WEB = Sender("deployment-1")
PLENTY = 10_000_000


def get(conversation_id):
    return ("GET", f"{bodies.MESSAGES_PATH}/{conversation_id}")


@asynccontextmanager
async def org(said, *, sender=WEB, lineage="none", clock=None, renew=True, refused=None):
    """The adapter before a server that answers, by method and target, what the test sets.

    A list is said one after the other, its last one for ever; anything else is a 404.
    """
    said = {TOKEN: {"access_token": "t-1", "expires_in": 600}, TIMELINE: WINDOWS, **said}
    lost = []

    async def handler(request, peer):
        reply = said.get((request.method, request.target), (404, {"message": "not found"}))
        if isinstance(reply, list):
            reply = reply.pop(0) if len(reply) > 1 else reply[0]
        if isinstance(reply, bytes):
            await peer.say(reply)
        elif isinstance(reply, tuple):
            await peer.say(json_answer(*reply))
        elif reply is None:
            peer.reset()
        else:
            await peer.say(json_answer(200, reply))

    clock = clock or SystemClock()
    async with (
        raw_server(handler) as server,
        HttpClient(HttpOptions(timeout=5.0), clock) as http,
    ):
        token_options = TokenOptions(URL(server.url + bodies.TOKEN_PATH))
        variables = {"DISPATCHER_CLIENT_ID": "id", "DISPATCHER_CLIENT_SECRET": "secret"}
        keeper = TokenManager(http, token_options, clock, EnvCredentialSource(variables))
        options = GenesysOptions(
            server.url,
            sender,
            lineage,
            lambda *lost_one: lost.append(lost_one),
            QuotaPacer(PLENTY, 60.0, clock),
            on_no_evidence=lambda *why: refused.append(why),
        )
        platform = GenesysPlatform(http, keeper, options, clock)
        server.lost, server.said = lost, said
        try:
            if renew:
                await platform.renew(0)
            yield platform, server
        finally:
            await platform.close()
            await keeper.close()


def conversation(id_, *participants):
    return {"id": id_, "participants": list(participants)}


def customer(state="connected", **more):
    return {
        "id": "p-1",
        "purpose": "customer",
        "state": state,
        "type": "webmessaging",
        "externalContact": {"id": "x-1"},
        "fromAddress": {"addressNormalized": "guest"},
        "toAddress": {"addressNormalized": "deployment-1"},
        **more,
    }


def sender_of(*messages):
    said = [{"messageId": id_, "messageStatus": "sent", "messageTime": at} for id_, at in messages]
    return {"id": "p-2", "purpose": "api", "state": "disconnected", "messages": said}


def traced(id_, at, contact="x-1"):
    segments = [{"segmentStart": at, "segmentEnd": at}]
    there = {
        "purpose": "customer",
        "externalContactId": contact,
        "sessions": [{"segments": segments, "metrics": [{"emitDate": at}]}],
    }
    return {"conversationId": id_, "conversationStart": at, "participants": [there]}


async def test_a_token_and_the_timeline_on_the_wire():
    """No scope is asked for; the timeline is read once, for every renewal of the token."""
    async with org({}) as (platform, server):
        await platform.renew(0)
        assert server.request_lines == [TOKEN, TIMELINE]
        assert parse_qs(server.requests[0].body.decode()) == {"grant_type": ["client_credentials"]}
        assert server.requests[1].headers["authorization"] == "Bearer t-1"


async def test_a_check_is_judged_by_the_platforms_clock():
    """Ours is hours behind: by its Date header the window of 60 minutes is over, or not."""
    over = customer("disconnected", endTime="2026-01-01T00:00:00Z")
    clock = FakeClock(epoch=EPOCH - 9 * 3600)
    body = conversation("c-1", over)
    said = [
        json_answer(200, body, Date="Thu, 01 Jan 2026 00:59:59 GMT"),
        json_answer(200, body, Date="Thu, 01 Jan 2026 01:00:00 GMT"),
    ]
    async with org({get("c-1"): said}, clock=clock) as (platform, server):
        first, second = [await platform.check("c-1") for _ in range(2)]
        assert server.request_lines[2:] == [get("c-1")] * 2
    assert first.result.conversation.state is State.RESUMABLE
    assert second.result.conversation.state is State.ENDED
    assert second.clock == 10 * 3600


async def test_a_conversation_that_is_gone():
    """The platform's own 404."""
    async with org({}) as (platform, _):
        reply = await platform.check("c-9")
    assert classify(Step.CHECK, reply.result) is AnswerKind.GONE


@pytest.mark.parametrize("bad", ["", "..", "a/b", "a?b", "a#b", "a%2Fb", "a b", "a\r\n", "é"])
async def test_an_id_that_could_change_the_path_is_refused(bad):
    """Whatever a source let through: no request is made."""
    async with org({}) as (platform, server):
        with pytest.raises(ValueError, match="path"):
            await platform.check(bad)
        assert server.request_lines == [TOKEN, TIMELINE]


async def test_a_timeline_that_cannot_be_read_is_the_documented_one():
    """72 hours, and it is asked for again a minute later, in the background."""
    over = customer("disconnected", endTime="2025-12-29T01:00:00Z")
    clock = FakeClock(epoch=EPOCH)
    said = {TIMELINE: [answer(500), WINDOWS], get("c-1"): conversation("c-1", over)}
    async with org(said, clock=clock) as (platform, server):
        assert (await platform.check("c-1")).result.conversation.state is State.RESUMABLE
        assert server.request_lines.count(TIMELINE) == 1
        clock.pass_by(61)
        await platform.check("c-1")
        await _until(lambda: server.request_lines.count(TIMELINE) == 2)
        await _until(lambda: not platform._timeline._task or platform._timeline._task.done())
        assert (await platform.check("c-1")).result.conversation.state is State.ENDED


async def test_a_timeline_that_fails_later_stays_as_it_was():
    """It is read again each hour; no check waits for that."""
    over = customer("disconnected", endTime="2025-12-31T22:00:00Z")
    clock = FakeClock(epoch=EPOCH)
    said = {TIMELINE: [WINDOWS, None], get("c-1"): conversation("c-1", over)}
    said[TOKEN] = {"access_token": "t-1", "expires_in": 86400}
    async with org(said, clock=clock) as (platform, server):
        for seconds in (3599, 1, 1):
            clock.pass_by(seconds)
            found = await platform.check("c-1")
            assert found.result.conversation.state is State.ENDED
        await _until(lambda: server.request_lines.count(TIMELINE) == 2)


async def test_a_message_into_the_open_session_on_the_wire():
    """To the person of the state check, with permission to go into the conversation."""
    async with org({SEND: {"id": "m-1", "conversationId": "c-1"}}) as (platform, server):
        reply = await platform.notify(HELLO, Notify("c-1", "x-2", GUEST))
        request = server.requests[2]
    assert (reply.result.message_id, reply.result.conversation_id) == ("m-1", "c-1")
    assert (request.method, request.target) == SEND
    assert request.json == {
        "fromAddress": "deployment-1",
        "externalContactId": "x-2",
        "toAddressMessengerType": "webmessaging",
        "textBody": "Hello",
        "useExistingActiveConversation": True,
    }
    assert request.headers["content-type"] == "application/json"


async def test_a_new_conversation_on_the_wire():
    """Without leave to go into an open one; no link and no subject are named."""
    async with org({SEND: TAKEN}) as (platform, server):
        reply = await platform.open(HELLO, Open(GUEST, "x-1", "c-1"))
        request = server.requests[2]
        assert len(server.requests) == 3
    assert (reply.result.message_id, reply.result.conversation_id) == ("m-1", "n-1")
    assert request.json == {
        "fromAddress": "deployment-1",
        "externalContactId": "x-1",
        "toAddressMessengerType": "webmessaging",
        "textBody": "Hello",
        "useExistingActiveConversation": False,
    }


@pytest.mark.parametrize(
    ("target", "address"), [(Target("+49302", is_guest_id=False), "+49302"), (GUEST, "a-1")]
)
async def test_another_messenger_on_the_wire(target, address):
    """It goes to an address: the platform's, else the row's."""
    async with org({SEND: TAKEN}, sender=Sender("+49301", "sms")) as (platform, server):
        await platform.open(HELLO, Open(target, "x-1", "c-1"))
        body = server.requests[2].json
    assert (body["toAddress"], body["toAddressMessengerType"]) == (address, "sms")
    assert body["externalContactId"] == "x-1"


async def test_a_conversation_that_is_open_again():
    """The refusal hints at it; the caller reads the state again."""
    refused = (400, {"message": "The recipient has an active conversation", "code": "bad.request"})
    async with org({SEND: refused}) as (platform, _):
        reply = await platform.open(HELLO, Open(GUEST, "x-1", "c-1"))
    assert reply.result.hint is Hint.TALKING


@pytest.mark.parametrize("how", ["reset", "cut", "no ids"])
async def test_a_send_without_a_clear_answer_is_in_doubt(how):
    """It is made once, and nothing repeats it."""
    cut = json_answer(200, TAKEN)[:-5]
    said = {"reset": None, "cut": answer(200, cut[-20:]), "no ids": {"status": "queued"}}[how]
    async with org({SEND: said}) as (platform, server):
        reply = await platform.open(HELLO, Open(GUEST, "x-1", "c-1"))
        assert server.request_lines.count(SEND) == 1
    assert classify(Step.OPEN, reply.result) is AnswerKind.IN_DOUBT


async def test_without_a_token_there_is_no_request():
    """Not even the first of a look back's requests."""
    async with org({}, renew=False) as (platform, server):
        for call in (platform.check("c-1"), platform.look_back([LookBackQuery("c-1", EPOCH)])):
            with pytest.raises(TokenExpiredError):
                await call
        assert server.request_lines == []


async def test_a_look_back_on_the_wire():
    """One query by conversation, one by person, and each conversation that they show."""
    said = {
        QUERY: [
            {"conversations": [traced("c-1", "2026-01-01T00:00:30Z")], "totalHits": 1},
            {
                "conversations": [
                    traced("c-1", "2026-01-01T00:00:30Z"),
                    traced("n-1", "2026-01-01T00:01:00Z"),
                ],
                "totalHits": 2,
            },
        ],
        get("c-1"): conversation(
            "c-1", customer(), sender_of(("m-1", "2026-01-01T00:00:31Z"), ("m-2", "2026-01-01T09Z"))
        ),
        get("n-1"): conversation(
            "n-1", customer(externalContact=None), sender_of(("m-3", "2026-01-01T00:01:01Z"))
        ),
    }
    queries = [
        LookBackQuery("c-1", EPOCH),
        LookBackQuery("c-2", EPOCH + 9, True, "x-1"),
        LookBackQuery("c-1", EPOCH + 9),
    ]
    async with org(said, clock=FakeClock(epoch=EPOCH + 600)) as (platform, server):
        reply = await platform.look_back(queries)
        assert server.request_lines[2:] == [QUERY, QUERY, get("c-1"), get("n-1")]
        first, second = [request.json for request in server.requests[2:4]]
    old, new = reply.result.past_conversations
    assert (old.id, old.external_contact_id, old.previous) == ("c-1", "x-1", None)
    assert (new.id, new.external_contact_id, new.has_previous) == ("n-1", "x-1", False)
    assert [(message.id, message.indexed) for message in old.messages] == [
        ("m-1", True),
        ("m-2", False),
    ]
    assert [(message.id, message.at, message.text) for message in new.messages] == [
        ("m-3", EPOCH + 61, None)
    ]
    assert first["interval"] == "2026-01-01T00:00:00.000Z/2026-01-01T00:11:00.000Z"
    predicates = first["conversationFilters"][0]["predicates"]
    assert [predicate["value"] for predicate in predicates] == ["c-1", "c-2"]
    assert [predicate["value"] for predicate in second["segmentFilters"][0]["predicates"]] == [
        "x-1"
    ]


async def test_all_pages_of_a_look_back_are_read():
    """A person's conversation may be the last one."""
    many = [traced(f"c-{number}", "2026-01-01T00:00:00Z") for number in range(101)]
    pages = [
        {"conversations": many[:100], "totalHits": 101},
        {"conversations": many[100:], "totalHits": 101},
    ]
    said = {QUERY: pages}
    said |= {get(f"c-{number}"): conversation(f"c-{number}") for number in range(100)}
    async with org(said) as (platform, server):
        reply = await platform.look_back([LookBackQuery("c-1", EPOCH)])
        numbers = [request.json["paging"]["pageNumber"] for request in server.requests[2:4]]
    assert numbers == [1, 2]
    shown = [past.readable for past in reply.result.past_conversations]
    assert (len(shown), sum(shown)) == (101, 100)


async def test_what_analytics_show_and_nobody_can_read_is_reported_as_such():
    """It may hold a message of ours; a call holds none and is not asked for."""
    call = traced("v-1", "2026-01-01T00:01:00Z")
    call["participants"][0]["sessions"][0]["mediaType"] = "voice"
    page = {"conversations": [traced("n-1", "2026-01-01T00:01:00Z"), call], "totalHits": 2}
    async with org({QUERY: page}) as (platform, server):
        reply = await platform.look_back([LookBackQuery("c-1", EPOCH, external_contact_id="x-1")])
        assert get("v-1") not in server.request_lines
    (shown,) = reply.result.past_conversations
    assert (shown.id, shown.external_contact_id) == ("n-1", "x-1")
    assert (shown.messages, shown.readable) == ((), False)


@pytest.mark.parametrize("status", [400, 403, 410])
async def test_one_conversation_out_of_sight_does_not_hide_the_others(status):
    """It is another division's, or of another kind; only if none is shown something is missing."""
    page = [traced("n-1", "2026-01-01T00:01:00Z"), traced("n-2", "2026-01-01T00:01:00Z", "x-2")]
    said = {
        QUERY: {"conversations": page, "totalHits": 2},
        get("n-1"): (status, {"message": "not for you"}),
        get("n-2"): conversation("n-2", customer()),
    }
    clock = FakeClock(epoch=EPOCH + 600)
    async with org(said, clock=clock) as (platform, _):
        reply = await platform.look_back([LookBackQuery("c-1", EPOCH)])
    assert [(past.id, past.readable) for past in reply.result.past_conversations] == [
        ("n-1", False),
        ("n-2", True),
    ]
    assert classify(Step.LOOK_BACK, reply.result) is AnswerKind.ACCEPTED


async def test_a_look_back_reaches_as_far_as_its_queries():
    """In several intervals where one would be too long, with no gap between them."""
    day = 86_400
    clock = FakeClock(epoch=EPOCH + 40 * day)
    async with org({QUERY: {"conversations": []}}, clock=clock) as (platform, server):
        reply = await platform.look_back([LookBackQuery("c-1", EPOCH)])
        intervals = [request.json["interval"].split("/") for request in server.requests[2:]]
    assert reply.result.past_conversations == ()
    assert intervals == [
        ["2026-01-01T00:00:00.000Z", "2026-02-01T00:00:00.000Z"],
        ["2026-02-01T00:00:00.000Z", "2026-02-10T00:01:00.000Z"],
    ]


async def test_a_look_back_that_would_reach_too_far_tells_nothing():
    """What lies before its intervals may hold the message."""
    clock = FakeClock(epoch=EPOCH + 700 * 86_400)
    async with org({QUERY: {"conversations": []}}, clock=clock) as (platform, server):
        reply = await platform.look_back([LookBackQuery("c-1", EPOCH)])
        assert server.request_lines[2:] == [QUERY]
    assert classify(Step.LOOK_BACK, reply.result) is AnswerKind.PASSING


async def test_a_look_back_with_too_much_to_be_read_tells_nothing():
    """From a part nothing may be concluded."""
    page = [traced(f"c-{number}", "2026-01-01T00:00:00Z") for number in range(100)]
    async with org({QUERY: {"conversations": page, "totalHits": 5000}}) as (platform, server):
        reply = await platform.look_back([LookBackQuery("c-1", EPOCH)])
        assert server.request_lines[2:] == [QUERY] * 10
    assert classify(Step.LOOK_BACK, reply.result) is AnswerKind.PASSING


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ((403, {"message": "missing", "code": "missing.permissions"}), AnswerKind.FORBIDDEN),
        ((429, {"message": "Rate limit exceeded"}), AnswerKind.THROTTLED),
        (answer(502), AnswerKind.PASSING),
        (json_answer(200, [])[:-2] + b"{[", AnswerKind.PASSING),
    ],
)
@pytest.mark.parametrize("at", [QUERY, get("c-1")])
async def test_a_request_that_fails_fails_the_look_back(at, wrong, kind):
    """It is taken for what the failed request says."""
    said = {QUERY: {"conversations": [traced("c-1", "2026-01-01T00:00:00Z")]}, at: wrong}
    async with org(said) as (platform, _):
        reply = await platform.look_back([LookBackQuery("c-1", EPOCH)])
    assert classify(Step.LOOK_BACK, reply.result) is kind
    assert reply.result.past_conversations is None


async def test_a_look_back_that_breaks_off():
    """No answer is no history."""
    async with org({QUERY: None}) as (platform, _):
        reply = await platform.look_back([LookBackQuery("c-1", EPOCH)])
    assert isinstance(reply.result, NoAnswer)


async def test_a_conversation_of_another_deployment_is_nobodys():
    """Its messages are another sender's; it neither proves nor disproves one of ours."""
    other = customer(toAddress={"addressNormalized": "deployment-2"})
    said = {
        QUERY: {"conversations": [traced("n-1", "2026-01-01T00:00:00Z")]},
        get("n-1"): conversation("n-1", other, sender_of(("m-1", "2026-01-01T00:00:00Z"))),
    }
    async with org(said) as (platform, _):
        reply = await platform.look_back([LookBackQuery("c-1", EPOCH, True, "x-1")])
    (found,) = reply.result.past_conversations
    assert found.external_contact_id is None


async def test_ids_that_a_path_cannot_hold_are_left_out():
    """Whatever analytics show: nothing else is asked for."""
    rows = [traced("../../oauth", "2026-01-01T00:00:00Z"), {"conversationId": 7}, None]
    clock = FakeClock(epoch=EPOCH + 600)
    async with org({QUERY: {"conversations": rows}}, clock=clock) as (platform, server):
        reply = await platform.look_back([LookBackQuery("c-1", EPOCH)])
        assert server.request_lines[2:] == [QUERY]
    assert reply.result.past_conversations == ()


TAG = ("PUT", f"{bodies.CONVERSATIONS_PATH}/n-1/tags")
ATTRIBUTES = ("PATCH", f"{bodies.MESSAGES_PATH}/n-1/participants/p-1/attributes")


async def test_a_new_conversation_is_tagged_with_the_old_one():
    """After the send, and nothing waits for it."""
    async with org({SEND: TAKEN, TAG: {}}, lineage="external-tag") as (platform, server):
        reply = await platform.open(HELLO, Open(GUEST, "x-1", "c-1"))
        assert classify(Step.OPEN, reply.result) is AnswerKind.ACCEPTED
        await platform.close()
        assert server.request_lines[2:] == [SEND, TAG]
        assert server.requests[3].json == {"externalTag": "c-1"}
        assert server.lost == []


async def test_the_customers_participant_gets_the_old_conversation():
    """It has to be found first."""
    said = {SEND: TAKEN, get("n-1"): conversation("n-1", customer()), ATTRIBUTES: {}}
    async with org(said, lineage="attributes") as (platform, server):
        await platform.open(HELLO, Open(GUEST, "x-1", "c-1"))
        await platform.close()
        assert server.request_lines[2:] == [SEND, get("n-1"), ATTRIBUTES]
        assert server.requests[4].json == {"attributes": {bodies.ATTRIBUTE: "c-1"}}
        assert server.lost == []


@pytest.mark.parametrize("decision", [Notify("n-1"), Open(GUEST, "x-1", "n-1")])
async def test_the_old_conversation_itself_gets_nothing(decision):
    """It continues no other."""
    async with org({SEND: TAKEN}, lineage="external-tag") as (platform, server):
        call = platform.notify if isinstance(decision, Notify) else platform.open
        await call(HELLO, decision)
        await platform.close()
        assert server.request_lines[2:] == [SEND]


@pytest.mark.parametrize("lineage", ["external-tag", "attributes"])
async def test_lineage_that_is_refused_is_lost_and_reported(lineage):
    """The send is not affected; the reason is logged."""
    refused = (403, {"message": "missing", "code": "missing.permissions"})
    said = {SEND: TAKEN, TAG: refused, get("n-1"): refused}
    async with org(said, lineage=lineage) as (platform, server):
        reply = await platform.open(HELLO, Open(GUEST, "x-1", "c-1"))
        assert classify(Step.OPEN, reply.result) is AnswerKind.ACCEPTED
        await platform.close()
        ((lost, why),) = server.lost
    assert (lost, "403" in why) == ("n-1", True)


async def test_lineage_of_a_conversation_without_a_customer():
    """There is nobody to write it to."""
    said = {SEND: TAKEN, get("n-1"): conversation("n-1")}
    async with org(said, lineage="attributes") as (platform, server):
        await platform.open(HELLO, Open(GUEST, "x-1", "c-1"))
        await platform.close()
        assert server.lost == [("n-1", "the platform answered 404 ()")]


@pytest.mark.parametrize(
    ("answers", "tries", "reasons"),
    [
        ([(429, {"message": "Rate limit exceeded"}), answer(503), {}], 3, []),
        ([None, {}], 2, []),
        ([answer(500)], 3, ["the platform answered 500 ()"]),
        ([(404, {"message": "gone"})], 1, ["the platform answered 404 ()"]),
    ],
)
async def test_lineage_is_written_again_a_few_times(monkeypatch, answers, tries, reasons):
    """What may pass is tried three times, what will not once."""
    monkeypatch.setattr(genesys_lineage, "PAUSE_SECONDS", 0.0)
    async with org({SEND: TAKEN, TAG: answers}, lineage="external-tag") as (platform, server):
        await platform.open(HELLO, Open(GUEST, "x-1", "c-1"))
        await platform.close()
        assert server.request_lines[2:].count(TAG) == tries
        assert server.lost == [("n-1", reason) for reason in reasons]


async def test_the_end_of_a_run_does_not_wait_for_lineage_for_ever(monkeypatch):
    """What is not written by then is lost and reported; so is what there is no room for."""
    monkeypatch.setattr(genesys_lineage, "DRAIN_SECONDS", 0.05)
    monkeypatch.setattr(genesys_lineage, "MAX_QUEUED", 2)
    sends = [{"id": f"m-{number}", "conversationId": f"n-{number}"} for number in range(1, 4)]
    async with org({SEND: sends, TAG: b""}, lineage="external-tag") as (platform, server):
        for _ in range(3):
            await platform.open(HELLO, Open(GUEST, "x-1", "c-1"))
        await platform.close()
        assert server.lost == [
            ("n-3", "too many wait to be written"),
            ("n-1", "the run ended"),
            ("n-2", "the run ended"),
        ]


async def _until(true):
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.005)
