"""Two clients with 300 requests a minute each, against the platform's own fixed windows.

The whole pipeline in virtual time: what it uses of a quota does not depend on the machine.
"""

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

QUOTA, MINUTE = 300, 60.0
MINUTES = 3
PEOPLE = 1400


class Metered(ScriptedPlatform):
    """A platform that counts in fixed windows and reports its count in every answer."""

    def __init__(self, seed, window, *, headers):
        super().__init__(self._answer)
        self._dice = random.Random(seed)
        self.quota = QUOTA * window / MINUTE
        self._window = FixedWindow(self.quota, window, self._dice.random() * window)
        self._headers = headers
        self._reading = None
        self.refused = self.skipped = 0
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
        indexes = [index for index in sorted(self.by_window)[1:-1] if index >= self.skipped]
        return sum(self.by_window[index] for index in indexes) / (self.quota * len(indexes))


@pytest.mark.parametrize(
    ("headers", "window", "to_learn"),
    [(True, MINUTE, 0), (False, MINUTE, 0), (True, 6.0, 6)],
    ids=["headers", "no headers", "window learnt"],
)
@in_virtual_time
async def test_two_quotas_are_used_as_one_and_none_of_it_is_wasted(headers, window, to_learn):
    """At least 98% of 600 a minute together, and at most one 429 in ten thousand requests."""
    platforms = {
        name: Metered(seed, window, headers=headers) for seed, name in enumerate(("one", "other"))
    }
    engine = PoolFixture(quotas=dict.fromkeys(platforms, QUOTA), platforms=platforms)
    running = asyncio.create_task(engine.pipeline(contacts(PEOPLE), workers=64).run())
    await asyncio.sleep((MINUTES + 1) * MINUTE)
    running.cancel()
    await asyncio.wait([running])
    clients = platforms.values()
    for platform in clients:
        platform.skipped = to_learn
    assert sum(platform.used() for platform in clients) / 2 >= 0.98
    made = sum(len(platform.requests) for platform in clients)
    assert sum(platform.refused for platform in clients) <= made / 10_000
    assert {request.step for platform in clients for request in platform.requests} == {
        Step.CHECK,
        Step.OPEN,
    }
