"""The `messaging` dialect on the wire, and against the sandbox."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from yarl import URL

from dispatcher.credentials.env import EnvCredentialSource
from dispatcher.domain.answer import Hint, QuotaReading
from dispatcher.domain.contact import Contact
from dispatcher.domain.conversation import State, Target
from dispatcher.domain.decision import Notify, Open
from dispatcher.domain.failure import AnswerKind, classify
from dispatcher.domain.status import Step
from dispatcher.engine.clock import SystemClock
from dispatcher.platforms.http import HttpClient, HttpOptions
from dispatcher.platforms.messaging import PATH, TOKEN_PATH, MessagingPlatform
from dispatcher.platforms.token import TokenManager, TokenOptions
from dispatcher.ports import CredentialsError, TokenExpiredError, TokenUnavailableError
from dispatcher.sandbox.conversation_kinds import KINDS
from dispatcher.sandbox.scenario.scenario import load
from dispatcher.sandbox.scenario.value_types import READ_SCOPES, WRITE_SCOPES
from dispatcher.sandbox.server import Sandbox
from tests.support.rawserver import FakeClock, answer, json_answer, raw_server, tunnel
from tests.support.sandbox_process import SCENARIOS, sandbox

GUEST = Target("g-1", is_guest_id=True)
ADDRESS = Target("a-1", is_guest_id=False)


@asynccontextmanager
async def connected(
    url, *, secret="sandbox-secret", clock=None, token=True, report=print, **options
):
    """The adapter, with a token unless the test gets its own."""
    clock = clock or SystemClock()
    async with HttpClient(HttpOptions(timeout=5.0, **options), clock) as http:
        options = TokenOptions(URL(url + TOKEN_PATH), (), WRITE_SCOPES, READ_SCOPES)
        client = {"DISPATCHER_CLIENT_ID": "sandbox-client", "DISPATCHER_CLIENT_SECRET": secret}
        keeper = TokenManager(http, options, clock, EnvCredentialSource(client))
        platform = MessagingPlatform(http, keeper, url, clock, report)
        try:
            if token:
                await platform.renew(0)
            yield platform
        finally:
            await keeper.close()


@asynccontextmanager
async def wire(said, clock=None):
    """The adapter before a server that issues tokens and otherwise says one thing."""

    async def handler(request, peer):
        if request.target == TOKEN_PATH:
            await peer.say(json_answer(200, {"access_token": "t-1", "expires_in": 600}))
        else:
            await peer.say(said)

    async with raw_server(handler) as server, connected(server.url, clock=clock) as platform:
        yield platform, server


TAKEN = json_answer(202, {"id": "m-1", "conversationId": "c-1"})


async def test_a_check_on_the_wire():
    """A GET without a body."""
    async with wire(json_answer(200, {"id": "c-1", "state": "ringing"})) as (platform, server):
        reply = await platform.check("c-1")
        request = server.requests[1]
    assert reply.result.conversation.state is State.OPEN
    assert (request.method, request.target, request.body) == ("GET", f"{PATH}/c-1", b"")
    assert request.headers["authorization"] == "Bearer t-1"
    assert "content-type" not in request.headers


async def test_a_notification_on_the_wire():
    """The text and nothing else: no subject, no address."""
    contact = Contact("k", "c-1", "Hello \u201cyou\u201d \U0001f44b", "x-1", "a-1", "Subject")
    async with wire(TAKEN) as (platform, server):
        reply = await platform.notify(contact, Notify("c-1"))
        request = server.requests[1]
    assert (reply.result.message_id, reply.result.conversation_id) == ("m-1", "c-1")
    assert (request.method, request.target) == ("POST", f"{PATH}/c-1/notifications")
    assert request.json == {"text": "Hello \u201cyou\u201d \U0001f44b"}
    assert request.headers["content-type"] == "application/json"


@pytest.mark.parametrize("subject", [None, "", "About your cart"])
@pytest.mark.parametrize("previous", [None, "c-1"])
@pytest.mark.parametrize("target", [GUEST, ADDRESS])
async def test_an_open_on_the_wire(target, previous, subject):
    """A guest by id or by address; the link and the subject only where there are some."""
    contact = Contact("k", "c-1", "Hello", "row-x", "row-a", subject)
    async with wire(json_answer(201, {"id": "n-1", "state": "active"})) as (platform, server):
        reply = await platform.open(contact, Open(target, "x-1", previous))
        request = server.requests[1]
    expected = {
        "to": {("id" if target.is_guest_id else "address"): target.value, "type": "guest"},
        "externalContactId": "x-1",
        "message": {"text": "Hello"},
    }
    expected |= {"previousConversationId": previous} if previous else {}
    expected |= {"subject": subject} if subject else {}
    assert (request.method, request.target, request.json) == ("POST", PATH, expected)
    assert (reply.result.message_id, reply.result.conversation_id) == (None, "n-1")


@pytest.mark.parametrize(
    ("decision", "named"),
    [
        (Open(None, "x-1", "c-1"), {"externalContactId": "x-1"}),
        (Open(GUEST, None, "c-1"), {"to": {"id": GUEST.value, "type": "guest"}}),
    ],
)
async def test_an_open_leaves_out_what_is_not_known(decision, named):
    """The body has no null for an address or an identity."""
    async with wire(json_answer(201, {"id": "n-1", "state": "active"})) as (platform, server):
        await platform.open(Contact("k", "c-1", "Hello"), decision)
        body = server.requests[1].json
    assert body == {"previousConversationId": "c-1", "message": {"text": "Hello"}, **named}


async def test_what_a_reply_tells_beside_its_result():
    """The rate window, the platform's clock, the correlation id."""
    clock = FakeClock(epoch=1_700_000_000.0)
    headers = {
        "inin_ratelimit_count": "12",
        "inin_ratelimit_allowed": "300",
        "inin_ratelimit_reset": "41",
        "Date": "Tue, 14 Nov 2023 22:13:50 GMT",
        "ININ_Correlation_Id": "corr-1",
    }
    body = {"message": "Rate limit exceeded the maximum.", "code": "too.many", "status": 429}
    said = json_answer(429, body, Retry_After="41", **headers)
    async with wire(said, clock) as (platform, _):
        reply = await platform.notify(Contact("k", "c-1", "Hello"), Notify("c-1"))
    assert (reply.reading, reply.clock) == (QuotaReading(12, 300, 41.0), 30.0)
    assert (reply.result.retry_after, reply.result.correlation_id) == (41.0, "corr-1")
    assert classify(Step.NOTIFY, reply.result) is AnswerKind.THROTTLED


