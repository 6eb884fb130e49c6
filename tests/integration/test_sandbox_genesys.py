"""The sandbox's dialect genesys over real sockets: what is public about the API, and its faults."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from dispatcher.sandbox.scenario.scenario import ScenarioError, load
from dispatcher.sandbox.scenario.value_types import READ_SCOPES, WRITE_SCOPES
from dispatcher.sandbox.server import Sandbox
from tests.support.sandbox_client import SandboxClient

MESSAGES = "/api/v2/conversations/messages"
QUERY = "/api/v2/analytics/conversations/details/query"
DETAILS = "/api/v2/analytics/conversations/details"
TIMELINE = "/api/v2/conversations/messaging/threadingtimeline"
WINDOW = timedelta(minutes=4320)
STEADY = {"rate": {"allowed": 10_000}, "world": {"extra_fields_share": 0.0}}


class Client(SandboxClient):
    """The calls of the dialect genesys."""

    token_path = "/oauth/token"

    async def check(self, conversation_id):
        return await self.call("GET", f"{MESSAGES}/{conversation_id}")

    async def customer(self, conversation_id):
        body = (await self.check(conversation_id))[1]
        return [item for item in body["participants"] if item["purpose"] == "customer"][-1]

    async def send(self, who, **changes):
        body = {
            "fromAddress": "deployment-1",
            "externalContactId": f"x-{who}",
            "toAddressMessengerType": "webmessaging",
            "textBody": "Hello",
            "useExistingActiveConversation": False,
        }
        body = {key: value for key, value in (body | changes).items() if value is not None}
        return await self.call("POST", f"{MESSAGES}/agentless", body)

    async def query(self, **body):
        now = datetime.now(UTC)
        interval = (
            f"{(now - timedelta(hours=1)).isoformat()}/{(now + timedelta(hours=1)).isoformat()}"
        )
        return await self.call("POST", QUERY, {"interval": interval} | body)

    async def control(self, path, body):
        return await self.call("POST", "/sandbox" + path, body, url=self.sandbox.control_url)


@asynccontextmanager
async def client(scenario=None, log_path=None):
    scenario = {"dialect": "genesys", **STEADY, **(scenario or {})}
    async with (
        Sandbox(load(scenario), log_path=log_path) as sandbox,
        aiohttp.ClientSession() as session,
    ):
        it = Client(session, sandbox)
        await it.token()
        yield it


def predicates(**wanted):
    conditions = [
        {"type": "dimension", "dimension": name, "operator": "matches", "value": value}
        for name, value in wanted.items()
    ]
    return [{"type": "and", "predicates": conditions}]


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_the_token_host_knows_one_client_and_tells_no_scopes():
    """A wrong secret is 401 and an unknown client 400, both invalid_client."""
    async with client() as c:
        status, body = await c.token()
        assert (status, set(body)) == (200, {"access_token", "token_type", "expires_in"})
        status, body = await c.token(b"sandbox-client:wrong")
        assert (status, body["error"]) == (401, "invalid_client")
        status, body = await c.token(b"somebody:wrong")
        assert (status, body["error"]) == (400, "invalid_client")
        assert (await c.token(form={"grant_type": "password"}))[0] == 400
        c.headers = {"Authorization": "Bearer no"}
        assert (await c.check("active-1"))[0] == 401
        assert (await c.call("GET", "/api/v2/tokens/me"))[0] == 401


async def test_tokens_that_die_early_are_refused():
    """A token claims an hour and dies at once when every token is expired."""
    async with client() as c:
        c.sandbox.expire_tokens()
        assert (await c.check("active-1"))[0] == 401
        await c.token()
        assert (await c.check("active-1"))[0] == 200


async def test_the_client_is_shown_with_its_scopes_and_role_divisions():
    """What is revoked is missing there at once; the organisation and the client have names."""
    async with client() as c:
        status, body = await c.call("GET", "/api/v2/tokens/me")
        assert status == 200
        oauth = body["OAuthClient"]
        assert body["organization"]["name"]
        assert body["authorizedScope"] == oauth["scope"]
        assert "conversations" in oauth["scope"]
        assert [item["divisionId"] for item in oauth["roleDivisions"]] == ["division-home"]
        c.sandbox.set_scopes(READ_SCOPES)
        c.sandbox.set_roles(None, ())
        body = (await c.call("GET", "/api/v2/tokens/me"))[1]
        assert body["authorizedScope"] == ["conversations:readonly", "analytics:readonly"]
        assert body["OAuthClient"]["roleDivisions"] == []


@pytest.mark.parametrize(
    ("kind", "state", "left"),
    [
        ("active", "connected", None),
        ("ringing", "alerting", None),
        ("resumable", "disconnected", "inside"),
        ("neverends", "disconnected", "inside"),
        ("returning", "disconnected", "inside"),
        ("closed", "disconnected", "inside"),
        ("ended", "disconnected", "outside"),
        ("unknown", "hibernating", None),
        ("waking", "hibernating", None),
    ],
)
async def test_the_customers_participant_shows_the_state(kind, state, left):
    """Whether the guest is there, and if not, whether the threading window is over."""
    async with client() as c:
        window = (await c.call("GET", TIMELINE))[1]["settings"][0]
        assert window == {"messengerType": "webmessaging", "timeoutInMinutes": 4320}
        customer = await c.customer(f"{kind}-1")
        assert (customer["state"], customer["type"]) == (state, "webmessaging")
        assert customer["externalContact"]["id"] == f"x-{kind}-1"
        assert customer["toAddress"]["addressNormalized"] == "deployment-1"
        assert customer["fromAddress"]["addressNormalized"] == f"a-{kind}-1"
        assert ("endTime" in customer, "disconnectType" in customer) == (bool(left), bool(left))
        if left:
            age = datetime.now(UTC) - datetime.fromisoformat(customer["endTime"])
            assert (age < WINDOW) is (left == "inside")


async def test_a_window_runs_out_while_one_looks():
    """A closed conversation leaves the window by its own times, ended_after later."""
    async with client({"world": {"ended_after": 0.1, "extra_fields_share": 0.0}}) as c:
        first = (await c.customer("closed-1"))["endTime"]
        left = WINDOW - (datetime.now(UTC) - datetime.fromisoformat(first))
        assert timedelta() < left < timedelta(seconds=0.11)
        await asyncio.sleep(0.15)
        assert (await c.customer("closed-1"))["endTime"] == first
        new = (await c.send("closed-1"))[1]["conversationId"]
        assert new.startswith("new-")


async def test_others_on_the_line_and_what_is_not_known():
    """A bot or an agent is connected beside the guest; missing identities are left out."""
    async with client() as c:
        for kind, there in (("botline", "bot"), ("agentline", "agent")):
            body = (await c.check(f"{kind}-1"))[1]
            on = {p["purpose"] for p in body["participants"] if p["state"] == "connected"}
            assert on == {"customer", there}
        assert "externalContact" not in await c.customer("stranger-1")
        assert "fromAddress" not in await c.customer("noaddress-1")
        assert (await c.check("gone-1"))[0] == 404
        assert (await c.call("GET", "/api/v2/nothing"))[0] == 404


async def test_the_three_cases_of_the_timeline(tmp_path):
    """Into an open session, one that ended recently, or a new one; the log says which."""
    log = tmp_path / "effects.jsonl"
    async with client({"log_text": True}, log) as c:
        status, body = await c.send("active-1", useExistingActiveConversation=True)
        assert (status, body["conversationId"]) == (200, "active-1")
        assert (await c.send("resumable-1"))[1]["conversationId"] == "resumable-1"
        new = (await c.send("ended-1"))[1]["conversationId"]
        assert new not in ("ended-1", "active-1")
        assert (await c.send("ended-1"))[1]["conversationId"] == new, "it joins the new one"
        assert (await c.customer(new))["state"] == "disconnected"
        body = (await c.check("resumable-1"))[1]
        sent = [p for p in body["participants"] if p["purpose"] == "api"]
        assert [m["messageId"] for m in sent[0]["messages"]] == ["m-00000002"]
        c.sandbox.counts()
        written = lines(log)
    assert [line["kind"] for line in written] == ["notified", "threaded", "linked", "linked"]
    assert [line["previousConversationId"] for line in written] == [None, None] + ["ended-1"] * 2
    assert [line["externalContactId"] for line in written][:2] == ["x-active-1", "x-resumable-1"]
    assert {line["text"] for line in written} == {"Hello"}


@pytest.mark.parametrize("status", [400, 409])
async def test_an_active_conversation_is_left_alone_unless_it_may_be_used(status):
    """The refusal's status is a setting; a guest who comes back is in the session again."""
    async with client({"genesys": {"active_status": status}}) as c:
        for kind in ("active", "botline", "agentline", "loop"):
            assert (await c.send(f"{kind}-1"))[0] == status
        assert (await c.send("returning-1"))[0] == status
        assert (await c.customer("returning-1"))["state"] == "connected"
        body = (await c.check("returning-1"))[1]
        there = [p["state"] for p in body["participants"] if p["purpose"] == "customer"]
        assert there == ["disconnected", "connected"]
        assert (await c.send("returning-1", useExistingActiveConversation=True))[0] == 200
        assert (await c.send("botline-1", useExistingActiveConversation=True))[0] == 200
        answers = c.sandbox.counts()["answers"]
        assert answers["open"] == {str(status): 5}
        assert answers["notify"] == {"200": 2}


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"externalContactId": None}, 400),
        ({"toAddress": "a-ended-1"}, 400),
        ({"textBody": "x" * 2001}, 400),
        ({"textBody": None}, 400),
        ({"fromAddress": "nowhere"}, 400),
        ({"toAddressMessengerType": "pigeon"}, 400),
        ({"externalContactId": "x-somebody-else-ended-1"}, 404),
        ({"externalContactId": "what"}, 404),
        ({"toAddressMessengerType": "whatsapp", "externalContactId": None,
          "toAddress": "a-ended-1"}, 400),
        ({"toAddressMessengerType": "sms", "textBody": "x" * 766}, 400),
        ({"textBody": "ü" * 2000}, 200),
        ({"toAddressMessengerType": "sms", "externalContactId": None,
          "toAddress": "a-ended-1"}, 200),
        ({"toAddressMessengerType": "whatsapp", "externalContactId": None, "textBody": None,
          "toAddress": "a-ended-1", "messagingTemplate": {"responseId": "r-1"}}, 200),
    ],
)  # fmt: skip
async def test_what_an_agentless_message_must_be(changes, status):
    """Each messenger has its recipients and its length; nothing that is refused takes effect."""
    async with client() as c:
        assert (await c.send("ended-1", **changes))[0] == status
        assert c.sandbox.counts()["effects"] == (status == 200)


