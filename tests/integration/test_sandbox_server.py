"""The sandbox over real sockets: the contract's answers, faults, events, and the control API."""

import asyncio
import json
from collections import Counter
from contextlib import asynccontextmanager

import aiohttp
import pytest
import uvloop

from dispatcher.sandbox.scenario.scenario import load
from dispatcher.sandbox.scenario.value_types import READ_SCOPES
from dispatcher.sandbox.server import Sandbox
from tests.support.sandbox_client import SandboxClient

BASE = "/api/v2/conversations/messaging"
QUERY = "/api/v2/analytics/conversations/details/query"


class Client(SandboxClient):
    """The calls of the dialect messaging."""

    token_path = "/api/v2/oauth/token"

    async def check(self, conversation_id):
        return await self.call("GET", f"{BASE}/{conversation_id}")

    async def notify(self, conversation_id, text="Hello"):
        return await self.call("POST", f"{BASE}/{conversation_id}/notifications", {"text": text})

    async def open(self, previous, **changes):
        body = {
            "to": {"id": f"g-{previous}", "type": "guest"},
            "externalContactId": f"x-{previous}",
            "previousConversationId": previous,
            "message": {"text": "Hello"},
        }
        return await self.call("POST", BASE, body | changes)

    async def control(self, method, path, body=None):
        return await self.call(method, "/sandbox" + path, body, url=self.sandbox.control_url)


@asynccontextmanager
async def client(scenario=None, log_path=None):
    async with (
        Sandbox(load(scenario or {}), log_path=log_path) as sandbox,
        aiohttp.ClientSession() as session,
    ):
        it = Client(session, sandbox)
        await it.token()
        yield it


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_a_token_for_the_right_client_only():
    async with client() as c:
        status, body = await c.token()
        assert (status, body["token_type"], body["expires_in"]) == (200, "bearer", 3600)
        status, body = await c.token(b"wrong")
        assert (status, body) == (401, {"error": "invalid_client"})
        status, _ = await c.token(form={"grant_type": "password"})
        assert status == 400


async def test_an_unknown_token_is_401_with_the_platforms_body():
    async with client() as c:
        c.headers = {"Authorization": "Bearer no"}
        status, body = await c.check("active-1")
        assert status == 401
        assert set(body) == {"message", "code", "status", "contextId", "details", "errors"}
        assert body["contextId"] == c.last.headers["ININ-Correlation-Id"]
        c.headers = {}
        assert (await c.notify("active-1"))[0] == 401


async def test_the_state_check_of_the_contract():
    async with client({"world": {"extra_fields_share": 0.0}}) as c:
        status, body = await c.check("ended-1")
        assert status == 200
        assert body | {"startTime": "", "endTime": ""} == {
            "id": "ended-1",
            "state": "ended",
            "externalContactId": "x-ended-1",
            "guest": {"id": "g-ended-1", "type": "guest"},
            "from": {"address": "a-ended-1"},
            "to": {"address": "deployment-1"},
            "channel": {"type": "webmessaging", "proactive": True},
            "previousConversationId": None,
            "startTime": "",
            "endTime": "",
        }
        headers = c.last.headers
        assert headers["inin-ratelimit-count"] == "1"
        assert headers["inin-ratelimit-allowed"] == "300"
        assert 0 < int(headers["inin-ratelimit-reset"]) <= 60
        assert {"Date", "ININ-Correlation-Id"} <= set(headers)
        assert (await c.check("gone-1"))[0] == 404
        assert (await c.check("a%2Fb%20c"))[1]["id"] == "a/b c"


async def test_strange_fields_come_now_and_then_and_for_the_same_ids():
    async with client({"rate": {"allowed": 10_000}, "world": {"extra_fields_share": 0.3}}) as c:
        found = [["journey" in (await c.check(f"ended-{n}"))[1] for n in range(60)] for _ in "ab"]
        assert found[0] == found[1]
        assert 5 < sum(found[0]) < 35


