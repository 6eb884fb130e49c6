"""The pacer: which waiter gets a permit, and when, in virtual time."""

import asyncio

import pytest

from dispatcher.domain.answer import QuotaReading
from dispatcher.domain.status import Step
from dispatcher.pacing.pacer import QuotaPacer
from tests.support.virtual import VirtualClock, in_virtual_time

BACKGROUND = None


def new_pacer(requests=100, window=1.0):
    return QuotaPacer(requests, window, VirtualClock())


def now():
    return asyncio.get_running_loop().time()


async def exhaust(pacer):
    """Take all permits that are granted at once; return how many."""
    taken = 0
    while True:
        coroutine = pacer.acquire(Step.CHECK)
        try:
            coroutine.send(None)
        except StopIteration:
            taken += 1
        else:
            with pytest.raises(asyncio.CancelledError):
                coroutine.throw(asyncio.CancelledError)
            return taken


async def waiting(pacer, *steps):
    """Let one caller wait for each step; the permits that are due at once are used up before."""
    await exhaust(pacer)
    granted = []

    async def call(name, step):
        acquired = pacer.acquire_background() if step is BACKGROUND else pacer.acquire(step)
        granted.append((name, await acquired))

    tasks = [asyncio.create_task(call(name, step)) for name, step in enumerate(steps)]
    await asyncio.sleep(0)
    return granted, tasks


def names(granted):
    return [name for name, permit in granted if permit is not None]


@in_virtual_time
async def test_a_permit_that_is_due_is_granted_without_waiting():
    pacer = new_pacer(requests=1_000_000)
    coroutine = pacer.acquire(Step.CHECK)
    with pytest.raises(StopIteration) as stop:
        coroutine.send(None)
    assert stop.value.value is not None


@in_virtual_time
async def test_sends_come_before_checks_and_both_in_the_order_of_the_calls():
    pacer = new_pacer()
    granted, tasks = await waiting(pacer, Step.CHECK, Step.OPEN, Step.CHECK, Step.NOTIFY, Step.OPEN)
    await asyncio.gather(*tasks)
    assert names(granted) == [1, 3, 4, 0, 2]


@in_virtual_time
async def test_look_backs_come_after_sends_and_before_checks():
    pacer = new_pacer()
    granted, tasks = await waiting(pacer, Step.CHECK, Step.LOOK_BACK, Step.OPEN, Step.NOTIFY)
    await asyncio.gather(*tasks)
    assert names(granted) == [2, 3, 1, 0]


@in_virtual_time
async def test_permits_are_spread_evenly():
    pacer = new_pacer(requests=200)
    started = now()
    for _ in range(41):
        await pacer.acquire(Step.CHECK)
    assert 0.18 <= now() - started <= 0.4


@in_virtual_time
async def test_nothing_goes_out_while_everything_is_held():
    pacer = new_pacer()
    pacer.hold(None, 0.2)
    started = now()
    assert 0.15 < pacer.hold_remaining(Step.OPEN) <= 0.2
    await pacer.acquire(Step.OPEN)
    assert now() - started >= 0.2
    assert pacer.hold_remaining(Step.OPEN) == 0.0


@in_virtual_time
async def test_a_hold_stops_callers_that_wait_already():
    pacer = new_pacer()
    granted, tasks = await waiting(pacer, Step.NOTIFY)
    pacer.hold(None, 0.1)
    await asyncio.sleep(0.05)
    assert not granted
    await asyncio.gather(*tasks)


@in_virtual_time
async def test_a_held_step_does_not_delay_others():
    pacer = new_pacer()
    pacer.hold(Step.NOTIFY, 0.15)
    granted, tasks = await waiting(pacer, Step.NOTIFY, Step.OPEN, Step.CHECK)
    await asyncio.sleep(0.08)
    assert names(granted) == [1, 2]
    assert pacer.hold_remaining(Step.NOTIFY) > 0.0 == pacer.hold_remaining(Step.OPEN)
    await asyncio.gather(*tasks)
    assert names(granted) == [1, 2, 0]


