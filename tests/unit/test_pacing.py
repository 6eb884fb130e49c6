"""The pacer: who gets a permit when, on a real event loop."""

import asyncio
import time

import pytest

from dispatcher.domain.answer import QuotaReading
from dispatcher.domain.status import Step
from dispatcher.engine.clock import SystemClock
from dispatcher.pacing.pacer import QuotaPacer


def pacer(requests=100, window=1.0):
    return QuotaPacer(requests, window, SystemClock())


async def waiting(it, *steps):
    """Let one caller wait for each step; the first permit is used up before."""
    assert await it.acquire(Step.CHECK) is not None
    granted = []

    async def call(name, step):
        granted.append((name, await it.acquire(step)))

    tasks = [asyncio.create_task(call(name, step)) for name, step in enumerate(steps)]
    await asyncio.sleep(0)
    return granted, tasks


def names(granted):
    return [name for name, permit in granted if permit is not None]


async def test_a_free_slot_is_given_without_waiting():
    it = pacer(requests=1_000_000)
    coroutine = it.acquire(Step.CHECK)
    with pytest.raises(StopIteration) as stop:
        coroutine.send(None)
    assert stop.value.value is not None


async def test_sends_stand_before_checks_and_each_in_the_order_asked():
    it = pacer()
    granted, tasks = await waiting(it, Step.CHECK, Step.OPEN, Step.CHECK, Step.NOTIFY, Step.OPEN)
    await asyncio.gather(*tasks)
    assert names(granted) == [1, 3, 4, 0, 2]


async def test_look_backs_stand_behind_sends_and_before_checks():
    it = pacer()
    granted, tasks = await waiting(it, Step.CHECK, Step.LOOK_BACK, Step.OPEN, Step.NOTIFY)
    await asyncio.gather(*tasks)
    assert names(granted) == [2, 3, 1, 0]


async def test_permits_are_spread_evenly():
    it = pacer(requests=200)
    started = time.monotonic()
    for _ in range(41):
        await it.acquire(Step.CHECK)
    assert 0.18 <= time.monotonic() - started <= 0.4


async def test_nothing_goes_out_while_everything_is_held():
    it = pacer()
    it.hold(None, 0.2)
    started = time.monotonic()
    assert 0.15 < it.hold_remaining(Step.OPEN) <= 0.2
    await it.acquire(Step.OPEN)
    assert time.monotonic() - started >= 0.2
    assert it.hold_remaining(Step.OPEN) == 0.0


async def test_a_hold_stops_those_who_wait_already():
    it = pacer()
    granted, tasks = await waiting(it, Step.NOTIFY)
    it.hold(None, 0.1)
    await asyncio.sleep(0.05)
    assert not granted
    await asyncio.gather(*tasks)


async def test_a_held_step_does_not_stand_in_the_way_of_others():
    it = pacer()
    it.hold(Step.NOTIFY, 0.15)
    granted, tasks = await waiting(it, Step.NOTIFY, Step.OPEN, Step.CHECK)
    await asyncio.sleep(0.08)
    assert names(granted) == [1, 2]
    assert it.hold_remaining(Step.NOTIFY) > 0.0 == it.hold_remaining(Step.OPEN)
    await asyncio.gather(*tasks)
    assert names(granted) == [1, 2, 0]


async def test_breaking_off_checks_lets_sends_wait_on():
    it = pacer()
    granted, tasks = await waiting(it, Step.CHECK, Step.NOTIFY, Step.CHECK)
    it.cancel_waiters(checks_only=True)
    await asyncio.gather(*tasks)
    assert [name for name, permit in granted if permit is None] == [0, 2]
    assert names(granted) == [1]


async def test_breaking_off_ends_every_wait_even_a_held_one_and_later_calls_wait_again():
    it = pacer()
    it.hold(Step.OPEN, 60)
    granted, tasks = await waiting(it, Step.OPEN, Step.NOTIFY, Step.CHECK)
    it.cancel_waiters(checks_only=False)
    await asyncio.gather(*tasks)
    assert names(granted) == []
    assert await it.acquire(Step.CHECK) is not None


async def test_an_unused_permit_goes_to_the_next_at_once():
    it = pacer(requests=10, window=100.0)
    first = await it.acquire(Step.CHECK)
    task = asyncio.create_task(it.acquire(Step.CHECK))
    await asyncio.sleep(0)
    first.release()
    assert await asyncio.wait_for(task, 1) is not None


async def test_a_cancelled_caller_leaves_the_line():
    it = pacer()
    granted, tasks = await waiting(it, Step.NOTIFY, Step.OPEN)
    tasks[0].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert names(granted) == [1]
    assert not any(it._queues.values())


async def test_a_permit_granted_to_a_cancelled_caller_is_not_lost():
    """The caller is cancelled between the grant and its next step."""
    it = pacer(requests=10, window=100.0)
    first = await it.acquire(Step.CHECK)
    doomed = asyncio.create_task(it.acquire(Step.NOTIFY))
    heir = asyncio.create_task(it.acquire(Step.CHECK))
    await asyncio.sleep(0)
    first.release()
    doomed.cancel()
    assert await asyncio.wait_for(heir, 1) is not None
    assert doomed.cancelled()


async def test_a_caller_that_gives_up_on_a_broken_off_wait_hurts_nobody():
    it = pacer(requests=10, window=100.0)
    _, tasks = await waiting(it, Step.NOTIFY)
    it.cancel_waiters(checks_only=False)
    tasks[0].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert tasks[0].cancelled()


async def test_many_callers_that_come_and_go_share_the_whole_pace():
    """Cancelled callers cost the others nothing."""
    it = pacer(requests=500)
    served = 0

    async def caller(patience):
        nonlocal served
        while True:
            try:
                async with asyncio.timeout(patience):
                    permit = await it.acquire(Step.CHECK)
            except TimeoutError:
                continue
            served += 1
            permit.complete(None)

    tasks = [asyncio.create_task(caller(0.002 + 0.001 * number)) for number in range(20)]
    await asyncio.sleep(1.0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert 440 <= served <= 500


async def test_workers_that_check_and_send_all_come_forward():
    """Sends go first, and no worker starves for that."""
    it = pacer(requests=1000)
    rounds = [0] * 20

    async def worker(number):
        while True:
            for step in (Step.CHECK, Step.OPEN):
                permit = await it.acquire(step)
                await asyncio.sleep(0.001)
                permit.complete(None)
            rounds[number] += 1

    tasks = [asyncio.create_task(worker(number)) for number in range(20)]
    await asyncio.sleep(0.5)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert min(rounds) >= 8


async def test_gauges_tell_what_the_platform_counts():
    it = pacer(requests=600, window=2.0)
    assert it.rate == pytest.approx(294)
    permit = await it.acquire(Step.CHECK)
    permit.complete(QuotaReading(300, 600, 1))
    assert it.quota_used == pytest.approx(0.5)


async def test_a_permit_costs_microseconds_where_the_quota_does_not_bind():
    """Generous bound: the usual figure is near one."""
    it = pacer(requests=600_000_000, window=60.0)
    started = time.perf_counter()
    for _ in range(20_000):
        permit = await it.acquire(Step.CHECK)
        permit.complete(None)
    assert (time.perf_counter() - started) / 20_000 < 20e-6
