"""The bearer token: one renewal for all, always in time, and never shown to anybody."""

import asyncio
import gc
import logging
from base64 import b64decode
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs

import pytest
from yarl import URL

from dispatcher.credentials.env import EnvCredentialSource
from dispatcher.domain.status import Step
from dispatcher.platforms.http import HttpClient, HttpOptions
from dispatcher.platforms.messaging import TOKEN_PATH, MessagingPlatform
from dispatcher.platforms.token import TokenManager, TokenOptions
from dispatcher.platforms.token_response import DEFAULT_LIFETIME
from dispatcher.ports import (
    BearerToken,
    ClientCredentials,
    CredentialsError,
    TokenExpiredError,
    TokenUnavailableError,
)
from tests.support.rawserver import (
    FakeClock,
    RawServer,
    answer,
    json_answer,
    raw_server,
    tcp_server,
)

CLIENT_ID, SECRET = "client-7", "secret-7"
READ, WRITE = "messaging:conversation:read", "messaging:conversation:write"
OTHER_WRITE = "conversations:messaging:write"
GRANTED = {"token_type": "bearer", "expires_in": 600, "scope": f"{READ} {WRITE}"}


@dataclass
class TokenServer:
    """The token endpoint: issues ``token-1``, ``token-2``, ... or answers what the test sets."""

    changes: dict = field(default_factory=dict)
    said: bytes | None = None
    open: asyncio.Event = field(default_factory=asyncio.Event)
    issued: int = 0

    def __post_init__(self):
        self.open.set()

    async def __call__(self, request, peer):
        await self.open.wait()
        self.issued += 1
        granted = GRANTED | {"access_token": f"token-{self.issued}"} | self.changes
        await peer.say(self.said or json_answer(200, granted))


def env_source(client_id=CLIENT_ID, secret=SECRET):
    """The client as the environment gives it."""
    return EnvCredentialSource(
        {"DISPATCHER_CLIENT_ID": client_id, "DISPATCHER_CLIENT_SECRET": secret}
    )


async def current(keeper):
    """The token that a caller would use who waits for one."""
    try:
        return keeper.fresh()
    except TokenExpiredError as expired:
        await keeper.renew(expired.number)
        return keeper.fresh()


@dataclass
class Scene:
    """A keeper, its endpoint, and its clock."""

    keeper: TokenManager
    tokens: TokenServer
    server: RawServer
    clock: FakeClock
    http: HttpClient
    asked: list = field(default_factory=list)
    """Status and seconds of each request for a token."""

    @property
    def issued_requests(self):
        return len(self.server.requests)

    async def current(self):
        return await current(self.keeper)

    async def quiet(self):
        """Let a renewal in the background come to its end."""
        while self.keeper._renewal or self.keeper._next_renewal:
            await asyncio.wait([t for t in (self.keeper._renewal, self.keeper._next_renewal) if t])


@asynccontextmanager
async def scene(
    *, said=None, url=None, http=None, changes=None, client=(CLIENT_ID, SECRET), **options
):
    clock, tokens = FakeClock(), TokenServer(changes or {}, said)
    async with (
        raw_server(tokens) as server,
        HttpClient(HttpOptions(**{"timeout": 5.0} | (http or {})), clock) as http_client,
    ):
        source = env_source(*client)
        where = URL((url or server.url) + TOKEN_PATH)
        asked = []
        keeper = TokenManager(
            http_client, TokenOptions(url=where, **options), clock, source,
            on_request=lambda *request: asked.append(request),
        )  # fmt: skip
        try:
            yield Scene(keeper, tokens, server, clock, http_client, asked)
        finally:
            await keeper.close()


def bearer(token):
    return token.headers["Authorization"]


async def test_the_request_for_a_token():
    """Basic authentication, a form, and the scopes only where there are some."""
    async with scene(scopes=(READ, WRITE)) as it:
        token = await it.current()
        request = it.server.requests[0]
    assert (request.method, request.target) == ("POST", TOKEN_PATH)
    assert request.headers["authorization"].split()[0] == "Basic"
    assert b64decode(request.headers["authorization"].split()[1]) == b"client-7:secret-7"
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    expected = b"grant_type=client_credentials&scope=messaging:conversation:read%20"
    assert request.body == expected + b"messaging:conversation:write"
    assert (token.number, bearer(token), token.info.scopes) == (1, "Bearer token-1", (READ, WRITE))
    async with scene() as it:
        await it.current()
        assert it.server.requests[0].body == b"grant_type=client_credentials"