@in_virtual_time
async def test_cancelling_the_wait_for_checks_lets_sends_wait_on():
    pacer = new_pacer()
    granted, tasks = await waiting(pacer, Step.CHECK, Step.NOTIFY, Step.CHECK)
    pacer.cancel_waiters(checks_only=True)
    await asyncio.gather(*tasks)
    assert [name for name, permit in granted if permit is None] == [0, 2]
    assert names(granted) == [1]


@in_virtual_time
async def test_cancelling_ends_every_wait_even_a_held_one_and_later_calls_wait_again():
    pacer = new_pacer()
    pacer.hold(Step.OPEN, 60)
    granted, tasks = await waiting(pacer, Step.OPEN, Step.NOTIFY, Step.CHECK)
    pacer.cancel_waiters(checks_only=False)
    await asyncio.gather(*tasks)
    assert names(granted) == []
    assert await pacer.acquire(Step.CHECK) is not None


@in_virtual_time
async def test_a_released_permit_goes_to_the_next_waiter_at_once():
    pacer = new_pacer(requests=10, window=100.0)
    first = await pacer.acquire(Step.CHECK)
    task = asyncio.create_task(pacer.acquire(Step.CHECK))
    await asyncio.sleep(0)
    first.release()
    assert await asyncio.wait_for(task, 1) is not None


@in_virtual_time
async def test_a_cancelled_caller_leaves_the_line():
    pacer = new_pacer()
    granted, tasks = await waiting(pacer, Step.NOTIFY, Step.OPEN)
    tasks[0].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert names(granted) == [1]
    assert not any(pacer._queues.values())


@in_virtual_time
async def test_a_permit_granted_to_a_cancelled_caller_is_not_lost():
    """The caller is cancelled between the grant and its next step."""
    pacer = new_pacer(requests=10, window=100.0)
    first = await pacer.acquire(Step.CHECK)
    cancelled = asyncio.create_task(pacer.acquire(Step.NOTIFY))
    next_one = asyncio.create_task(pacer.acquire(Step.CHECK))
    await asyncio.sleep(0)
    first.release()
    cancelled.cancel()
    assert await asyncio.wait_for(next_one, 1) is not None
    assert cancelled.cancelled()


@in_virtual_time
async def test_a_caller_that_is_cancelled_after_its_wait_was_cancelled_has_no_effect_on_others():
    pacer = new_pacer(requests=10, window=100.0)
    _, tasks = await waiting(pacer, Step.NOTIFY)
    pacer.cancel_waiters(checks_only=False)
    tasks[0].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert tasks[0].cancelled()