async def test_notify_and_open_take_effect_and_are_in_the_log(tmp_path):
    """Every accepted message is one line; a second link to the same one is another conversation."""
    log = tmp_path / "effects.jsonl"
    async with client({"log_text": True}, log) as c:
        status, body = await c.notify("active-1")
        assert (status, body) == (202, {"id": "m-00000001", "conversationId": "active-1"})
        status, body = await c.open("ended-1", subject="Your cart")
        assert (status, body["state"], body["previousConversationId"]) == (201, "active", "ended-1")
        again = (await c.open("ended-1"))[1]["id"]
        assert again != body["id"]
        assert (await c.check(again))[1]["previousConversationId"] == "ended-1"
        assert (await c.notify(again))[0] == 202
        await c.control("GET", "/counts")
        written = lines(log)
    assert [line["kind"] for line in written] == ["notified", "linked", "linked", "notified"]
    assert [line["previousConversationId"] for line in written] == [None] + ["ended-1"] * 3
    assert {line["text"] for line in written} == {"Hello"}


async def test_a_message_to_a_closed_session_is_refused_with_the_guests_address():
    async with client() as c:
        status, body = await c.notify("ended-1")
        assert (status, body["from"]) == (400, {"address": "a-ended-1"})
        assert body["message"] == "Cannot send notification to closed conversation"
        assert (await c.notify("noaddress-1"))[1]["from"] is None


@pytest.mark.parametrize("text", ["", "x" * 2001, 7, None])
async def test_a_text_that_is_too_short_or_too_long_is_refused(text):
    async with client() as c:
        for answer in (
            await c.notify("active-1", text),
            await c.open("ended-1", message={"text": text}),
        ):
            assert answer[0] == 400
            assert "closed" not in answer[1]["message"]
        assert (await c.notify("active-1", "ü" * 2000))[0] == 202


async def test_the_four_causes_of_409_have_one_and_the_same_body():
    async with client() as c:
        bodies = [
            (await c.open("active-1"))[1],
            (await c.open("neverends-1"))[1],
            (await c.open("ended-1", externalContactId=None))[1],
            (await c.open("ended-1", externalContactId="x-ended-2"))[1],
        ]
        await c.control("POST", "/scopes", {"granted": list(READ_SCOPES), "mask": True})
        bodies.append((await c.open("ended-1"))[1])
        assert {body["status"] for body in bodies} == {409}
        assert len({json.dumps(body | {"contextId": ""}) for body in bodies}) == 1
        causes = c.sandbox.counts()["causes"]
        assert causes == {
            "previous_open": {"open": 1},
            "not_ended": {"open": 1},
            "identity": {"open": 2},
            "scope_masked": {"open": 1},
        }


async def test_other_refusals_of_sends():
    async with client() as c:
        status, body = await c.open("channel-1")
        assert (status, body["message"]) == (400, "Channel does not support proactive initiation")
        assert (await c.open("gone-1"))[0] == 404
        assert (await c.open("forbidden-1"))[0] == 403
        assert (await c.open("refused-1"))[1]["message"] == "Invalid text"
        assert (await c.open("redirected-1"))[0] == 307
        assert c.last.headers["Location"]
        assert (await c.open("ended-1", to={"id": "g-ended-2", "type": "guest"}))[0] == 400
        assert (await c.open("ended-1", to={"type": "guest"}))[0] == 400
        assert (await c.open("ended-1", to="me"))[0] == 400
        assert (await c.notify("notactive-1"))[0] == 409
        assert (await c.call("GET", "/api/v2/nothing"))[0] == 404
        assert (await c.call("PUT", BASE))[0] == 404


async def test_an_open_without_a_previous_conversation(tmp_path):
    log = tmp_path / "log"
    async with client({}, log) as c:
        to = {"address": "a-gone-1", "type": "guest"}
        status, body = await c.open("gone-1", previousConversationId=None, to=to)
        assert (status, body["previousConversationId"]) == (201, None)
        assert (await c.check(body["id"]))[1]["externalContactId"] == "x-gone-1"
    assert (lines(log)[0]["kind"], lines(log)[0]["to"]) == ("unlinked", "a-gone-1")


