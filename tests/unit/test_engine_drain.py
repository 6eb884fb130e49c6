"""Turnstile and drain: who still goes, who leaves, and what the ledger has learnt of them."""

import asyncio

import pytest

from dispatcher.domain.progress import Progress
from dispatcher.domain.status import HaltReason, Reason, Status, Step
from dispatcher.engine.run_options import RunOutcome
from dispatcher.ports import Batch
from tests.support.engine import Bench, contact, contacts
from tests.support.scripted import (
    CLOSED_400,
    ENDED,
    GOOD,
    GUEST,
    OPEN,
    ListSource,
    in_turn,
    refused,
    throttled,
)
from tests.support.virtual import in_virtual_time, until

CHECK, NOTIFY, LINK = Step.CHECK, Step.NOTIFY, Step.OPEN
CLOSED_ONCE = Progress(
    open_next=True, target=GUEST, external_contact_id="person-1", refusals_notify=1
)


async def drained(bench, tasks):
    bench.turnstile.drain()
    _, late = await asyncio.wait(tasks, timeout=1)
    assert not late, "a drain must not wait for this"


@in_virtual_time
async def test_a_drain_lets_no_more_checks_through_and_sends_still_go():
    """Those that stand before their check leave; those whose state was read are sent."""
    bench = Bench()
    bench.pacer.shut = True
    async with bench.working(contact(1), probing=False) as first:
        await asyncio.sleep(1)
        bench.pacer.let_in()
        await until(lambda: bench.platform.requests)
        bench.pacer.shut = True
        async with bench.working(contact(2), probing=False) as second:
            await until(lambda: len(bench.pacer.waiting) == 2)
            bench.turnstile.drain()
            await asyncio.wait(second)
            assert not first[0].done(), "its state was read, and its permit is to come"
            bench.pacer.let_in()
            await asyncio.wait(first)
    assert bench.ledger.row("key-1").status is Status.OPENED
    assert bench.ledger.row("key-2").status is Status.READY
    assert bench.platform.steps() == [CHECK, LINK]


@pytest.mark.parametrize("held", [None, LINK])
@in_virtual_time
async def test_a_drain_never_waits_for_a_hold(held):
    """Neither for one that is there already, nor for one that comes meanwhile."""
    bench = Bench(in_turn((CHECK, ENDED), (CHECK, ENDED)), latency=0.5)
    async with bench.working(contact(1), probing=False) as before:
        await asyncio.sleep(0.4)
        bench.pacer.hold(held, 9)
        await asyncio.sleep(0.4)
        assert bench.pacer.waiting
        await drained(bench, before)
    other = Bench(in_turn((CHECK, ENDED), (LINK, throttled(9))), latency=0.5)
    async with other.working(contact(1), probing=False) as during:
        await asyncio.sleep(0.4)
        await drained_in(other, during, seconds=2)
    for each in (bench, other):
        assert each.ledger.count(Status.READY) == 1
        assert each.clock.monotonic() < 5


async def drained_in(bench, tasks, seconds):
    bench.turnstile.drain()
    _, late = await asyncio.wait(tasks, timeout=seconds)
    assert not late


@in_virtual_time
async def test_those_in_the_queue_leave_when_a_hold_comes_in_the_drain():
    """One gets a 429, the other waits for its permit: both leave."""
    bench = Bench(lambda request: throttled(60) if request.step is LINK else GOOD[CHECK])
    async with bench.working(*contacts(2), probing=False) as tasks:
        real = bench.pacer.acquire

        async def slow_for_the_second(step):
            if step is LINK and bench.pacer.permits[-1].step is LINK:
                bench.pacer.shut = True
            return await real(step)

        bench.pacer.acquire = slow_for_the_second
        await until(lambda: bench.pacer.waiting)
        await drained(bench, tasks)
    assert bench.ledger.count(Status.READY) == 2


@in_virtual_time
async def test_a_drain_frees_everybody_who_waits_for_a_halt_to_end():
    """Checks and sends alike."""
    bench = Bench()
    async with bench.working(*contacts(3)) as tasks:
        await until(lambda: len(bench.platform.requests) == 3)
        bench.halts.halt(HaltReason.SCOPE, "", LINK)
        await asyncio.sleep(3)
        assert not any(task.done() for task in tasks)
        await drained(bench, tasks)
    assert bench.ledger.count(Status.READY) == 3