@in_virtual_time
async def test_many_callers_that_come_and_go_share_the_whole_pace():
    """Cancelled callers cost the others nothing."""
    pacer = new_pacer(requests=500)
    served = 0

    async def caller(patience):
        nonlocal served
        while True:
            try:
                async with asyncio.timeout(patience):
                    permit = await pacer.acquire(Step.CHECK)
            except TimeoutError:
                continue
            served += 1
            permit.complete(None)

    tasks = [asyncio.create_task(caller(0.002 + 0.001 * number)) for number in range(20)]
    await asyncio.sleep(1.0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert 485 <= served <= 500


@in_virtual_time
async def test_workers_that_check_and_send_all_make_progress():
    """Sends go first, and no worker starves for that."""
    pacer = new_pacer(requests=1000)
    rounds = [0] * 20

    async def worker(number):
        while True:
            for step in (Step.CHECK, Step.OPEN):
                permit = await pacer.acquire(step)
                await asyncio.sleep(0.001)
                permit.complete(None)
            rounds[number] += 1

    tasks = [asyncio.create_task(worker(number)) for number in range(20)]
    await asyncio.sleep(0.5)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert min(rounds) >= 11


@in_virtual_time
async def test_gauges_show_what_the_platform_counts():
    pacer = new_pacer(requests=600, window=2.0)
    assert pacer.rate == pytest.approx(295.5)
    permit = await pacer.acquire(Step.CHECK)
    permit.complete(QuotaReading(300, 600, 1))
    assert pacer.quota.used == pytest.approx(0.5)


@in_virtual_time
async def test_a_permit_needs_no_timer_and_no_turn_of_the_loop_where_the_quota_does_not_bind():
    pacer = new_pacer(requests=600_000_000, window=60.0)
    await pacer.acquire(Step.CHECK)
    await asyncio.sleep(1.0)
    loop = asyncio.get_running_loop()
    turns, timers = loop.turns, len(loop._scheduled)
    for _ in range(20_000):
        permit = await pacer.acquire(Step.CHECK)
        permit.complete(None)
    assert (loop.turns, len(loop._scheduled)) == (turns, timers)


@in_virtual_time
async def test_there_is_no_burst_at_the_start():
    assert await exhaust(new_pacer(requests=600, window=2.0)) == 1


@in_virtual_time
async def test_after_a_pause_at_most_a_hundredth_of_the_quota_is_granted_at_once():
    pacer = new_pacer(requests=600, window=2.0)
    await exhaust(pacer)
    await asyncio.sleep(10.0)
    assert await exhaust(pacer) == 6
    await asyncio.sleep(0.002)
    assert await exhaust(pacer) == 1


@in_virtual_time
async def test_of_a_small_quota_one_permit_is_granted_at_once():
    pacer = new_pacer(requests=10, window=60.0)
    assert await exhaust(pacer) == 1
    for _ in range(3):
        await pacer.acquire(Step.CHECK)
    assert now() == pytest.approx(3 * 60 / 9.85, abs=0.01)
    await asyncio.sleep(60.0)
    assert await exhaust(pacer) == 1


@in_virtual_time
async def test_a_shorter_hold_does_not_end_a_longer_one():
    pacer = new_pacer(requests=600, window=2.0)
    pacer.hold(None, 3.0)
    pacer.hold(None, 1.0)
    assert pacer.hold_remaining(Step.OPEN) == 3.0
    await pacer.acquire(Step.CHECK)
    assert now() == pytest.approx(3.0, abs=0.01)


@in_virtual_time
async def test_a_released_permit_is_there_for_a_caller_that_comes_soon_but_not_later():
    pacer = new_pacer(requests=60, window=60.0)
    for pause, granted in ((0.1, 1), (0.4, 0)):
        permit = await pacer.acquire(Step.CHECK)
        assert await exhaust(pacer) == 0
        permit.release()
        await asyncio.sleep(pause)
        assert await exhaust(pacer) == granted


@in_virtual_time
async def test_a_quota_that_is_used_up_stops_until_the_window_ends():
    pacer = new_pacer(requests=300, window=60.0)
    permit = await pacer.acquire(Step.CHECK)
    await exhaust(pacer)
    await asyncio.sleep(0.1)
    permit.complete(QuotaReading(300, 300, 10))
    await asyncio.sleep(0.3)
    await pacer.acquire(Step.CHECK)
    assert 9.0 <= now() <= 11.2


@in_virtual_time
async def test_background_requests_come_after_sends_and_before_checks():
    pacer = new_pacer()
    granted, tasks = await waiting(
        pacer, Step.CHECK, BACKGROUND, Step.CHECK_MANY, Step.OPEN, Step.LOOK_BACK, BACKGROUND
    )
    await asyncio.gather(*tasks)
    assert names(granted) == [3, 4, 1, 5, 0, 2]


@in_virtual_time
async def test_a_background_request_waits_for_a_hold_of_everything_and_is_not_cancelled():
    pacer = new_pacer()
    pacer.hold(None, 2.0)
    _, tasks = await waiting(pacer, BACKGROUND, Step.CHECK)
    pacer.hold(Step.LOOK_BACK, 60.0)
    pacer.cancel_waiters(checks_only=False)
    await asyncio.gather(*tasks)
    assert now() == pytest.approx(2.0, abs=0.1)
