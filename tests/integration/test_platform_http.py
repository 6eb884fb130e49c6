"""One HTTP exchange over a real socket: what each way of failing comes to, and nothing twice.

Every scene runs on both event loops: the one of the standard library and the one that is used in
earnest.
"""

import asyncio
import contextlib
import gc
import gzip
import json
import ssl
from contextlib import asynccontextmanager

import pytest
import uvloop
from yarl import URL

from dispatcher.domain.answer import Answer, NoAnswer, NoAnswerCause
from dispatcher.domain.contact import Contact
from dispatcher.domain.conversation import Target
from dispatcher.domain.decision import Notify, Open
from dispatcher.domain.failure import AnswerKind, classify
from dispatcher.domain.status import Step
from dispatcher.engine.clock import SystemClock
from dispatcher.platforms.access_token import AccessToken
from dispatcher.platforms.grants import TokenInfo
from dispatcher.platforms.http import HttpClient, HttpOptions
from dispatcher.platforms.messaging import PATH, MessagingPlatform
from tests.support.rawserver import (
    answer,
    json_answer,
    raw_server,
    saying,
    self_signed,
    server_tls,
    tcp_server,
    tunnel,
)

CONTACT = Contact("k-1", "c-1", "Hello")
STATE = {"id": "c-1", "state": "ended", "externalContactId": "x-1", "conversationId": "c-1"}
CALLS = {
    Step.CHECK: lambda platform: platform.check("c-1"),
    Step.NOTIFY: lambda platform: platform.notify(CONTACT, Notify("c-1")),
    Step.OPEN: lambda platform: platform.open(CONTACT, Open(Target("g-1", True), "x-1", "c-1")),
}
ASKED = [("GET", f"{PATH}/c-1"), ("POST", f"{PATH}/c-1/notifications"), ("POST", PATH)]
PASSING = (AnswerKind.PASSING, AnswerKind.IN_DOUBT, AnswerKind.IN_DOUBT)
TAKEN = (AnswerKind.ACCEPTED, AnswerKind.ACCEPTED, AnswerKind.ACCEPTED)
REFUSED = (AnswerKind.REFUSED, AnswerKind.REFUSED, AnswerKind.REFUSED)
NOT_SENT = (AnswerKind.NOT_SENT, AnswerKind.NOT_SENT, AnswerKind.NOT_SENT)
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


class OneToken:
    """A keeper of tokens that has one and asks nobody for it."""

    token = AccessToken(1, {"Authorization": "Bearer t-1"}, 0.0, 9e9, 9e9, TokenInfo())

    def fresh(self):
        return self.token


@pytest.fixture(params=LOOPS)
def run(request):
    """Run a scene; an exception that nobody fetched, on either side, fails it."""
    unheard = []
    gc.freeze()  # what there was before the scene is none of its business, and much to look at
    with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
        runner.get_loop().set_exception_handler(lambda _, context: unheard.append(context))
        yield runner.run
        gc.collect()
    assert not unheard


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return self_signed(tmp_path_factory.mktemp("tls"))


@asynccontextmanager
async def platform_at(url, **options):
    """The platform's adapter with short times."""
    http_options = HttpOptions(**{"timeout": 2.0, "connect_timeout": 2.0} | options)
    async with HttpClient(http_options, SystemClock()) as http:
        yield MessagingPlatform(http, OneToken(), url, SystemClock())


async def results(url, **options):
    """What each of the three calls comes to at that URL."""
    async with platform_at(url, **options) as platform:
        return [(await call(platform)).result for call in CALLS.values()]


def kinds(found):
    return tuple(classify(step, result) for step, result in zip(CALLS, found, strict=True))


def losses(found):
    return {result.cause if isinstance(result, NoAnswer) else result.status for result in found}


async def resets(_, peer):
    peer.reset()


async def hangs_up(_, peer):
    peer.hang_up()


async def stays_silent(_, peer):
    await peer.gone()


def saying_then(data, end):
    """Say some bytes and then reset or hang up, once they have arrived."""

    async def handler(_, peer):
        await peer.say(data)
        await asyncio.sleep(0.03)
        getattr(peer, end)()

    return handler