@pytest.mark.parametrize("status", [403, 409])
@in_virtual_time
async def test_a_halt_in_the_middle_of_a_drain_frees_those_who_were_suspended(status):
    """While the question is open whether a scope is missing they wait; its answer lets them go."""
    bench = Bench(lambda request: refused(status) if request.step is LINK else GOOD[CHECK])
    asked = asyncio.Event()

    async def slow():
        await asked.wait()
        return await asking()

    asking, bench.platform.verify = bench.platform.verify, slow
    bench.platform.missing = ("write",)
    async with bench.working(contact(1)) as first:
        await until(lambda: bench.halts._suspended)
        async with bench.working(contact(2), probing=False) as second:
            held_up = bench.ledger.row("key-2")
            await asyncio.sleep(0.1)
            claim_waits = len(bench.halts._waiting)
            assert claim_waits == 1
            waiting = asyncio.create_task(bench.turnstile.acquire(LINK, 99))
            await asyncio.sleep(0.1)
            bench.turnstile.drain()
            await asyncio.sleep(0.1)
            assert not waiting.done(), "a send may still go if no scope is missing"
            asked.set()
            _, late = await asyncio.wait([waiting, *first, *second], timeout=1)
            assert not late
            assert await waiting is None
    assert held_up.status is Status.READY
    assert bench.ledger.row("key-1").status is Status.READY


@in_virtual_time
async def test_a_contact_leaves_with_what_was_learnt():
    """Open linked is still next for it, and the refusals are still counted."""
    bench = Bench()
    bench.pacer.hold(None, 9)
    bench.ledger.put(contact(1), progress=CLOSED_ONCE)
    (claim,) = await bench.ledger.claim(1, bench.clock.time())
    delivering = asyncio.create_task(bench.delivery.deliver(claim))
    await asyncio.sleep(1)
    await drained(bench, [delivering])
    row = bench.ledger.row("key-1")
    assert (row.status, row.progress) == (Status.READY, CLOSED_ONCE)
    assert row.due <= bench.clock.time()


@in_virtual_time
async def test_a_refusal_just_before_the_drain_is_not_forgotten():
    """404 on notify counts, although the check after it is not made any more."""
    bench = Bench(in_turn((CHECK, OPEN), (NOTIFY, refused(404))), latency=1)
    async with bench.working(contact(1), probing=False) as tasks:
        await asyncio.sleep(1.5)
        bench.turnstile.drain()
        await asyncio.wait(tasks)
    row = bench.ledger.row("key-1")
    assert (row.status, row.progress.refusals_notify, row.progress.sends) == (Status.READY, 1, 1)


@in_virtual_time
async def test_a_closed_session_is_deferred_by_a_drain_as_at_any_time():
    """What the answer told goes into the ledger."""
    bench = Bench(in_turn((CHECK, OPEN), (NOTIFY, CLOSED_400)), latency=1)
    async with bench.working(contact(1), probing=False) as tasks:
        await asyncio.sleep(1.5)
        bench.turnstile.drain()
        await asyncio.wait(tasks)
    assert bench.ledger.row("key-1").progress.open_next


@in_virtual_time
async def test_stopping_a_run_leaves_nothing_claimed_and_the_next_run_finishes():
    """DRAINED; what lay ready for the workers goes back as well."""
    bench = Bench(latency=0.5)
    pipeline = bench.pipeline(contacts(40))
    running = asyncio.create_task(pipeline.run())
    await until(lambda: bench.ledger.count(Status.OPENED) >= 8)
    pipeline.stop()
    stopped = bench.clock.monotonic()
    assert await running is RunOutcome.DRAINED
    assert bench.clock.monotonic() - stopped < 2
    assert bench.ledger.count(Status.CLAIMED, Status.SENDING) == 0
    assert bench.source.closed
    again = Bench(latency=0.5)
    again.ledger.rows = bench.ledger.rows
    assert await again.pipeline().run() is RunOutcome.DONE
    assert bench.ledger.count(Status.OPENED) == 40
    sent = [
        r.conversation_id for b in (bench, again) for r in b.platform.requests if r.step is LINK
    ]
    assert len(sent) == len(set(sent)) == 40


@in_virtual_time
async def test_a_drain_that_takes_too_long_is_cut_off():
    """The run says so; what was on the wire stands as sending, for the next run to see."""
    bench = Bench(latency=100)
    pipeline = bench.pipeline(contacts(2), drain_seconds=5)
    running = asyncio.create_task(pipeline.run())
    await asyncio.sleep(150)
    pipeline.stop()
    stopped = bench.clock.monotonic()
    assert await running is RunOutcome.CUT_OFF
    assert bench.clock.monotonic() - stopped == pytest.approx(5, abs=0.5)
    assert bench.ledger.count(Status.SENDING) == 2
    assert {permit.end for permit in bench.pacer.permits} == {"answered"}


@in_virtual_time
async def test_a_drain_closes_the_source_in_the_middle_of_a_batch():
    """What was read and not admitted is read again next time: it is in no ledger."""
    source = ListSource(Batch(contacts(1)), Batch(contacts(2)), seconds=30)
    bench = Bench()
    pipeline = bench.pipeline(source=source)
    running = asyncio.create_task(pipeline.run())
    await asyncio.sleep(45)
    pipeline.stop()
    assert await running is RunOutcome.DRAINED
    assert source.closed
    assert source.yielded == 1
    assert bench.ledger.end("key-1") == (Status.OPENED, Reason.DELIVERED)
    assert len(bench.ledger.rows) == 1
