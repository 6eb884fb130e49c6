"""Every request of the `genesys` dialect has a permit, also those that the engine does not make."""

import time
from contextlib import asynccontextmanager

import pytest
from yarl import URL

from dispatcher.credentials.env import EnvCredentialSource
from dispatcher.domain.contact import Contact
from dispatcher.domain.decision import Open
from dispatcher.domain.status import Step
from dispatcher.engine.clock import SystemClock
from dispatcher.pacing.pacer import QuotaPacer
from dispatcher.platforms.genesys import requests
from dispatcher.platforms.genesys.platform import GenesysOptions, GenesysPlatform
from dispatcher.platforms.http import HttpClient, HttpOptions
from dispatcher.platforms.token import TokenManager, TokenOptions
from dispatcher.ports import LookBackQuery
from dispatcher.sandbox.scenario.scenario import load
from dispatcher.sandbox.server import Sandbox

CONTACTS = 20
QUOTA = 10_000
"""More than a test asks for: what is counted does not depend on the machine's speed."""
SCENARIO = {
    "dialect": "genesys",
    "rate": {"allowed": QUOTA, "window_seconds": 60.0},
    "world": {"shares": {"ended": 1}},
    "analytics": {"lag_seconds": 0.0},
}
VARIABLES = {
    "DISPATCHER_CLIENT_ID": "sandbox-client",
    "DISPATCHER_CLIENT_SECRET": "sandbox-secret",
}


class CountingPacer(QuotaPacer):
    """Counts the permits that were granted and not released, and the requests that used them."""

    used = 0
    readings = 0

    def _grant(self, now):
        permit = super()._grant(now)
        self.used += permit is not None
        return permit

    def take_back(self):
        self.used -= 1
        super().take_back()

    def record(self, number, granted, reading):
        self.readings += 1
        super().record(number, granted, reading)


class Org:
    """The adapter with a pacer, before a sandbox."""

    def __init__(self, platform, pacer, sandbox):
        self.platform, self.pacer, self.sandbox = platform, pacer, sandbox

    async def call(self, step, make):
        """Make a request as the engine does."""
        permit = await self.pacer.acquire(step)
        reply = await make(self.platform)
        permit.complete(reply.reading)
        return reply.result

    def open(self, number):
        contact = Contact(f"k-{number}", f"c-{number}", "Hello")
        decision = Open(None, f"x-{number}", f"c-{number}")
        return self.call(Step.OPEN, lambda platform: platform.open(contact, decision))

    @property
    def requests(self):
        windows = self.sandbox.counts()["windows"]
        return sum(window["accepted"] + window["refused"] for window in windows)

    def answered(self, endpoint):
        return sum(self.sandbox.counts()["answers"].get(endpoint, {}).values())


@asynccontextmanager
async def org(lineage="none"):
    clock, lost = SystemClock(), []
    pacer = CountingPacer(QUOTA, 60.0, clock)
    async with (
        Sandbox(load(SCENARIO)) as sandbox,
        HttpClient(HttpOptions(timeout=5.0), clock) as http,
    ):
        options = TokenOptions(URL(sandbox.url + requests.TOKEN_PATH))
        tokens = TokenManager(http, options, clock, EnvCredentialSource(VARIABLES))
        platform = GenesysPlatform(
            http,
            tokens,
            GenesysOptions(
                sandbox.url,
                requests.Sender("deployment-1"),
                lineage,
                lambda *reason: lost.append(reason),
                pacer,
            ),
            clock,
        )
        try:
            await platform.renew(0)
            yield Org(platform, pacer, sandbox)
        finally:
            await platform.close()
            await tokens.close()
            assert pacer.used == pacer.readings
            assert not lost


async def test_the_threading_timeline_takes_a_permit():
    async with org() as it:
        assert it.answered("timeline") == 1
        assert it.pacer.used == it.requests == 1


@pytest.mark.parametrize(("lineage", "requests_per_send"), [("external-tag", 1), ("attributes", 2)])
async def test_each_request_of_lineage_takes_a_permit(lineage, requests_per_send):
    async with org(lineage) as it:
        for number in range(CONTACTS):
            await it.open(number)
        await it.platform.close()
        written = it.answered("tags") + it.answered("attributes")
        assert written == CONTACTS
        assert it.pacer.used == it.requests == 1 + CONTACTS * (1 + requests_per_send)


async def test_each_request_of_a_look_back_takes_a_permit():
    async with org() as it:
        since = time.time() - 60
        for number in range(CONTACTS):
            await it.open(number)
        queries = [
            LookBackQuery(f"c-{number}", since, continued=True, external_contact_id=f"x-{number}")
            for number in range(CONTACTS)
        ]
        answer = await it.call(Step.LOOK_BACK, lambda platform: platform.look_back(queries))
        assert len(answer.past_conversations) >= CONTACTS
        assert it.answered("check") >= CONTACTS
        assert it.pacer.used == it.requests
