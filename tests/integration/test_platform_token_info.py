"""A new token is asked once what it grants; not knowing is no reason to claim anything missing."""

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from yarl import URL

from dispatcher.credentials.env import EnvCredentialSource
from dispatcher.platforms.genesys.permissions import SCOPES, SEND
from dispatcher.platforms.genesys.token_info import PATH, TokenInfoReader
from dispatcher.platforms.http import HttpClient, HttpOptions
from dispatcher.platforms.missing_grants import GENESYS_PAGES
from dispatcher.platforms.token import TokenManager, TokenOptions
from tests.support.rawserver import FakeClock, answer, json_answer, raw_server

GOOD = {
    "authorizedScope": ["conversations"],
    "OAuthClient": {"roleDivisions": [{"roleId": "r", "divisionId": "d"}]},
}


class Login:
    """Issues ``token-1``, ``token-2``, ... and reports of each what the test sets."""

    def __init__(self):
        self.issued = 0
        self.said: bytes | None = json_answer(200, GOOD)

    async def __call__(self, request, peer):
        if request.target == PATH:
            await (peer.gone() if self.said is None else peer.say(self.said))
            return
        self.issued += 1
        await peer.say(json_answer(200, {"access_token": f"token-{self.issued}"}))


@asynccontextmanager
async def scene(**http):
    """A keeper that asks tokens/me, and its endpoint."""
    clock, login = FakeClock(), Login()
    async with (
        raw_server(login) as server,
        HttpClient(HttpOptions(**{"timeout": 5.0} | http), clock) as client,
    ):
        options = TokenOptions(
            url=URL(server.url + "/oauth/token"),
            write_any_of=SCOPES,
            permissions=(SEND,),
            pages=GENESYS_PAGES,
        )
        variables = {"DISPATCHER_CLIENT_ID": "client-7", "DISPATCHER_CLIENT_SECRET": "secret-7"}
        inspect = TokenInfoReader(client, server.url)
        keeper = TokenManager(client, options, clock, EnvCredentialSource(variables), inspect)
        try:
            yield SimpleNamespace(keeper=keeper, login=login, server=server)
        finally:
            await keeper.close()


def questions(it):
    return [request for request in it.server.requests if request.target == PATH]


async def test_every_token_is_inspected_once_with_its_own_headers():
    """However many wait for it; a caller that finds it made asks nothing."""
    async with scene() as it:
        found = await asyncio.gather(*(it.keeper.renew(0) for _ in range(6)))
        assert {authority.token for authority in found} == {1}
        it.keeper.fresh()
        await it.keeper.renew(0)
        assert (await it.keeper.verify()).token == 2
        requests = questions(it)
    assert [request.method for request in requests] == ["GET", "GET"]
    assert [request.headers["authorization"] for request in requests] == [
        "Bearer token-1",
        "Bearer token-2",
    ]


async def test_what_it_tells_decides_and_not_the_answer_that_issued_the_token():
    """That one has no scopes in this dialect; a scope that goes away shows at the next token."""
    async with scene() as it:
        first = await it.keeper.renew(0)
        assert (first.granted, first.missing_names) == (("conversations",), ())
        assert first.required == ("scope conversations or messaging", f"permission {SEND}")
        it.login.said = json_answer(200, GOOD | {"authorizedScope": ["analytics"]})
        second = await it.keeper.verify()
        assert (second.token, second.missing_names) == (2, ("conversations or messaging",))
        assert (await it.keeper.renew(1)).missing_names == second.missing_names


@pytest.mark.parametrize(
    "said",
    [
        answer(500),
        answer(503),
        answer(200, b"<html>"),
        answer(429),
        json_answer(404, {}),
        b"junk\r\n\r\n",
    ],
    ids=["500", "503", "a page", "429", "404", "no HTTP"],
)
async def test_a_passing_fault_neither_fails_the_renewal_nor_claims_anything(said):
    """The token is as good as it was; what it grants is not known."""
    async with scene() as it:
        it.login.said = said
        authority = await it.keeper.renew(0)
        assert (authority.token, authority.missing_names, authority.scopes_known) == (1, (), False)
        assert "could not be read" in authority.about
        assert it.keeper.fresh().number == 1


async def test_no_answer_is_a_passing_fault():
    """It costs the renewal the time limit of a request, and no more."""
    async with scene(timeout=0.2) as it:
        it.login.said = None
        authority = await it.keeper.renew(0)
    assert (authority.missing_names, authority.scopes_known) == ((), False)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refusal_of_the_request_is_reported(status):
    """With its status; nothing is claimed missing for it."""
    async with scene() as it:
        it.login.said = json_answer(status, {"message": "no", "code": "x"})
        authority = await it.keeper.renew(0)
    assert (authority.missing_names, authority.scopes_known) == ((), False)
    assert str(status) in authority.about
    assert PATH in authority.about