async def test_each_request_for_a_token_is_reported():
    """With its status, or why there is no answer; a token that is still good takes none."""
    async with scene() as it:
        for _ in range(3):
            await it.current()
        it.tokens.said = json_answer(503, {})
        with pytest.raises(TokenUnavailableError):
            await it.keeper.verify()
        it.tokens.said = json_answer(401, {"error": "invalid_client"})
        with pytest.raises(CredentialsError):
            await it.keeper.verify()
        assert [status for status, _ in it.asked] == ["200", "503", "401"]
        assert all(seconds >= 0 for _, seconds in it.asked)
    async with scene(url="http://127.0.0.1:9") as it:
        with pytest.raises(TokenUnavailableError):
            await it.current()
        assert [status for status, _ in it.asked] == ["not_sent"]


async def test_scopes_with_signs_of_their_own_arrive_whole():
    """A scope is a value of a form, whatever is in it."""
    async with scene(scopes=("a&b=c", "https://api/x+y", "50%")) as it:
        await it.current()
        fields = parse_qs(it.server.requests[0].body.decode())
    assert fields["scope"] == ["a&b=c https://api/x+y 50%"]


@pytest.mark.parametrize(
    ("name", "secret"), [("a:b", "c"), ("ключ", "тайна"), ("a", "p\udcffq"), ("a", "x" * 300)]
)
async def test_odd_credentials_are_for_the_platform_to_judge(name, secret):
    """Whatever the environment holds is sent; it is no reason to fall over."""
    async with scene(client=(name, secret)) as it:
        await it.current()
        sent = b64decode(it.server.requests[0].headers["authorization"].split()[1])
    assert sent == f"{name}:{secret}".encode(errors="surrogateescape")


async def test_one_renewal_serves_64_callers():
    """At the start, after an expiry, and after a 401 that all of them got."""
    async with scene() as it:
        for number, begin in enumerate(("start", "expiry", "401"), 1):
            if begin == "expiry":
                it.clock.pass_by(600)
            if begin == "401":
                found = await asyncio.gather(*(it.keeper.renew(2) for _ in range(64)))
                assert {authority.token for authority in found} == {3}
            found = await asyncio.gather(*(it.current() for _ in range(64)))
            assert {(token.number, bearer(token)) for token in found} == {
                (number, f"Bearer token-{number}")
            }
            assert it.issued_requests == number


async def test_a_token_is_renewed_in_the_background_before_it_expires():
    """Nobody waits for it: the old token is used while the new one is on its way."""
    async with scene() as it:
        await it.current()
        it.clock.pass_by(539)
        await it.current()
        assert it.issued_requests == 1, "too early"
        it.clock.pass_by(2)
        it.tokens.open.clear()
        assert [(await it.current()).number for _ in range(5)] == [1] * 5
        await it.server.until(2)
        it.tokens.open.set()
        await it.quiet()
        assert ((await it.current()).number, it.issued_requests) == (2, 2)


@pytest.mark.parametrize("life", [3, 10, 60, 600, 86400])
async def test_no_token_is_used_beyond_its_life(life):
    """Some time before its end it is held back, and renewed before that, however short it is."""
    async with scene(changes={"expires_in": life}) as it:
        token = await it.current()
        issued = it.clock.now
        assert issued < token.refresh_at < token.expires_at < issued + life
        it.clock.now = token.expires_at
        assert (await it.current()).number == 2


@pytest.mark.parametrize("expires_in", [None, 0, -5, "600", True, [], {}])
async def test_a_lifetime_that_is_not_known_is_a_short_one(expires_in):
    """A token whose answer does not say how long it lives is taken to live for minutes."""
    async with scene(changes={"expires_in": expires_in}) as it:
        token = await it.current()
        assert token.expires_at - it.clock.now == pytest.approx(DEFAULT_LIFETIME, abs=5)


async def test_a_lifetime_begins_when_the_token_was_requested():
    """An answer that took its time has used up some of the life."""
    async with scene() as it:
        it.tokens.open.clear()
        asking = asyncio.create_task(it.current())
        await it.server.until(1)
        start = it.clock.now
        it.clock.pass_by(4)
        it.tokens.open.set()
        assert (await asking).issued == start


async def test_a_renewal_in_the_background_that_fails_is_not_repeated_with_every_request():
    """While the old token lives, a failing endpoint is asked about once a second, not each time."""
    async with scene() as it:
        await it.current()
        it.tokens.said = answer(500)
        it.clock.pass_by(550)
        for _ in range(20):
            assert (await it.current()).number == 1
            await it.quiet()
        assert it.issued_requests == 2
        it.clock.pass_by(1)
        await it.current()
        await it.quiet()
        assert it.issued_requests == 3
        it.clock.pass_by(50)
        with pytest.raises(TokenUnavailableError):
            await it.current()
        it.tokens.said = None
        assert (await it.current()).number == 2


