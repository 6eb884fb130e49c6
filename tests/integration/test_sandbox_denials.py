"""The sandbox's 403s that name what is missing, over real sockets."""

import asyncio

import pytest

from dispatcher.domain.answer import GrantKind
from dispatcher.platforms.missing_grants import missing_kind, missing_names
from tests.integration.test_sandbox_server import client


@pytest.mark.parametrize("lack", ["scope", "permission", "division"])
async def test_a_denial_names_what_is_missing_until_it_is_lifted(lack):
    """Every send is refused with it, also with old tokens; checks go on."""
    async with client() as c:
        await c.control("POST", "/denial", {"lack": lack})
        for status, body in (await c.notify("active-1"), await c.open("ended-1")):
            assert (status, missing_kind(body)) == (403, GrantKind(lack))
            assert missing_names(body)
        assert (await c.check("active-1"))[0] == 200
        causes = c.sandbox.counts()["causes"]
        assert causes == {f"{lack}_forbidden": {"notify": 1, "open": 1}}
        await c.control("POST", "/denial", {"lack": "no"})
        assert (await c.notify("active-1"))[0] == 202


async def test_what_is_missing_can_be_named_for_single_contacts_from_the_start():
    """The others are let in; without the setting the refusal names nothing."""
    async with client({"token": {"contact_denial": "division"}}) as c:
        status, body = await c.open("forbidden-1")
        assert (status, missing_kind(body)) == (403, GrantKind.DIVISION)
        assert (await c.open("ended-1"))[0] == 201
    async with client() as c:
        assert missing_kind((await c.open("forbidden-1"))[1]) is None
    async with client({"token": {"deny": "permission"}}) as c:
        assert missing_kind((await c.open("ended-1"))[1]) is GrantKind.PERMISSION


async def test_events_deny_and_allow():
    """By the number of messages that took effect, as scopes go and come."""
    deny = {"action": "deny", "lack": "permission", "after_effects": 1}
    allow = {"action": "allow", "after_effects": 1, "delay_seconds": 1.0}
    async with client({"event": [deny, allow]}) as c:
        assert (await c.notify("active-1"))[0] == 202
        assert missing_kind((await c.notify("active-2"))[1]) is GrantKind.PERMISSION
        await asyncio.sleep(1.1)
        assert (await c.notify("active-2"))[0] == 202
