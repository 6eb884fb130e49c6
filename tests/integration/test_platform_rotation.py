"""Credentials that change while the dispatcher runs, as the platform's token endpoint sees it."""

import asyncio
import math
from base64 import b64decode
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from yarl import URL

from dispatcher.platforms.http import HttpClient, HttpOptions
from dispatcher.platforms.messaging import TOKEN_PATH
from dispatcher.platforms.token import TokenManager, TokenOptions
from dispatcher.ports import (
    BearerToken,
    ClientCredentials,
    CredentialsError,
    CredentialsUnavailableError,
    TokenExpiredError,
)
from tests.support.rawserver import FakeClock, json_answer, raw_server

WRITE = "conversations:messaging:write"
OLD, NEW = (ClientCredentials("id", secret, "the safe") for secret in ("old", "new"))
SEALED = CredentialsUnavailableError("the safe is sealed")


@dataclass
class Safe:
    """A source that holds one thing now, and counts its calls."""

    holds: object
    cached: object = None
    calls: list = field(default_factory=list)

    async def get(self):
        self.calls.append("get")
        return self._return(self.cached or self.holds)

    async def refresh(self, refused):
        self.calls.append("again")
        return self._return(self.holds)

    def _return(self, what):
        if isinstance(what, Exception):
            raise what
        return what


@dataclass
class Scene:
    keeper: TokenManager
    safe: Safe
    clock: FakeClock
    accepted: str = "old"
    secrets: list = field(default_factory=list)

    async def handler(self, request, peer):
        pair = b64decode(request.headers["authorization"].split()[1]).decode()
        self.secrets.append(pair.partition(":")[2])
        if self.secrets[-1] != self.accepted:
            await peer.say(json_answer(401, {"error": "invalid_client"}))
            return
        body = {"access_token": f"t-{len(self.secrets)}", "expires_in": 600, "scope": WRITE}
        await peer.say(json_answer(200, body))

    async def quiet(self):
        """Let a renewal in the background come to its end."""
        while tasks := [t for t in (self.keeper._renewal, self.keeper._next_renewal) if t]:
            await asyncio.wait(tasks)

    def carried(self):
        return self.keeper.fresh().headers["Authorization"].removeprefix("Bearer ")


@asynccontextmanager
async def scene(holds, **safe):
    clock = FakeClock()
    kept = Safe(holds, **safe)
    it = Scene(None, kept, clock)
    async with (
        raw_server(it.handler) as server,
        HttpClient(HttpOptions(timeout=5.0), clock) as http,
    ):
        options = TokenOptions(URL(server.url + TOKEN_PATH), write_any_of=(WRITE,))
        it.keeper = TokenManager(http, options, clock, kept)
        try:
            yield it
        finally:
            await it.keeper.close()


async def test_a_refused_secret_is_read_again_once_and_what_is_new_is_used():
    """The caller notices nothing."""
    async with scene(NEW, cached=OLD) as it:
        it.accepted = "new"
        assert (await it.keeper.renew(0)).token == 1
        assert (it.secrets, it.safe.calls) == (["old", "new"], ["get", "again"])


async def test_nothing_new_is_refused_credentials_and_says_where_they_are_kept():
    """The next one to ask may find them mended."""
    async with scene(OLD) as it:
        it.accepted = "new"
        with pytest.raises(CredentialsError, match=r"401 invalid_client.*check the safe"):
            await it.keeper.renew(0)
        assert (it.secrets, it.safe.calls) == (["old"], ["get", "again"])
        it.safe.holds = NEW
        assert (await it.keeper.verify()).token == 1


async def test_something_new_that_is_refused_too():
    """It is asked once, not in a loop."""
    async with scene(NEW, cached=OLD) as it:
        it.accepted = "newest"
        with pytest.raises(CredentialsError):
            await it.keeper.renew(0)
        assert it.secrets == ["old", "new"]


@pytest.mark.parametrize("cached", [None, OLD])
async def test_a_source_that_does_not_answer_is_a_passing_fault(cached):
    """At the first question, and at the second; the message has its own words."""
    async with scene(SEALED, cached=cached) as it:
        it.accepted = "new"
        with pytest.raises(CredentialsUnavailableError, match="sealed"):
            await it.keeper.renew(0)
        it.safe.holds, it.safe.cached = NEW, None
        assert (await it.keeper.renew(0)).token == 1