async def test_contacts_that_are_refused_for_themselves():
    """A 403 that says nothing of what is missing, a 400, and a redirect."""
    async with client() as c:
        status, body = await c.send("forbidden-1")
        assert (status, body["code"]) == (403, "not.authorized")
        assert (await c.send("refused-1"))[0] == 400
        assert (await c.send("redirected-1"))[0] == 307
        assert (await c.send("channel-1"))[0] == 400
        assert (await c.send("stranger-1"))[0] == 404


@pytest.mark.parametrize(
    ("change", "code", "names"),
    [
        ({"granted": list(READ_SCOPES)}, "missing.scope", "conversations"),
        (
            {"permissions": ["conversation:message:view"]},
            "missing.permissions",
            "conversation:message:create",
        ),
        ({"divisions": []}, "missing.division.permission", "division"),
    ],
)
async def test_a_403_names_what_is_missing_or_is_masked(change, code, names):
    """A scope, a permission and a division differ in the body; masked they are one 409."""
    path = "/scopes" if "granted" in change else "/roles"
    async with client() as c:
        await c.control(path, change)
        status, body = await c.send("ended-1")
        assert (status, body["code"]) == (403, code)
        assert names in body["message"]
        assert (await c.check("ended-1"))[0] == 200
        c.sandbox.set_scopes(("conversations", "conversations:readonly"), True)
        if path == "/scopes":
            c.sandbox.set_scopes(READ_SCOPES, True)
        status, body = await c.send("ended-1")
        assert (status, body["code"]) == (409, "conflict")
        assert (await c.send("active-1", useExistingActiveConversation=True))[0] == 403
        assert c.sandbox.counts()["effects"] == 0