async def test_a_wait_that_is_nonsense_is_reported_once_a_minute():
    """The wait is the usual one; a date counts by the platform's clock."""
    reported, clock = [], FakeClock()
    body = {"message": "over the limit", "code": "too.many.requests", "status": 429}
    date = "Tue, 14 Nov 2023 22:13:50 GMT"
    waits = iter(["1795000017", "1795000018", date, "soon"])

    async def handler(request, peer):
        if request.target == TOKEN_PATH:
            await peer.say(json_answer(200, {"access_token": "t-1", "expires_in": 600}))
        else:
            headers = {"Retry_After": next(waits), "Date": "Tue, 14 Nov 2023 22:13:20 GMT"}
            await peer.say(json_answer(429, body, **headers))

    async with raw_server(handler) as server:
        report = lambda name, value: reported.append((name, value))  # noqa: E731 - one line
        async with connected(server.url, clock=clock, report=report) as platform:
            found = [(await platform.check("c-1")).result.retry_after for _ in range(3)]
            clock.pass_by(61)
            found.append((await platform.check("c-1")).result.retry_after)
    assert found == [None, None, 30.0, None]
    assert reported == [("Retry-After", "1795000017"), ("Retry-After", "soon")]


async def test_what_a_reply_does_not_have_is_none():
    """Without headers nothing is made up."""
    async with wire(TAKEN, FakeClock()) as (platform, _):
        reply = await platform.notify(Contact("k", "c-1", "Hello"), Notify("c-1"))
    assert (reply.reading, reply.clock, reply.result.correlation_id) == (None, None, "")


async def test_headers_that_are_no_text_are_made_one():
    """Bytes that are no UTF-8 must not reach the ledger or the log as they are."""
    said = answer(502, ININ_Correlation_Id="corr-\xff", Date="\xff", Retry_After="\xff")
    async with wire(said) as (platform, _):
        reply = await platform.check("c-1")
    assert reply.result.correlation_id == "corr-?"
    assert reply.clock is None


async def test_words_that_are_no_text_are_made_one():
    """The same for what a proxy says."""
    refusing = tunnel(b"HTTP/1.1 407 N\xff\r\nContent-Length: 0\r\n\r\n")
    async with (
        raw_server(refusing) as proxy,
        connected("https://platform.invalid", proxy=proxy.url, token=False) as platform,
    ):
        with pytest.raises(TokenUnavailableError) as caught:
            await platform.renew(0)
    assert str(caught.value).encode()


BODIES = [None, True, 5, 1.5, "text", [], [1], {}, {"id": []}, {"state": {}}, {"message": [None]}]


