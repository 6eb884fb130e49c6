"""Two clients with 300 requests a minute counted, against the platform's own fixed windows."""

import asyncio
import random
from dataclasses import replace

import pytest

from dispatcher.domain.status import Step
from tests.support.engine import contacts
from tests.support.pool import PoolFixture
from tests.support.quota import FixedWindow
from tests.support.scripted import GOOD, ScriptedPlatform, throttled
from tests.support.virtual import in_virtual_time

QUOTA, WINDOW = 300, 60.0
WINDOWS = 5
PEOPLE = 2000


class Metered(ScriptedPlatform):
    """A platform that counts in fixed windows and has its count in each answer."""

    def __init__(self, seed, *, headers):
        super().__init__(self._answer)
        self._dice = random.Random(seed)
        self._window = FixedWindow(QUOTA, WINDOW, self._dice.random() * WINDOW)
        self._headers = headers
        self._reading = None
        self.refused = 0
        self.by_window = {}

    def _answer(self, request):
        taken, self._reading = self._window.request(request.at)
        self.refused += not taken
        index = self._window.index
        self.by_window[index] = self.by_window.get(index, 0) + taken
        return GOOD[request.step] if taken else throttled(self._reading.reset)

    async def _end(self, request, result):
        reading = self._reading
        self.latency = self._dice.uniform(0.01, 0.2)
        reply = await super()._end(request, result)
        return replace(reply, reading=reading if self._headers else None)

    def used(self):
        """Share of the quota that was used in windows that the run filled from end to end."""
        indexes = sorted(self.by_window)[1:-1]
        return sum(self.by_window[index] for index in indexes) / (QUOTA * len(indexes))


@pytest.mark.parametrize("headers", [True, False])
@in_virtual_time
async def test_two_quotas_are_used_as_one_and_none_of_it_is_wasted(headers):
    """At least 97% of 600 a minute together, and at most one 429 in a thousand requests."""
    platforms = {name: Metered(seed, headers=headers) for seed, name in enumerate(("one", "other"))}
    engine = PoolFixture(quotas=dict.fromkeys(platforms, QUOTA), platforms=platforms)
    running = asyncio.create_task(engine.pipeline(contacts(PEOPLE), workers=64).run())
    await asyncio.sleep((WINDOWS + 1) * WINDOW)
    running.cancel()
    await asyncio.wait([running])
    counted = platforms.values()
    assert sum(platform.used() for platform in counted) / 2 >= 0.97
    made = sum(len(platform.requests) for platform in counted)
    assert sum(platform.refused for platform in counted) <= made / 1000
    assert {request.step for platform in counted for request in platform.requests} == {
        Step.CHECK,
        Step.OPEN,
    }
