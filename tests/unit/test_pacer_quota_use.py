"""What a pacer says of the quota: by whole windows, by whom, and true when nobody sends."""

import asyncio
import random

import pytest

from dispatcher.domain.answer import QuotaReading
from dispatcher.domain.events import QuotaUse
from dispatcher.domain.status import Step
from dispatcher.pacing.pacer import QuotaPacer
from dispatcher.pacing.rate_window import QuotaSample, RateWindow
from dispatcher.pacing.window_use import WindowUse
from tests.support.quota import FixedWindow, steady
from tests.support.virtual import VirtualClock, VirtualLoop, in_virtual_time

MINUTE = 60.0
WIRE = 0.04


class Busy:
    """Workers that send through a pacer until they stop, to a server whose quota others share."""

    def __init__(self, *, headers=True, others=0, allowed=300, phase=13.0):
        self.server = FixedWindow(allowed, MINUTE, phase)
        self.pacer = QuotaPacer(300, MINUTE, VirtualClock())
        self.headers = headers
        self.loop = asyncio.get_running_loop()
        self.tasks = [asyncio.ensure_future(self._work()) for _ in range(4)]
        if others:
            self.tasks.append(asyncio.ensure_future(self._share(others)))

    async def _share(self, others):
        for moment in steady(others, MINUTE, random.Random(1)):
            await asyncio.sleep(moment - self.loop.time())
            self.server.request(self.loop.time(), ours=False)

    async def _work(self):
        while True:
            permit = await self.pacer.acquire(Step.CHECK)
            await asyncio.sleep(WIRE)
            taken, reading = self.server.request(self.loop.time())
            await asyncio.sleep(WIRE)
            permit.complete(reading if self.headers else None)
            if not taken:
                self.pacer.hold(None, max(reading.reset, 1))

    async def stop(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.wait(self.tasks)


@pytest.mark.parametrize("headers", [True, False])
@in_virtual_time
async def test_a_full_window_stays_full_until_the_next_one_is_over(headers):
    """It is no sawtooth: at every moment it is what a whole window was."""
    busy = Busy(headers=headers)
    await asyncio.sleep(4 * MINUTE)
    for _ in range(40):
        await asyncio.sleep(7.3)
        assert busy.pacer.quota.limit == pytest.approx(300)
        assert busy.pacer.quota.own == pytest.approx(296, abs=3)
        assert busy.pacer.quota.others == 0
        assert busy.pacer.quota.used == pytest.approx(0.98, abs=0.012)
    await busy.stop()


@pytest.mark.parametrize("headers", [True, False])
@in_virtual_time
async def test_when_nothing_is_sent_nothing_is_used(headers):
    """Windows end by the time alone: no request is needed for that."""
    busy = Busy(headers=headers)
    await asyncio.sleep(3.5 * MINUTE)
    await busy.stop()
    seen = []
    for _ in range(300):
        await asyncio.sleep(2.0)
        seen.append(busy.pacer.quota)
    assert seen[0].own == pytest.approx(296, abs=3)
    assert all(use.own == use.others == use.used == 0 for use in seen[61:])
    assert seen[-1].limit == pytest.approx(300)


async def counts_of_a_run(*, asked):
    busy = Busy(others=60)
    counts = []
    for _ in range(2000):
        await asyncio.sleep(0.1)
        counts.append(busy.server.count)
        if asked:
            assert 0 <= busy.pacer.quota.used <= 1
    await busy.stop()
    return counts


def test_asking_changes_nothing():
    """A pacer permits the same requests at the same moments, whether it is asked or not."""
    runs = []
    for asked in (False, True):
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runs.append(runner.run(counts_of_a_run(asked=asked)))
    assert max(runs[0]) > 250
    assert runs[0] == runs[1]


@pytest.mark.parametrize("others", [60, 150, 270])
@in_virtual_time
async def test_what_others_take_is_known_from_the_counts(others):
    """Own and others' requests of the last window, to the one that came after our last answer."""
    busy = Busy(others=others)
    await asyncio.sleep(6 * MINUTE)
    for _ in range(10):
        await asyncio.sleep(13.0)
        use = busy.pacer.quota
        assert use.others == pytest.approx(others, abs=6)
        assert use.own + use.others == pytest.approx(296, abs=6)
    await busy.stop()


@in_virtual_time
async def test_without_counts_what_others_take_shows_in_refusals():
    """A window in which the platform refuses is full: what we did not take, others took."""
    busy = Busy(headers=False, others=150)
    await asyncio.sleep(5 * MINUTE)
    before = busy.server.foreign
    for minute in range(1, 6):
        await asyncio.sleep(MINUTE)
        taken = (busy.server.foreign - before) / minute
        assert busy.pacer.quota.others == pytest.approx(taken, abs=30)
    assert 90 < taken < 150
    await busy.stop()


@in_virtual_time
async def test_the_quota_is_the_platforms_if_it_reports_one():
    """It permits less than is configured."""
    busy = Busy(allowed=120)
    assert busy.pacer.quota == QuotaUse(limit=300.0)
    await asyncio.sleep(4 * MINUTE)
    assert busy.pacer.quota.limit == pytest.approx(120)
    assert busy.pacer.quota.used == pytest.approx(0.98, abs=0.03)
    await busy.stop()


@in_virtual_time
async def test_before_the_first_window_is_over_the_present_one_counts():
    """A short run is not shown as idle."""
    busy = Busy(headers=False)
    await asyncio.sleep(30.0)
    assert busy.pacer.quota.own == pytest.approx(148, abs=3)
    await busy.stop()


def window_with_two_boundaries():
    """Windows of 10 s from 0 on, without time on the wire; we send 5 in each, others 3."""
    window, sent = RateWindow(20, 10.0), 0
    for number in range(3):
        for place in range(5):
            now = number * 10.0 + place * 2.0 + 1.0
            sent += 1
            window.record_sent(now, sent)
            others = min(place + 1, 3)
            reading = QuotaReading(place + 1 + others, 20, 9 - place * 2)
            window.record_sample(QuotaSample(sent, now, now, reading))
    return window, sent


def test_the_shares_of_a_window_are_exact():
    """Five of eight requests of the last whole window were ours."""
    window, sent = window_with_two_boundaries()
    assert window.last_use(28.0, sent) == WindowUse(20, 10.0, own=5, others=3)
    assert window.last_use(31.0, sent) == WindowUse(20, 10.0, own=5, others=3)
    assert window.last_use(40.5, sent) == WindowUse(20, 10.0, own=0, others=0)
    assert window.last_use(1e6, sent) == WindowUse(20, 10.0, own=0, others=0)


def test_a_refusal_says_that_others_took_the_rest():
    """Ours are 4 of 20 in the window that was refused; nothing is known of the window after it."""
    window = RateWindow(20, 10.0)
    window.record_sent(0.0, 0)
    for number in range(1, 5):
        window.record_sent(float(number), number)
    window.record_refusal(5.0, 4)
    assert window.last_use(6.0, 4) == WindowUse(20, 10.0, own=4, others=16)
    assert window.last_use(12.0, 4) == WindowUse(20, 10.0, own=4, others=16)
    assert window.last_use(22.0, 4) == WindowUse(20, 10.0, own=0, others=0)


def test_use_never_exceeds_the_quota():
    """Windows that are not the platform's may count more than it permits."""
    assert QuotaUse(limit=300.0, own=200.0, others=150.0).used == 1.0
    assert QuotaUse().used == 0.0