@pytest.mark.parametrize("status", [200, 201, 202, 400, 403, 404, 409, 429, 503])
async def test_no_body_raises(status):
    """Whatever JSON comes with whatever status: three answers, and never a send that counts."""
    contact = Contact("k", "c-1", "Hello")
    for body in BODIES:
        async with wire(json_answer(status, body)) as (platform, server):
            replies = {
                Step.CHECK: await platform.check("c-1"),
                Step.NOTIFY: await platform.notify(contact, Notify("c-1")),
                Step.OPEN: await platform.open(contact, Open(GUEST, "x", None)),
            }
            assert len(server.requests) == 4
        for step, reply in replies.items():
            assert reply.result.status == status
            assert classify(step, reply.result) is not AnswerKind.ACCEPTED


def person(who, **changes):
    fields = {
        "target": Target(f"g-{who}", is_guest_id=True),
        "external_contact_id": f"x-{who}",
        "previous": who,
    }
    return Open(**fields | changes)


@asynccontextmanager
async def in_sandbox(scenario=None, **options):
    async with Sandbox(load(scenario or {})) as world, connected(world.url, **options) as platform:
        yield platform, world


async def test_the_sandboxs_token():
    """What it grants is what the sends need."""
    async with in_sandbox(token=False) as (platform, world):
        first, second = await platform.verify(), await platform.renew(1)
        assert (first.token, second.token, second.missing_names) == (1, 2, ())
        world.set_scopes(READ_SCOPES)
        third = await platform.verify()
        assert third.missing_names == (" or ".join(WRITE_SCOPES),)


async def test_the_sandbox_refuses_the_wrong_secret():
    """No request is made without a token."""
    async with in_sandbox(secret="wrong", token=False) as (platform, world):
        with pytest.raises(TokenExpiredError) as expired:
            await platform.check("active-1")
        with pytest.raises(CredentialsError, match="invalid_client"):
            await platform.renew(expired.value.number)
        assert "check" not in world.counts()["answers"]


STATES = {"active": State.OPEN, "ringing": State.OPEN, "ended": State.ENDED}


@pytest.mark.parametrize("name", sorted(KINDS))
async def test_every_kind_of_conversation_is_read_and_written_to(name):
    """Check, notify and open of every kind that the sandbox knows: no answer is in doubt."""
    who = f"{name}-1"
    contact = Contact("k", who, "Hello")
    async with in_sandbox() as (platform, world):
        checked = await platform.check(who)
        notified = await platform.notify(contact, Notify(who))
        opened = await platform.open(contact, person(who))
        effects = world.counts()["effects"]
    kinds = [
        classify(step, reply.result)
        for step, reply in zip(
            (Step.CHECK, Step.NOTIFY, Step.OPEN), (checked, notified, opened), strict=True
        )
    ]
    assert not set(kinds) & {AnswerKind.IN_DOUBT, AnswerKind.PASSING, AnswerKind.NOT_SENT}
    assert kinds.count(AnswerKind.ACCEPTED) - (kinds[0] is AnswerKind.ACCEPTED) == effects
    assert all(reply.result.correlation_id for reply in (checked, notified, opened))
    assert [r.reading.count for r in (checked, notified, opened)] == [1, 2, 3]
    assert all(abs(reply.clock) < 2 for reply in (checked, notified, opened))
    if name in STATES:
        found = checked.result.conversation
        assert (found.state, found.external_contact_id) == (STATES[name], f"x-{who}")
        assert found.target == Target(f"g-{who}", is_guest_id=True)


async def test_the_sandboxs_refusals():
    """Each has its own kind, with what the contract says it brings along."""
    async with in_sandbox() as (platform, _):
        closed = (await platform.notify(Contact("k", "", "Hello"), Notify("ended-1"))).result
        assert (closed.hint, closed.address) == (Hint.CLOSED, "a-ended-1")
        assert classify(Step.NOTIFY, closed) is AnswerKind.CLOSED
        gone = (await platform.check("gone-1")).result
        assert classify(Step.CHECK, gone) is AnswerKind.GONE
        cases = {
            "still open": person("active-1"),
            "not ended": person("neverends-1"),
            "identity": person("ended-2", external_contact_id="x-somebody-else"),
        }
        for opening in cases.values():
            found = (await platform.open(Contact("k", "", "Hello"), opening)).result
            assert (found.status, found.words) == (409, "Conflict")
            assert classify(Step.OPEN, found) is AnswerKind.CONFLICT
        hidden = (await platform.open(Contact("k", "", "Hello"), person("hidden-1"))).result
        assert classify(Step.OPEN, hidden) is AnswerKind.CHANNEL
        state = (await platform.check("channel-1")).result
        assert state.conversation.proactive is False
        unknown = (await platform.check("unknown-1")).result
        assert unknown.conversation.state is State.UNKNOWN
        moved = (await platform.check("redirected-1")).result
        assert classify(Step.CHECK, moved) in {AnswerKind.ACCEPTED, AnswerKind.REFUSED}