def dripping(data, pause):
    """Say one byte at a time."""

    async def handler(_, peer):
        for number in range(len(data)):
            await peer.say(data[number : number + 1])
            await asyncio.sleep(pause)
            if peer.writer.is_closing():
                peer.open = False
                return

    return handler


WHOLE = json_answer(200, STATE)
ENDINGS = {
    "reset before any answer": (resets, NoAnswerCause.RESET),
    "closed before any answer": (hangs_up, NoAnswerCause.RESET),
    "reset in the status line": (saying_then(b"HTTP/1.", "reset"), NoAnswerCause.RESET),
    "closed in the headers": (saying_then(WHOLE[:40], "hang_up"), NoAnswerCause.RESET),
    "reset in the body": (saying_then(WHOLE[:-5], "reset"), NoAnswerCause.RESET),
    "closed in the body": (saying_then(WHOLE[:-5], "hang_up"), NoAnswerCause.RESET),
    "closed in a chunk": (
        saying_then(b"HTTP/1.1 202 A\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{", "hang_up"),
        NoAnswerCause.RESET,
    ),
    "never an answer": (stays_silent, NoAnswerCause.TIMEOUT),
    "not HTTP": (saying(b"220 mail.example.org ESMTP\r\n\r\n"), NoAnswerCause.RESET),
    "a bad content length": (
        saying(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}"),
        NoAnswerCause.RESET,
    ),
    "a huge header": (saying(answer(200, b"{}", X_Huge="x" * 70_000)), NoAnswerCause.RESET),
    "broken gzip": (saying(answer(200, b"no gzip", Content_Encoding="gzip")), NoAnswerCause.RESET),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_an_exchange_without_an_answer_passes_or_leaves_doubt(run, name):
    """A read may be asked again, a send is in doubt; each request reached the server once."""
    handler, loss = ENDINGS[name]

    async def scene():
        async with raw_server(handler) as server:
            timeout = 0.2 if loss is NoAnswerCause.TIMEOUT else 5.0
            found = await results(server.url, timeout=timeout)
            return found, server.request_lines

    found, received = run(scene())
    assert (losses(found), kinds(found)) == ({loss}, PASSING)
    assert received == ASKED
    assert all(result.detail and "t-1" not in result.detail for result in found)


def test_a_server_that_drips_is_ended_by_the_total_timeout(run):
    """Each byte comes in time, the answer does not: read timeouts alone would wait for ever."""

    async def scene():
        async with (
            raw_server(dripping(WHOLE, 0.02)) as server,
            platform_at(server.url, timeout=0.3, connect_timeout=0.1) as platform,
        ):
            return await platform.notify(CONTACT, Notify("c-1")), len(server.requests)

    reply, requests = run(scene())
    assert classify(Step.NOTIFY, reply.result) is AnswerKind.IN_DOUBT
    assert (reply.result.cause, requests) == (NoAnswerCause.TIMEOUT, 1)
    assert 0.25 < reply.seconds < 2


HTML = b"<html><body>Bad gateway</body></html>"
STALE = (AnswerKind.PASSING, AnswerKind.STALE, AnswerKind.REFUSED)
NOT_TAKEN = (AnswerKind.PASSING, AnswerKind.NOT_TAKEN, AnswerKind.NOT_TAKEN)
PLATFORM_503 = {"message": "Unavailable", "code": "service.unavailable", "status": 503}
ANSWERS = {
    "a plain answer": (WHOLE, TAKEN),
    "a gzip body": (
        answer(200, gzip.compress(json.dumps(STATE).encode()), Content_Encoding="gzip"),
        TAKEN,
    ),
    "a dripped answer in chunks": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"".join(b"1\r\n%c\r\n" % byte for byte in json.dumps(STATE).encode())
        + b"0\r\n\r\n",
        TAKEN,
    ),
    "an interim answer before it": (b"HTTP/1.1 103 Early Hints\r\n\r\n" + WHOLE, TAKEN),
    "an empty body": (answer(200), PASSING),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", PASSING),
    "HTML with 200": (answer(200, HTML, Content_Type="text/html"), PASSING),
    "a JSON list with 200": (json_answer(200, [STATE]), PASSING),
    "half a JSON object with 200": (answer(200, b'{"id": "c-1"'), PASSING),
    "HTML with 400": (answer(400, HTML), REFUSED),
    "HTML with 404": (answer(404, HTML), STALE),
    "HTML with 502": (answer(502, HTML), PASSING),
    "HTML with 503": (answer(503, HTML), PASSING),
    "the platform's own 503": (json_answer(503, PLATFORM_503), NOT_TAKEN),
    "500": (json_answer(500, PLATFORM_503), PASSING),
    "408": (json_answer(408, PLATFORM_503), PASSING),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_read_as_it_came(run, name):
    """The status alone does not prove it: a send counts as taken only where its ids can be read."""
    said, expected = ANSWERS[name]

    async def scene():
        async with raw_server(saying(said)) as server:
            return await results(server.url), server.request_lines

    found, received = run(scene())
    assert all(isinstance(result, Answer) for result in found)
    assert kinds(found) == expected
    assert received == ASKED


def test_an_answer_that_ends_with_the_connection_is_read(run):
    """An answer without a length is as long as the connection lives."""

    async def scene():
        bare = b"HTTP/1.1 200 OK\r\n\r\n" + json.dumps(STATE).encode()
        async with raw_server(saying_then(bare, "hang_up")) as server:
            return kinds(await results(server.url))

    assert run(scene()) == TAKEN


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(run, status):
    """A redirect is an answer: a token and a text are never carried to another place."""

    async def scene():
        async with raw_server(saying(WHOLE)) as elsewhere:
            said = answer(status, Location=f"{elsewhere.url}/else")
            async with raw_server(saying(said)) as server:
                found = await results(server.url)
                return found, server.request_lines, elsewhere.connections

    found, received, connections = run(scene())
    assert (losses(found), kinds(found)) == ({status}, REFUSED)
    assert (received, connections) == (ASKED, 0)


async def closed_url(scheme="http"):
    """A URL at which nobody listens any more."""
    async with tcp_server(stays_silent) as port:
        return f"{scheme}://127.0.0.1:{port}"


def test_a_refused_connection_means_that_nothing_left(run):
    """Nobody listens."""

    async def scene():
        return await results(await closed_url())

    found = run(scene())
    assert (losses(found), kinds(found)) == ({NoAnswerCause.NOT_SENT}, NOT_SENT)


def test_a_name_that_does_not_resolve_means_that_nothing_left(run):
    """DNS knows no such host."""
    found = run(results("http://platform.invalid"))
    assert (losses(found), kinds(found)) == ({NoAnswerCause.NOT_SENT}, NOT_SENT)


def test_a_certificate_that_nobody_vouches_for_means_that_nothing_left(run, certificate):
    """No request is made before TLS is up; with the bundle of the settings it is."""

    async def scene():
        async with raw_server(saying(WHOLE), server_tls(*certificate)) as server:
            refused = await results(server.url)
            before = len(server.requests)
            trusted = await results(server.url, ca_bundle=str(certificate[0]))
            return refused, before, trusted, server.request_lines

    refused, before, trusted, received = run(scene())
    assert (losses(refused), kinds(refused), before) == ({NoAnswerCause.NOT_SENT}, NOT_SENT, 0)
    assert (kinds(trusted), received) == (TAKEN, ASKED)


def test_a_certificate_for_another_name_means_that_nothing_left(run, certificate):
    """Trust in the issuer is not enough."""

    async def scene():
        async with raw_server(saying(WHOLE), server_tls(*certificate)) as server:
            url = server.url.replace("127.0.0.1", "localhost")
            return await results(url, ca_bundle=str(certificate[0])), server.requests

    found, requests = run(scene())
    assert (losses(found), requests) == ({NoAnswerCause.NOT_SENT}, [])


@pytest.mark.parametrize("how", ["silent", "nonsense", "reset", "closed"])
def test_a_tls_handshake_that_fails_means_that_nothing_left(run, how):
    """Whatever the other side does instead of a handshake."""

    async def accept(reader, writer):
        await reader.read(100)
        if how == "nonsense":
            writer.write(b"HTTP/1.1 400 Speak plainly\r\n\r\n")
        if how == "reset":
            writer.transport.abort()
        if how == "silent":
            await reader.read()

    async def scene():
        async with tcp_server(accept) as port:
            return await results(f"https://127.0.0.1:{port}", connect_timeout=0.3)

    found = run(scene())
    assert (losses(found), kinds(found)) == ({NoAnswerCause.NOT_SENT}, NOT_SENT)


def test_no_connection_from_the_pool_means_that_nothing_left(run):
    """One connection is busy: the others wait for the connect timeout, and not a byte leaves."""

    async def scene():
        async with (
            raw_server(stays_silent) as server,
            platform_at(server.url, connections=1, connect_timeout=0.1, timeout=30.0) as platform,
        ):
            first = asyncio.create_task(platform.check("c-1"))
            await server.until(1)
            found = [(await call(platform)).result for call in CALLS.values()]
            first.cancel()
            await asyncio.wait([first])
            return found, server.request_lines

    found, received = run(scene())
    assert (losses(found), kinds(found)) == ({NoAnswerCause.NOT_SENT}, NOT_SENT)
    assert received == ASKED[:1]


class Ended:
    """The tenure of a run that may have been replaced while it connected."""

    def remaining_seconds(self):
        return 0.0


def test_no_message_leaves_after_the_tenure(run):
    """Neither on a new connection nor on a kept one. A state check does: it changes nothing."""

    async def scene():
        async with raw_server(saying(WHOLE)) as server:
            found = await results(server.url, tenure=Ended())
            return found, server.request_lines, server.connections

    (checked, *sends), received, connections = run(scene())
    assert (checked.status, received, connections) == (200, ASKED[:1], 1)
    assert [one.cause for one in sends] == [NoAnswerCause.NOT_SENT] * 2
    assert all("another run may have taken over" in one.detail for one in sends)


def test_a_connection_is_kept_for_the_next_request(run):
    """Handshakes are not paid for twice."""

    async def scene():
        async with raw_server(saying(WHOLE)) as server:
            return kinds(await results(server.url)), server.connections

    assert run(scene()) == (TAKEN, 1)


def test_a_kept_connection_that_was_closed_in_between_is_not_used(run):
    """The server closes after each answer without saying so: each request has a new connection."""

    async def scene():
        async with (
            raw_server(saying_then(WHOLE, "hang_up")) as server,
            platform_at(server.url) as platform,
        ):
            found = []
            for number, call in enumerate(CALLS.values(), 1):
                found.append((await call(platform)).result)
                peer = server.peers[number - 1]
                assert await peer.reader.read() == b""
                await asyncio.sleep(0.02)
            return kinds(found), server.request_lines, server.connections

    assert run(scene()) == (TAKEN, ASKED, 3)


@pytest.mark.parametrize("end", ["reset", "hang_up"])
@pytest.mark.parametrize("step", CALLS)
def test_a_kept_connection_that_dies_under_a_request_is_not_tried_again(run, step, end):
    """The server takes the second request of a connection and breaks off: nobody repeats it."""

    async def dies_on_the_second(request, peer):
        if request.target.endswith("/warm"):
            await peer.say(json_answer(200, {"id": "warm", "state": "ended"}))
        else:
            getattr(peer, end)()

    async def scene():
        async with raw_server(dies_on_the_second) as server, platform_at(server.url) as platform:
            await platform.check("warm")
            reply = await CALLS[step](platform)
            return (
                reply.result,
                server.request_lines[1:],
                {r.connection for r in server.requests[:2]},
            )

    result, received, connections = run(scene())
    assert (result.cause, len(received), connections) == (NoAnswerCause.RESET, 1, {1})


def test_a_second_answer_to_one_request_is_not_taken_for_the_next_ones(run):
    """A connection on which something came unasked is closed: the next request has a new one."""
    read = asyncio.Event()

    async def answers_twice(request, peer):
        await peer.say(json_answer(202, {"id": f"m-{peer.number}", "conversationId": "c-1"}))
        await read.wait()
        await peer.say(json_answer(202, {"id": "stale", "conversationId": "c-1"}))

    async def scene():
        async with raw_server(answers_twice) as server, platform_at(server.url) as platform:
            found = []
            for _ in range(4):
                found.append((await platform.notify(CONTACT, Notify("c-1"))).result)
                read.set()
                await asyncio.sleep(0.05)
                read.clear()
            return [result.message_id for result in found], len(server.requests)

    assert run(scene()) == (["m-1", "m-2", "m-3", "m-4"], 4)


def test_an_answer_that_came_along_with_another_is_dropped(run):
    """Two answers in one piece: the connection is closed, and the next request has a new one."""

    async def answers_twice(request, peer):
        first = json_answer(202, {"id": f"m-{peer.number}", "conversationId": "c-1"})
        await peer.say(first + json_answer(202, {"id": "stale", "conversationId": "c-1"}))

    async def scene():
        async with raw_server(answers_twice) as server, platform_at(server.url) as platform:
            calls = [await platform.notify(CONTACT, Notify("c-1")) for _ in range(3)]
            return [reply.result.message_id for reply in calls], len(server.requests)

    assert run(scene()) == (["m-1", "m-2", "m-3"], 3)


def test_a_cancelled_request_takes_its_connection_along(run):
    """A late answer to a cancelled request can meet no other request."""
    late = asyncio.Event()

    async def slow_first(request, peer):
        if peer.number == 1:
            await late.wait()
        await peer.say(json_answer(200, STATE | {"state": "ended" if late.is_set() else "active"}))

    async def scene():
        async with (
            raw_server(slow_first) as server,
            platform_at(server.url, connections=1) as platform,
        ):
            first = asyncio.create_task(platform.notify(CONTACT, Notify("c-1")))
            await server.until(1)
            first.cancel()
            await asyncio.wait([first])
            second = (await platform.check("c-1")).result
            late.set()
            return first.cancelled(), second.conversation.state, server.connections

    assert run(scene()) == (True, "open", 2)


@pytest.mark.parametrize("ends_by", ["timeout", "cancellation"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_nothing_of_a_request_leaves_after_its_end(run, certificate, scheme, ends_by):
    """A network that works again after the timeout does not deliver the rest of the request."""
    body, works_again = b"x" * 12_000_000, asyncio.Event()
    received = asyncio.Queue()

    async def reads_late(reader, writer):
        await works_again.wait()
        number = 0
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while data := await reader.read(1 << 20):
                number += len(data)
        received.put_nowait(number)

    async def scene():
        tls = server_tls(*certificate) if scheme == "https" else None
        options = HttpOptions(timeout=0.3, connect_timeout=0.2, ca_bundle=str(certificate[0]))
        async with (
            tcp_server(reads_late, tls) as port,
            HttpClient(options, SystemClock()) as http,
        ):
            origin = http.origin(URL(f"{scheme}://127.0.0.1:{port}"))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.15 if ends_by == "cancellation" else None):
                    result, _ = await http.request(origin, "POST", "/", {}, body)
                    assert result.cause is NoAnswerCause.TIMEOUT
            works_again.set()
            async with asyncio.timeout(5):
                return await received.get()

    assert run(scene()) < len(body)


def test_what_a_request_carries(run):
    """The token, who asks and for what; a length; no cookie and nothing that is not needed."""

    async def scene():
        said = json_answer(200, STATE, Set_Cookie="session=1; Path=/")
        async with raw_server(saying(said)) as server:
            await results(server.url)
            return server.requests, server.url

    requests, url = run(scene())
    for request in requests:
        expected = {
            "host": url.removeprefix("http://"),
            "authorization": "Bearer t-1",
            "accept": "application/json",
            "user-agent": "dispatcher",
        }
        if request.method == "POST":
            expected["content-type"] = "application/json"
            expected["content-length"] = str(len(request.body))
        assert request.headers == expected


def test_a_proxy_is_used_in_the_absolute_form(run):
    """Plain HTTP goes through the proxy; its password goes to it alone."""

    async def scene():
        async with raw_server(saying(WHOLE)) as server, raw_server(tunnel()) as proxy:
            address = proxy.url.replace("//", "//user:pass-1@")
            found = await results(server.url, proxy=address)
            return kinds(found), server, proxy

    found, server, proxy = run(scene())
    assert found == TAKEN
    assert proxy.request_lines == [(method, server.url + target) for method, target in ASKED]
    assert all(r.headers["proxy-authorization"] == "Basic dXNlcjpwYXNzLTE=" for r in proxy.requests)
    assert server.request_lines == ASKED


def test_a_proxy_is_used_by_connect(run, certificate):
    """TLS goes through a tunnel; the proxy sees neither the token nor the path."""

    async def scene():
        async with (
            raw_server(saying(WHOLE), server_tls(*certificate)) as server,
            raw_server(tunnel()) as proxy,
        ):
            bundle = str(certificate[0])
            found = await results(server.url, proxy=proxy.url, ca_bundle=bundle)
            return kinds(found), server, proxy

    found, server, proxy = run(scene())
    assert (found, server.request_lines) == (TAKEN, ASKED)
    assert proxy.request_lines == [("CONNECT", server.url.removeprefix("https://"))]
    assert "authorization" not in proxy.requests[0].headers


PROXIES = {
    "407": tunnel(answer(407, Proxy_Authenticate="Basic")),
    "502 in HTML": tunnel(answer(502, HTML)),
    "reset": tunnel(b""),
    "closed": hangs_up,
    "silent": stays_silent,
    "nonsense": saying(b"SSH-2.0-OpenSSH_9.7\r\n\r\n"),
}


@pytest.mark.parametrize("name", PROXIES)
def test_a_tunnel_that_is_not_made_means_that_nothing_left(run, name):
    """The proxy does not connect us: the platform was never asked, so there is no doubt."""

    async def scene():
        async with raw_server(PROXIES[name]) as proxy:
            address = proxy.url.replace("//", "//user:pass-1@")
            url = await closed_url("https")
            return await results(url, proxy=address, connect_timeout=0.3)

    found = run(scene())
    assert (losses(found), kinds(found)) == ({NoAnswerCause.NOT_SENT}, NOT_SENT)
    assert not any("pass-1" in result.detail or "cGFzcy0x" in result.detail for result in found)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_refuses_the_connection_means_that_nothing_left(run, scheme):
    """Nobody listens at the proxy's address."""

    async def scene():
        address = (await closed_url()).replace("//", "//user:pass-1@")
        return await results(f"{scheme}://platform.invalid", proxy=address)

    found = run(scene())
    assert (losses(found), kinds(found)) == ({NoAnswerCause.NOT_SENT}, NOT_SENT)
    assert not any("pass-1" in result.detail for result in found)


def test_a_proxys_own_error_page_leaves_a_send_in_doubt(run):
    """In the absolute form the proxy has the request: whether it went on, nobody says."""

    async def scene():
        async with raw_server(tunnel(answer(502, HTML))) as proxy:
            return kinds(await results("http://platform.invalid", proxy=proxy.url))

    assert run(scene()) == PASSING


def test_no_repr_tells_a_secret():
    """The proxy's password is part of a URL that the options hold."""

    async def scene():
        options = HttpOptions(proxy="http://user:pass-1@127.0.0.1:1")
        async with HttpClient(options, SystemClock()) as http:
            return repr(options) + repr(http) + repr(vars(http))

    assert "pass-1" not in asyncio.run(scene())


def test_the_environment_sets_no_proxy(run, monkeypatch):
    """What is not in the settings does not reroute a token."""

    async def scene():
        async with raw_server(saying(WHOLE)) as server, raw_server(tunnel()) as proxy:
            monkeypatch.setenv("http_proxy", proxy.url)
            monkeypatch.setenv("HTTP_PROXY", proxy.url)
            return kinds(await results(server.url)), proxy.connections

    assert run(scene()) == (TAKEN, 0)


def test_a_body_that_never_ends_ends(run):
    """However much is sent, it is over after the total timeout."""

    async def floods(_, peer):
        await peer.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not peer.writer.is_closing():
            await peer.say(b"1\r\nx\r\n")
            await asyncio.sleep(0.01)
        peer.open = False

    async def scene():
        async with (
            raw_server(floods) as server,
            HttpClient(HttpOptions(timeout=0.2, connect_timeout=0.1), SystemClock()) as http,
        ):
            result, seconds = await http.request(http.origin(URL(server.url)), "GET", "/", {})
            return result.cause, seconds < 2

    assert run(scene()) == (NoAnswerCause.TIMEOUT, True)