async def test_the_call_that_users_try_first():
    async with client() as c:
        body = {"previousConversationId": "ended-1", "text": "Hello"}
        assert (await c.call("POST", f"{BASE}/messages", body))[0] == 409
        body["previousConversationId"] = "active-1"
        assert (await c.call("POST", f"{BASE}/messages", body))[0] == 202


@pytest.mark.parametrize(
    ("options", "notify", "link"),
    [
        ({}, 403, 403),
        ({"mask": True}, 403, 409),
        ({"mask": "all"}, 409, 409),
        ({"unauthorized": True}, 401, 401),
    ],
)
async def test_a_missing_write_scope(options, notify, link):
    """It is shown as the scenario says; reads go on; the requests meanwhile are remembered."""
    async with client({"token": {"granted": list(READ_SCOPES)} | options}) as c:
        assert (await c.check("active-1"))[0] == 200
        assert (await c.notify("active-1"))[0] == notify
        assert (await c.open("ended-1"))[0] == link
        times = c.sandbox.counts()["api_request_times"]
        assert [one["endpoint"] for one in times] == ["token", "check", "notify", "open"]


async def test_a_missing_read_scope():
    async with client({"token": {"granted": ["messaging:conversation:write"]}}) as c:
        assert (await c.check("active-1"))[0] == 403
        assert (await c.call("POST", QUERY, {"conversationIds": ["a"]}))[0] == 403
        assert (await c.notify("active-1"))[0] == 202


async def test_above_the_quota_429_with_retry_after():
    async with client({"rate": {"allowed": 2, "window_seconds": 30, "phase": 0}}) as c:
        assert [(await c.check("active-1"))[0] for _ in range(3)] == [200, 200, 429]
        seconds = c.last.headers["Retry-After"]
        body = (await c.check("active-1"))[1]
        message = f"Rate limit exceeded the maximum. Retry the request in [{seconds}] seconds"
        assert (body["message"], body["code"]) == (message, "too.many.requests.retry.after")
        assert c.last.headers["inin-ratelimit-count"] == "2"
        window = c.sandbox.counts()["windows"][-1]
        assert (window["accepted"], window["refused"]) == (2, 2)
        assert (await c.token())[0] == 200
        assert (await c.check("active-1"))[0] == 429
        await c.control("POST", "/rate", {"allowed": 100})
        assert (await c.check("active-1"))[0] == 200


async def test_a_daily_limit_of_one_endpoint_names_itself_and_stops_no_other():
    limit = {"endpoint": "notify", "key": "notifications.per.day", "value": 1, "retry_after": 900}
    async with client({"limit": [limit]}) as c:
        assert [(await c.notify("active-1"))[0] for _ in range(2)] == [202, 429]
        body = (await c.notify("active-1"))[1]
        named = {"key": "notifications.per.day", "namespace": "messaging", "value": 1}
        assert (body["limit"], c.last.headers["Retry-After"]) == (named, "900")
        assert (await c.open("ended-1"))[0] == 201
        counts = c.sandbox.counts()
        assert counts["limits"] == {"notifications.per.day": {"taken": 1, "refused": 2}}
        assert sum(window["accepted"] for window in counts["windows"]) == 2


async def test_looking_back_by_conversation_and_by_previous_one():
    async with client({"analytics": {"lag_seconds": 0.1}}) as c:
        await c.notify("active-1")
        new = (await c.open("ended-1"))[1]["id"]
        query = {"conversationIds": ["active-1", "gone-1"], "previousConversationIds": ["ended-1"]}
        found = (await c.call("POST", QUERY, query))[1]["conversations"]
        assert [(one["conversationId"], one["messages"]) for one in found] == [("active-1", [])]
        await asyncio.sleep(0.15)
        found = (await c.call("POST", QUERY, query))[1]["conversations"]
        assert [one["conversationId"] for one in found] == ["active-1", new]
        assert found[1]["previousConversationId"] == "ended-1"
        message = found[0]["messages"][0]
        assert (message["id"], message["direction"], message["text"]) == (
            "m-00000001",
            "outbound",
            "Hello",
        )
        for wrong in ({}, {"conversationIds": ["a"] * 101}, {"conversationIds": "a"}, []):
            assert (await c.call("POST", QUERY, wrong))[0] == 400