async def test_renew_takes_what_is_there_already():
    """A late 401 of an older token costs no renewal."""
    async with scene() as it:
        await it.current()
        assert (await it.keeper.renew(0)).token == 1
        assert (await it.keeper.renew(1)).token == 2
        assert (await it.keeper.renew(1)).token == 2
        assert it.issued_requests == 2


async def test_renew_shares_a_renewal_that_is_under_way():
    """One that began before the 401 was heard gives a higher number too."""
    async with scene() as it:
        await it.current()
        it.clock.pass_by(550)
        it.tokens.open.clear()
        await it.current()
        await it.server.until(2)
        both = asyncio.gather(it.keeper.renew(1), it.keeper.renew(1))
        await asyncio.sleep(0)
        it.tokens.open.set()
        assert ([authority.token for authority in await both], it.issued_requests) == ([2, 2], 2)


async def test_a_token_that_was_refused_is_not_used_while_it_is_replaced():
    """After a 401 everybody waits for the new token."""
    async with scene() as it:
        await it.current()
        it.tokens.open.clear()
        renewing = asyncio.create_task(it.keeper.renew(1))
        await it.server.until(2)
        asking = asyncio.create_task(it.current())
        await asyncio.sleep(0)
        assert not asking.done()
        it.tokens.open.set()
        assert ((await asking).number, (await renewing).token, it.issued_requests) == (2, 2, 2)


async def test_verify_always_asks_again():
    """What an older token says proves nothing: also with one that was issued a moment ago."""
    async with scene() as it:
        await it.current()
        assert [(await it.keeper.verify()).token for _ in range(3)] == [2, 3, 4]
        assert ((await it.current()).number, it.issued_requests) == (4, 4)


async def test_verify_during_a_renewal_waits_for_the_one_after_it():
    """The renewal under way may have been answered before the scope was taken away."""
    async with scene(write_any_of=(WRITE, OTHER_WRITE)) as it:
        it.tokens.open.clear()
        first = asyncio.create_task(it.current())
        await it.server.until(1)
        verifying = [asyncio.create_task(it.keeper.verify()) for _ in range(8)]
        await asyncio.sleep(0)
        it.tokens.open.set()
        assert (await first).number == 1
        it.tokens.changes = {"scope": READ}
        found = await asyncio.gather(*verifying)
    assert {(authority.token, authority.missing_names) for authority in found} == {
        (2, (f"{WRITE} or {OTHER_WRITE}",))
    }
    assert it.issued_requests == 2


async def test_verify_after_a_renewal_that_fails_still_asks():
    """The one before it does not matter, not even its error."""
    async with scene() as it:
        it.tokens.open.clear()
        it.tokens.said = answer(500)
        first = asyncio.create_task(it.current())
        await it.server.until(1)
        verifying = asyncio.create_task(it.keeper.verify())
        await asyncio.sleep(0)
        it.tokens.open.set()
        with pytest.raises(TokenUnavailableError):
            await first
        it.tokens.said = None
        assert (await verifying).token == 1


@pytest.mark.parametrize(
    ("scope", "missing"),
    [
        (f"{READ} {WRITE}", ()),
        (f"{OTHER_WRITE} {READ} more", ()),
        (READ, (f"{WRITE} or {OTHER_WRITE}",)),
        (WRITE, (READ,)),
        ("", (READ, f"{WRITE} or {OTHER_WRITE}")),
        (None, (READ, f"{WRITE} or {OTHER_WRITE}")),
        (f"{WRITE}-not", (READ, f"{WRITE} or {OTHER_WRITE}")),
    ],
)
async def test_what_was_granted_is_held_against_what_is_needed(scope, missing):
    """Either name of the write scope will do; less than what was requested is reported."""
    needs = {"write_any_of": (WRITE, OTHER_WRITE), "read_any_of": (READ,)}
    async with scene(changes={"scope": scope}, scopes=(READ, WRITE), **needs) as it:
        authority = await it.keeper.verify()
    assert (authority.missing_names, authority.granted) == (missing, tuple((scope or "").split()))


async def test_what_is_not_judged_is_not_missing():
    """Without names of scopes in the settings, none is needed."""
    async with scene(changes={"scope": ""}) as it:
        assert (await it.keeper.verify()).missing_names == ()