async def test_other_permissions_and_scopes_stop_other_calls():
    """Tags and analytics ask for permissions of their own, reads for a scope to read."""
    async with client() as c:
        c.sandbox.set_roles(("conversation:message:create",), None)
        assert (await c.query())[1]["code"] == "missing.permissions"
        assert (await c.check("ended-1"))[1]["code"] == "missing.permissions"
        tag = {"externalTag": "t"}
        status, body = await c.call("PUT", "/api/v2/conversations/ended-1/tags", tag)
        assert (status, body["code"]) == (403, "missing.any.permissions")
        c.sandbox.set_scopes(())
        for path in (f"{MESSAGES}/ended-1", TIMELINE, f"{DETAILS}?id=ended-1"):
            assert (await c.call("GET", path))[1]["code"] == "missing.scope"


async def test_a_permission_is_revoked_and_granted_again_in_mid_run():
    """The scenario's events take permissions and divisions as they take scopes."""
    permission = {"permissions": ["conversation:message:create"]}
    events = [
        {"action": "revoke", "after_effects": 1} | permission,
        {"action": "grant", "after_effects": 1, "delay_seconds": 0.1} | permission,
    ]
    async with client({"event": events}) as c:
        assert [(await c.send(f"ended-{n}"))[0] for n in range(2)] == [200, 403]
        assert len(c.sandbox.counts()["api_request_times"]) == 1
        await asyncio.sleep(0.15)
        assert (await c.send("ended-1"))[0] == 200