@pytest.mark.parametrize(
    ("fault", "effects"),
    [
        ({"kind": "reset_before"}, 0),
        ({"kind": "reset_after"}, 1),
        ({"kind": "cut_body"}, 1),
        ({"kind": "late_effect", "delay": {"ms": 80}}, 1),
    ],
)
async def test_faults_that_break_the_connection(fault, effects):
    """The client sees an error; the message took effect or not, as the fault says."""
    async with client({"fault": [fault | {"endpoint": "notify", "nth": [1]}]}) as c:
        with pytest.raises(aiohttp.ClientError):
            await c.notify("active-1")
        if fault["kind"] == "late_effect":
            assert (c.sandbox.counts()["effects"], c.sandbox.counts()["pending_effects"]) == (0, 1)
            await asyncio.sleep(0.15)
        counts = c.sandbox.counts()
        assert (counts["effects"], counts["pending_effects"]) == (effects, 0)
        assert counts["faults"] == {"notify": {fault["kind"]: 1}}
        assert "notify" not in counts["answers"]
        assert (await c.notify("active-1"))[0] == 202


async def test_a_reset_is_a_tcp_reset():
    async with Sandbox(load({"fault": [{"kind": "reset_before", "endpoint": "token"}]})) as sandbox:
        reader, writer = await asyncio.open_connection("127.0.0.1", sandbox.port)
        writer.write(b"POST /api/v2/oauth/token HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()


@pytest.mark.parametrize(
    ("kind", "status", "content_type", "header"),
    [
        ("error_500", 500, "application/json", "Date"),
        ("error_502", 502, "text/html", "Date"),
        ("error_503_json", 503, "application/json", "Retry-After"),
        ("error_503_html", 503, "text/html", "Date"),
        ("html_200", 200, "text/html", "Date"),
        ("redirect", 307, "application/json", "Location"),
    ],
)
async def test_faults_that_answer_something_else(kind, status, content_type, header):
    async with client({"fault": [{"kind": kind, "endpoint": "open", "nth": [1]}]}) as c:
        assert (await c.open("ended-1"))[0] == status
        assert c.last.content_type == content_type
        assert header in c.last.headers
        counts = c.sandbox.counts()
        assert (counts["effects"], counts["answers"]["open"]) == (0, {str(status): 1})


async def test_no_answer_and_a_slow_one():
    """With no answer the client's patience ends it; the effect is there if the fault says so."""
    faults = [
        {"kind": "no_answer", "endpoint": "notify", "nth": [1], "effect": True},
        {"kind": "slow", "endpoint": "notify", "nth": [1], "delay": {"ms": 60}},
    ]
    async with client({"fault": faults}) as c:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(c.notify("active-1"), 0.1)
        assert c.sandbox.counts()["effects"] == 1
        await c.control("POST", "/faults", {"faults": faults[1:]})
        began = asyncio.get_running_loop().time()
        assert (await c.notify("active-1"))[0] == 202
        assert asyncio.get_running_loop().time() - began >= 0.05


async def test_an_answer_to_a_client_that_left_is_not_counted_as_delivered():
    async with client({"latency": {"notify": {"ms": 80}}}) as c:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(c.notify("active-1"), 0.03)
        await asyncio.sleep(0.1)
        counts = c.sandbox.counts()
        assert (counts["effects"], counts["undelivered"]) == (1, {"notify": 1})
        assert "notify" not in counts["answers"]


async def test_events_of_the_scenario_revoke_and_grant():
    events = [
        {"action": "revoke", "after_effects": 2, "mask": True},
        {"action": "grant", "after_effects": 2, "delay_seconds": 0.1},
        {"action": "expire_tokens", "after_effects": 3},
    ]
    async with client({"event": events}) as c:
        assert [(await c.open(f"ended-{n}"))[0] for n in range(3)] == [201, 201, 409]
        await asyncio.sleep(0.15)
        assert (await c.open("ended-3"))[0] == 201
        assert (await c.open("ended-4"))[0] == 401


@pytest.mark.parametrize("by", ["event", "control"])
async def test_conversations_turn_into_another_kind(by):
    kinds = {"ended": "active"}
    event = {"action": "turn", "after_effects": 1, "kinds": kinds}
    async with client({"event": [event] if by == "event" else []}) as c:
        assert (await c.open("ended-1"))[0] == 201
        if by == "control":
            assert (await c.control("POST", "/turn", {"kinds": kinds}))[0] == 200
        assert (await c.open("ended-2"))[0] == 409
        assert (await c.notify("ended-2"))[0] == 202
        assert (await c.control("POST", "/turn", {"kinds": {"ended": "x"}}))[0] == 400
        assert (await c.control("POST", "/turn", {}))[0] == 400


@pytest.mark.parametrize("by", ["event", "control"])
async def test_down_refuses_connections_and_comes_back_on_the_same_port(by):
    """Requests on open connections break, and the control port answers all the while."""
    events = [{"action": "down", "at_seconds": 0.0, "seconds": 0.3}] if by == "event" else []
    async with client({"event": events}) as c:
        if by == "control":
            await c.control("POST", "/down", {"seconds": 0.3})
        await asyncio.sleep(0.05)
        for _ in range(3):
            with pytest.raises(aiohttp.ClientError):
                await c.check("active-1")
        assert (await c.control("GET", "/counts"))[0] == 200
        await asyncio.sleep(0.35)
        assert (await c.check("active-1"))[0] == 200


async def test_the_control_api():
    async with client() as c:
        assert (await c.control("GET", "/world/closed-1"))[1]["state"] == "closed"
        assert (await c.control("GET", "/world/gone-1"))[0] == 404
        assert (await c.control("POST", "/faults", {"faults": [{"kind": "x"}]}))[0] == 400
        status, body = await c.control("POST", "/scopes", {"grant": []})
        assert (status, len(body["mistakes"])) == (400, 2)
        assert (await c.control("POST", "/rate", {"alowed": 5, "window_seconds": 0}))[1] == {
            "mistakes": [
                "request: window_seconds: must be at least 0.01, not 0",
                "request: alowed: unknown key; did you mean 'allowed'?",
            ]
        }
        assert (await c.control("POST", "/rate", {"allowed": None}))[0] == 200
        assert (await c.control("POST", "/rate", [5]))[0] == 400
        assert (await c.control("POST", "/expire_tokens"))[0] == 200
        assert (await c.check("active-1"))[0] == 401
        assert (await c.control("GET", "/nothing"))[0] == 404
        counts = (await c.control("GET", "/counts"))[1]
        assert (counts["requests"], counts["answers"]["check"]) == (2, {"401": 1})


async def test_the_client_gets_another_secret():
    """The old one is refused from then on, and tokens already issued live on."""
    async with client() as c:
        assert (await c.control("POST", "/client_secret", {"client_secret": "new"}))[0] == 200
        assert (await c.check("active-1"))[0] == 200
        assert (await c.token())[0] == 401
        assert (await c.token(b"sandbox-client:new"))[0] == 200
        assert (await c.control("POST", "/client_secret", {}))[0] == 400


async def test_the_control_api_sets_the_stop_event(tmp_path):
    stop = asyncio.Event()
    async with (
        Sandbox(load({}), log_path=tmp_path / "log", stop=stop) as sandbox,
        aiohttp.ClientSession() as session,
        session.post(f"{sandbox.control_url}/sandbox/shutdown") as answer,
    ):
        assert answer.status == 200
        assert sandbox.port != sandbox.control_port
        await asyncio.wait_for(stop.wait(), 2)


async def exchange(sandbox, data, *, answers=0):
    """Send raw bytes, return all that comes until the server closes, or all ``answers`` have."""
    reader, writer = await asyncio.open_connection("127.0.0.1", sandbox.port)
    writer.write(data)
    got = b""
    async with asyncio.timeout(30):
        while not answers or got.count(b"HTTP/1.1 ") < answers or not got.endswith(b"}"):
            piece = await reader.read(65536)
            if not piece:
                break
            got += piece
    writer.close()
    return got


async def test_pipelined_requests_are_answered_in_order():
    """Answers that take different times keep their order, also hundreds of them at once."""
    latency = {"check": {"kind": "uniform", "low_ms": 0, "high_ms": 1}}
    async with client({"latency": latency, "rate": {"allowed": 10_000}}) as c:
        head = f"Authorization: {c.headers['Authorization']}\r\n\r\n"
        data = "".join(f"GET {BASE}/active-{n} HTTP/1.1\r\n{head}" for n in range(300))
        got = await exchange(c.sandbox, data.encode(), answers=300)
        ids = [part.split(b'"')[0] for part in got.split(b'{"id":"active-')[1:]]
        assert ids == [str(n).encode() for n in range(300)]


async def test_after_a_broken_answer_no_further_request_of_that_connection_is_served():
    async with client({"fault": [{"kind": "cut_body", "endpoint": "notify", "nth": [1]}]}) as c:
        head = f"Authorization: {c.headers['Authorization']}\r\nContent-Length: 12\r\n\r\n"
        one = f'POST {BASE}/active-1/notifications HTTP/1.1\r\n{head}{{"text":"a"}}'
        got = await exchange(c.sandbox, (one * 3).encode())
        assert got.count(b"HTTP/1.1 ") == 1
        assert c.sandbox.counts()["effects"] == 1


async def test_chunked_bodies_and_http_1_0():
    async with client() as c:
        head = f"Authorization: {c.headers['Authorization']}\r\n"
        chunked = f"POST {BASE}/active-1/notifications HTTP/1.1\r\n{head}"
        chunked += 'Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n8\r\n{"text":\r\n'
        got = await exchange(c.sandbox, (chunked + '4\r\n"a"}\r\n0\r\n\r\n').encode())
        assert got.startswith(b"HTTP/1.1 202 ")
        old = f"GET {BASE}/active-1 HTTP/1.0\r\n{head}\r\n"
        got = await exchange(c.sandbox, old.encode())
        assert got.startswith(b"HTTP/1.1 200 ")
        assert b"Connection: close" in got


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1100000\r\n\r\n" + b"x" * 1_100_000,
        b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
    ],
    ids=["nonsense", "too long", "upgrade"],
)
async def test_what_is_no_request_is_refused(data):
    async with Sandbox(load({})) as sandbox:
        try:
            got = await exchange(sandbox, data)
        except ConnectionError:
            return
        assert b" 400 Bad Request" in got


async def test_a_run_of_all_kinds_is_what_the_counts_say(tmp_path):
    """The log, the delivered answers and the effects agree over many concurrent sends."""
    log = tmp_path / "log"
    async with client({"rate": {"allowed": 10_000}}, log) as c:
        ids = [f"{kind}-{n}" for n in range(40) for kind in ("active", "ended", "loop", "gone")]
        answers = await asyncio.gather(*(c.notify(one) for one in ids), *(c.open(o) for o in ids))
        counts = c.sandbox.counts()
    sent = Counter(str(status) for status, _ in answers)
    assert Counter(counts["answers"]["notify"]) + Counter(counts["answers"]["open"]) == sent
    assert len(lines(log)) == counts["effects"] == sent["202"] + sent["201"] == 80


@pytest.mark.parametrize(
    "scene",
    [
        test_a_reset_is_a_tcp_reset,
        test_pipelined_requests_are_answered_in_order,
        lambda: test_down_refuses_connections_and_comes_back_on_the_same_port("control"),
    ],
    ids=["reset", "pipeline", "down"],
)
def test_the_same_on_uvloop(scene):
    """What touches the transport holds on the event loop that serves in earnest as well."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scene())