async def test_a_token_in_use_outlives_a_source_that_does_not_answer():
    """It is renewed once the source answers again."""
    async with scene(OLD) as it:
        await it.keeper.renew(0)
        it.safe.holds = SEALED
        it.clock.pass_by(580)
        assert it.carried() == "t-1"
        await it.quiet()
        assert it.carried() == "t-1"
        it.safe.holds = OLD
        it.clock.pass_by(2)
        it.carried()
        await it.quiet()
        assert it.carried() == "t-2"


def bearer(value, scopes=(WRITE,), expires_at=None):
    return BearerToken(value, scopes, expires_at, "the safe")


async def test_a_bearer_token_is_used_as_it_is_and_its_scopes_are_checked():
    """The token endpoint is never asked; without any knowledge nothing is said to be missing."""
    async with scene(bearer("b-1")) as it:
        assert (await it.keeper.renew(0)).missing_names == ()
        assert it.carried() == "b-1"
        it.safe.holds = bearer("b-1", scopes=("read",))
        assert (await it.keeper.verify()).missing_names == (WRITE,)
        it.safe.holds = bearer("b-1", scopes=None)
        assert (await it.keeper.verify()).missing_names == ()
        assert it.secrets == []


async def test_a_bearer_token_keeps_its_number_and_age_until_another_one_is_there():
    """It is looked for about once a minute, without anybody waiting for it."""
    async with scene(bearer("b-1")) as it:
        await it.keeper.renew(0)
        first = it.keeper.fresh()
        for value, number, since in (("b-1", 1, 0), ("b-2", 2, 122)):
            it.safe.holds = bearer(value)
            it.clock.pass_by(61)
            it.carried()
            await it.quiet()
            token = it.keeper.fresh()
            assert (it.carried(), token.number, token.issued - first.issued) == (
                value, number, since,
            )  # fmt: skip


async def test_a_refused_bearer_token_is_replaced_by_the_next_one_only():
    """Until another one is there the credentials count as refused; each probe looks again."""
    async with scene(bearer("b-1")) as it:
        await it.keeper.renew(0)
        for _ in range(2):
            with pytest.raises(CredentialsError, match="refused the token of the safe"):
                await it.keeper.renew(1)
        with pytest.raises(TokenExpiredError):
            it.keeper.fresh()
        it.safe.holds = bearer("b-2")
        assert ((await it.keeper.verify()).token, it.carried()) == (2, "b-2")


async def test_a_bearer_token_that_was_refused_wrongly_is_tried_again_after_a_minute():
    """Something in between may have answered."""
    async with scene(bearer("b-1")) as it:
        await it.keeper.renew(0)
        with pytest.raises(CredentialsError):
            await it.keeper.renew(1)
        it.clock.pass_by(61)
        assert ((await it.keeper.verify()).token, it.carried()) == (1, "b-1")


async def test_many_refusals_of_one_bearer_token_are_one_question():
    """Thirty-two callers, one look."""
    async with scene(bearer("b-1")) as it:
        await it.keeper.renew(0)
        it.safe.holds, it.safe.cached = bearer("b-2"), bearer("b-1")
        renewed = await asyncio.gather(*(it.keeper.renew(1) for _ in range(32)))
        assert {authority.token for authority in renewed} == {2}
        assert it.safe.calls == ["get", "get", "again"]


async def test_a_bearer_token_ends_when_it_says_so():
    """Before its end it is looked for the next one; an old one is not used any more."""
    async with scene(None) as it:
        it.safe.holds = bearer("b-1", expires_at=it.clock.epoch + 100)
        await it.keeper.renew(0)
        it.clock.pass_by(61)
        it.carried()
        await it.quiet()
        assert it.safe.calls == ["get", "get"]
        it.clock.pass_by(40)
        with pytest.raises(TokenExpiredError):
            it.keeper.fresh()
        with pytest.raises(CredentialsError, match="the safe has expired"):
            await it.keeper.renew(1)
        it.safe.holds = bearer("b-1", expires_at=it.clock.epoch + 100)
        assert ((await it.keeper.renew(1)).token, it.carried()) == (1, "b-1")


async def test_a_client_in_the_place_of_a_token_and_back():
    """Numbers rise all the same, so that nobody takes an old token for a new one."""
    async with scene(bearer("b-1")) as it:
        numbers = [(await it.keeper.renew(0)).token]
        for holds in (OLD, bearer("b-1"), OLD):
            it.safe.holds = holds
            numbers.append((await it.keeper.verify()).token)
        assert numbers == [1, 2, 3, 4]
        assert it.keeper.fresh().expires_at < math.inf