async def test_tags_and_attributes_are_kept_and_shown():
    """The tag can be filtered by; attributes add up on their participant."""
    async with client() as c:
        path = "/api/v2/conversations/active-1/tags"
        assert (await c.call("PUT", path, {"externalTag": "one"}))[0] == 202
        assert (await c.call("PUT", path, {"externalTag": "two"}))[0] == 202
        assert (await c.query(conversationFilters=predicates(externalTag="one")))[1][
            "totalHits"
        ] == 0
        found = (await c.query(conversationFilters=predicates(externalTag="two")))[1]
        assert [item["externalTag"] for item in found["conversations"]] == ["two"]
        own = (await c.customer("active-1"))["id"]
        path = f"{MESSAGES}/active-1/participants/{own}/attributes"
        await c.call("PATCH", path, {"attributes": {"a": "1"}})
        status, body = await c.call("PATCH", path, {"attributes": {"b": "2"}})
        assert (status, body) == (200, {"attributes": {"a": "1", "b": "2"}})
        assert (await c.customer("active-1"))["attributes"] == {"a": "1", "b": "2"}
        strange = f"{MESSAGES}/active-1/participants/p-9/attributes"
        assert (await c.call("PATCH", strange, {"attributes": {}}))[0] == 404
        assert (await c.call("PUT", "/api/v2/conversations/gone-1/tags", {}))[0] == 404


async def test_analytics_lag_and_filter_by_contact_type_and_direction():
    """A message shows after its lag, as an outbound session at its time, without its text."""
    async with client({"analytics": {"lag_seconds": 0.15}}) as c:
        new = (await c.send("ended-1"))[1]["conversationId"]
        await c.send("active-1", useExistingActiveConversation=True)
        wanted = predicates(
            externalContactId="x-ended-1", messageType="webmessaging", direction="outbound"
        )
        assert (await c.query(segmentFilters=wanted))[1] == {"conversations": [], "totalHits": 0}
        await asyncio.sleep(0.2)
        found = (await c.query(segmentFilters=wanted))[1]
        assert [item["conversationId"] for item in found["conversations"]] == [new]
        session = found["conversations"][0]["participants"][0]["sessions"][0]
        assert session["direction"] == "outbound"
        assert "Hello" not in json.dumps(found)
        wanted = predicates(conversationId="active-1")
        active = (await c.query(conversationFilters=wanted))[1]["conversations"][0]
        directions = [s["direction"] for s in active["participants"][0]["sessions"]]
        assert directions == ["inbound", "outbound"]
        assert "conversationEnd" not in active