@pytest.mark.parametrize("by", ["guest", "address", "nobody"])
async def test_the_sandbox_opens_by_guest_and_by_address(by):
    """Both targets are understood, and an unlinked open is one too."""
    async with in_sandbox() as (platform, _):
        opening = person("ended-3")
        if by == "address":
            opening = person("ended-3", target=Target("a-ended-3", is_guest_id=False))
        if by == "nobody":
            opening = person("ended-3", previous=None)
        found = (await platform.open(Contact("k", "", "Hello", subject="S"), opening)).result
        assert classify(Step.OPEN, found) is AnswerKind.ACCEPTED
        again = (await platform.check(found.conversation_id)).result
        assert again.conversation.state is State.OPEN


async def test_the_sandboxs_rate_limit():
    """The fourth request of three reports when the window ends."""
    async with in_sandbox({"rate": {"allowed": 3, "window_seconds": 60.0}}) as (platform, _):
        replies = [await platform.check("active-1") for _ in range(4)]
    assert [reply.result.status for reply in replies] == [200, 200, 200, 429]
    assert [reply.reading.allowed for reply in replies] == [3] * 4
    assert 0 < replies[3].result.retry_after <= 60
    assert replies[3].result.limit_key is None


async def test_tokens_that_the_sandbox_ends_early():
    """401 comes before the reported end; one renewal mends it."""
    async with in_sandbox() as (platform, world):
        before = await platform.check("active-1")
        world.expire_tokens()
        refused = await asyncio.gather(*(platform.check("active-1") for _ in range(8)))
        assert {classify(Step.CHECK, reply.result) for reply in refused} == {
            AnswerKind.UNAUTHORIZED
        }
        await asyncio.gather(*(platform.renew(before.token.number) for _ in range(8)))
        assert (await platform.check("active-1")).result.status == 200
        assert world.counts()["answers"]["token"] == {"200": 2}


@pytest.mark.parametrize(
    ("mask", "kind"), [(False, AnswerKind.FORBIDDEN), (True, AnswerKind.CONFLICT)]
)
async def test_a_scope_that_is_taken_away(mask, kind):
    """It shows as the organisation has it, and verify reports it."""
    async with in_sandbox() as (platform, world):
        assert (await platform.verify()).missing_names == ()
        world.set_scopes(READ_SCOPES, mask)
        found = (await platform.open(Contact("k", "", "Hello"), person("ended-4"))).result
        assert classify(Step.OPEN, found) is kind
        assert (await platform.verify()).missing_names == (" or ".join(WRITE_SCOPES),)


@pytest.mark.slow
def test_the_sandbox_as_a_process_of_its_own(tmp_path):
    """The installed command serves what the adapter asks for, through and through."""

    async def scene(url):
        async with connected(url) as platform:
            checked = await platform.check("ended-5")
            opened = await platform.open(Contact("k", "", "Hello"), person("ended-5"))
            notified = await platform.notify(Contact("k", "", "Hello"), Notify("active-5"))
            return checked, opened, notified

    with sandbox(SCENARIOS / "plain.toml", tmp_path / "effects.jsonl") as process:
        checked, opened, notified = asyncio.run(scene(process.url))
        effects = process.effects()
    assert checked.result.conversation.state is State.ENDED
    assert [effect["conversationId"] for effect in effects] == [
        opened.result.conversation_id,
        notified.result.conversation_id,
    ]
    assert json.dumps(effects)


async def test_analytics_report_states_and_people_alone(tmp_path):
    """Whom a new conversation is for is not in them, nor whether its channel permits one."""
    with sandbox(SCENARIOS / "plain.toml", tmp_path / "log") as running:
        async with connected(running.url) as platform:
            reply = await platform.check_many(["active-1", "ended-1", "gone-1", "closed-1"])
    found = {conversation.id: conversation for conversation in reply.result.conversations}
    assert {id_: conversation.state for id_, conversation in found.items()} == {
        "active-1": State.OPEN,
        "ended-1": State.ENDED,
        "closed-1": State.CLOSED,
    }
    assert found["ended-1"].external_contact_id == "x-ended-1"
    assert {conversation.target for conversation in found.values()} == {None}
    assert classify(Step.CHECK_MANY, reply.result) is AnswerKind.ACCEPTED