REFUSALS = {
    "invalid_client": json_answer(401, {"error": "invalid_client"}),
    "invalid_grant": json_answer(400, {"error": "invalid_grant"}),
    "the platform's 403": json_answer(403, {"message": "no", "code": "forbidden"}),
    "an error with control characters": json_answer(401, {"error": "a\x1b[31m\nb"}),
    "an error of another type": json_answer(401, {"error": {"nested": 1}}),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_refused_credentials_name_the_variables_and_show_no_secret(name):
    """The message says what to do, in one line; the next caller may find them mended."""
    async with scene(said=REFUSALS[name]) as it:
        found = await asyncio.gather(
            it.current(), it.keeper.renew(0), it.keeper.verify(), return_exceptions=True
        )
        assert {type(error) for error in found} == {CredentialsError}
        message = str(found[0])
        assert "DISPATCHER_CLIENT_ID and DISPATCHER_CLIENT_SECRET" in message
        assert message.isprintable()
        assert ("invalid_client" in message) == (name == "invalid_client")
        assert_no_secret(*map(repr, found), *(repr(e.__cause__ or e.__context__) for e in found))
        it.tokens.said = None
        assert (await it.current()).number == 1


UNAVAILABLE = {
    "500": json_answer(500, {"message": "broken"}),
    "429": json_answer(429, {"error": "slow down"}, Retry_After="5"),
    "503 in HTML": answer(503, b"<html>"),
    "200 in HTML": answer(200, b"<html>", Content_Type="text/html"),
    "a login page of something in between": answer(401, b"<html>"),
    "403 of something in between": answer(403, b"<html>"),
    "a redirect": answer(302, Location="http://127.0.0.1:1/"),
    "no token": json_answer(200, {"expires_in": 5}),
    "an empty token": json_answer(200, {"access_token": ""}),
    "a token of another type": json_answer(200, {"access_token": 7}),
    "a token that would break the headers": json_answer(200, {"access_token": "a\r\nX: y"}),
    "a token that is no ASCII": json_answer(200, {"access_token": "tökén"}),
    "a list": json_answer(200, [1]),
    "201": json_answer(201, GRANTED | {"access_token": "token-9"}),
    "a cut body": answer(200, b'{"access_', length=50) + b"",
}


@pytest.mark.parametrize("name", UNAVAILABLE)
async def test_no_token_just_now(name):
    """What does not look like the platform's own refusal is no reason to doubt the credentials."""
    async with scene(said=UNAVAILABLE[name], http={"timeout": 0.3}) as it:
        with pytest.raises(TokenUnavailableError) as caught:
            await it.current()
        assert it.issued_requests == 1
        assert_no_secret(repr(caught.value), str(caught.value))


@pytest.mark.parametrize("how", ["refused", "dns"])
async def test_no_token_without_a_connection(how):
    """The message names the host."""
    async with tcp_server(lambda *_: asyncio.sleep(0)) as port:
        pass
    url = "http://platform.invalid" if how == "dns" else f"http://127.0.0.1:{port}"
    async with scene(url=url) as it:
        with pytest.raises(TokenUnavailableError, match=r"platform\.invalid|127\.0\.0\.1"):
            await it.current()


async def test_a_failed_renewal_fails_for_all_who_wait_and_is_not_repeated():
    """64 callers, one request, 64 errors."""
    async with scene(said=answer(500)) as it:
        found = await asyncio.gather(*(it.current() for _ in range(64)), return_exceptions=True)
        assert ({type(error) for error in found}, it.issued_requests) == (
            {TokenUnavailableError},
            1,
        )


async def test_a_waiter_that_is_cancelled_takes_nobody_along():
    """The renewal goes on for the others, and also when nobody waits any more."""
    async with scene() as it:
        it.tokens.open.clear()
        waiters = [asyncio.create_task(it.current()) for _ in range(3)]
        await it.server.until(1)
        waiters[0].cancel()
        await asyncio.wait(waiters[:1])
        assert waiters[0].cancelled()
        it.tokens.open.set()
        assert [(await waiter).number for waiter in waiters[1:]] == [1, 1]
        it.tokens.open.clear()
        verifying = asyncio.create_task(it.keeper.verify())
        await it.server.until(2)
        verifying.cancel()
        await asyncio.wait([verifying])
        it.tokens.open.set()
        await it.quiet()
        assert ((await it.current()).number, it.issued_requests) == (2, 2)


@pytest.mark.parametrize("waiting", [False, True])
@pytest.mark.parametrize("begun", [False, True])
async def test_close_ends_renewals_that_are_under_way(begun, waiting):
    """No task is left, and nothing is heard of an exception that nobody fetched."""
    unheard = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
    async with scene() as it:
        it.tokens.open.clear()
        callers = [asyncio.create_task(it.current())]
        if begun:
            await it.server.until(1)
        if waiting:
            callers.append(asyncio.create_task(it.keeper.verify()))
        await asyncio.sleep(0)
        await asyncio.wait_for(it.keeper.close(), 5)
        await asyncio.wait(callers, timeout=5)
        assert all(caller.done() for caller in callers)
        it.tokens.open.set()
    gc.collect()
    assert not unheard
    ours = asyncio.current_task()
    assert not [t for t in asyncio.all_tasks() if t is not ours and "_turn" in repr(t)]


async def test_close_without_a_renewal_does_nothing():
    """Neither before the first one nor twice."""
    async with scene() as it:
        await it.keeper.close()
        await it.keeper.close()
        assert it.issued_requests == 0


async def test_a_failed_renewal_that_nobody_waits_for_warns_of_nothing():
    """Its exception counts as fetched."""
    unheard = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
    async with scene() as it:
        await it.current()
        it.tokens.said = REFUSALS["invalid_client"]
        it.clock.pass_by(550)
        await it.current()
        await it.quiet()
        waiter = asyncio.create_task(it.keeper.verify())
        await asyncio.sleep(0)
        waiter.cancel()
        await asyncio.wait([waiter])
        await it.quiet()
    del waiter
    gc.collect()
    assert not unheard


async def test_an_early_401_is_followed_by_a_renewal_of_that_very_token():
    """The number that a reply carries is the one to renew; its age is the token's at the send."""

    async def handler(request, peer):
        if request.target == TOKEN_PATH:
            await it.tokens(request, peer)
        elif request.headers["authorization"] == "Bearer token-1":
            await peer.say(json_answer(401, {"message": "no", "code": "unauthorized"}))
        else:
            await peer.say(json_answer(200, {"id": "c-1", "state": "active"}))

    async with scene() as it, raw_server(handler) as server:
        keeper = TokenManager(
            it.http,
            TokenOptions(URL(server.url + TOKEN_PATH)),
            it.clock,
            env_source(),
        )
        platform = MessagingPlatform(it.http, keeper, server.url, it.clock)
        await current(keeper)
        it.clock.pass_by(7)
        replies = await asyncio.gather(*(platform.check("c-1") for _ in range(16)))
        assert {reply.result.status for reply in replies} == {401}
        assert {(reply.token.number, reply.token.age) for reply in replies} == {(1, 7.0)}
        renewed = await asyncio.gather(*(platform.renew(reply.token.number) for reply in replies))
        assert {authority.token for authority in renewed} == {2}
        reply = await platform.check("c-1")
        assert (reply.result.status, reply.token.number, reply.token.age) == (200, 2, 0.0)
        tokens = [request for request in server.requests if request.target == TOKEN_PATH]
        assert (len(tokens), str(Step.CHECK)) == (2, "check")
        await keeper.close()


def assert_no_secret(*texts):
    encoded = "Y2xpZW50LTc6c2VjcmV0LTc="
    for text in texts:
        assert SECRET not in text
        assert encoded not in text
        assert "token-1" not in text


async def test_no_repr_and_no_log_tells_a_secret_or_a_token(caplog):
    """Not of any object that holds one, and not at the level of debugging."""
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(True)
    options = TokenOptions(URL("http://127.0.0.1:1"))
    held = env_source(), ClientCredentials(CLIENT_ID, SECRET), BearerToken(SECRET)
    async with scene(http={"proxy": None}) as it:
        token = await it.current()
        platform = MessagingPlatform(it.http, it.keeper, it.server.url, it.clock)
        it.tokens.changes = {"id": "c-1", "state": "active"}
        reply = await platform.check("c-1")
        authority = await it.keeper.verify()
        exchange, _ = await it.http.request(
            it.http.origin(URL(it.server.url)), "POST", "/", token.headers
        )
        shown = [*held, options, token, reply, authority, exchange, platform, it.keeper, it.http]
        it.tokens.said = REFUSALS["invalid_client"]
        with pytest.raises(CredentialsError) as caught:
            await it.keeper.verify()
        tasks = [repr(task) for task in asyncio.all_tasks()]
    assert_no_secret(*map(repr, shown), *map(str, shown), repr(caught.value), caplog.text, *tasks)
    assert CLIENT_ID not in repr(held)