async def test_stragglers_show_later_than_others():
    """Some messages lag far behind the usual lag."""
    rules = {"straggler_share": 0.5, "straggler_lag_seconds": 600}
    async with client({"analytics": rules}) as c:
        for number in range(20):
            await c.send(f"ended-{number}")
        shown = (await c.query(paging={"pageSize": 100, "pageNumber": 1}))[1]["totalHits"]
        assert 0 < shown < 20


async def test_pages_hold_every_conversation_once():
    """At most a hundred on a page; each page has the number of hits."""
    async with client() as c:
        for number in range(7):
            await c.send(f"ended-{number}")
        pages = [
            (await c.query(paging={"pageSize": 3, "pageNumber": number}))[1] for number in (1, 2, 3)
        ]
        assert [page["totalHits"] for page in pages] == [7, 7, 7]
        ids = [item["conversationId"] for page in pages for item in page["conversations"]]
        assert (len(ids), len(set(ids))) == (7, 7)


@pytest.mark.parametrize(
    "wrong",
    [
        {"interval": None},
        {"interval": "yesterday"},
        {"interval": "2026-01-02T00:00:00Z/2026-01-01T00:00:00Z"},
        {"paging": {"pageSize": 101, "pageNumber": 1}},
        {"segmentFilters": [{"type": "xor", "predicates": []}]},
        {"segmentFilters": predicates(weather="rain")},
        {"conversationFilters": "all"},
        {"order": "up"},
    ],
)
async def test_a_wrong_query_is_refused(wrong):
    """A query needs an interval, known dimensions, and a page of at most a hundred."""
    async with client() as c:
        status, body = await c.query(**wrong)
        assert (status, body["code"]) == (400, "bad.request")


async def test_many_states_in_one_call():
    """Open ones have no end; one that is gone is left out; so many and no more."""
    async with client({"genesys": {"details_ids": 3}}) as c:
        status, body = await c.call("GET", f"{DETAILS}?id=active-1,resumable-1,gone-1")
        assert status == 200
        ends = {item["conversationId"]: "conversationEnd" in item for item in body["conversations"]}
        assert ends == {"active-1": False, "resumable-1": True}
        assert (await c.call("GET", f"{DETAILS}?id=a,b,c,d"))[0] == 400
        assert (await c.call("GET", DETAILS))[0] == 400


async def test_quota_faults_and_latency_are_those_of_the_sandbox():
    """Rate headers, 429, and a broken connection after the effect."""
    fault = {"kind": "reset_after", "endpoint": "open", "nth": [1]}
    scenario = {"rate": {"allowed": 3, "window_seconds": 30, "phase": 0}, "fault": [fault]}
    async with client(scenario) as c:
        assert (await c.check("active-1"))[0] == 200
        assert c.last.headers["inin-ratelimit-count"] == "1"
        with pytest.raises(aiohttp.ClientError):
            await c.send("ended-1")
        assert c.sandbox.counts()["effects"] == 1
        assert (await c.check("active-1"))[0] == 200
        status, body = await c.check("active-1")
        assert (status, body["code"]) == (429, "too.many.requests.retry.after")
        assert 0 < int(c.last.headers["Retry-After"]) <= 30


def test_a_scenario_of_either_dialect_serves_for_both():
    """Scopes are translated to those that permit the same; the dialect's own table is checked."""
    scenario = load({"dialect": "genesys", "token": {"granted": list(WRITE_SCOPES)}})
    assert scenario.genesys.threading_minutes == 4320
    with pytest.raises(ScenarioError, match="active_status"):
        load({"genesys": {"active_status": 500}})
    with pytest.raises(ScenarioError, match="messenger"):
        load({"genesys": {"messenger": "pigeon"}})
