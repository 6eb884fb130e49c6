"""Turnstile and drain: who still goes, who leaves, and what the ledger has learnt of them."""

import asyncio

import pytest

from dispatcher.domain.progress import Progress
from dispatcher.domain.status import HaltReason, Reason, Status, Step
from dispatcher.engine.run_options import RunOutcome
from dispatcher.ports import Batch
from tests.support.engine import EngineFixture, contact, contacts
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


async def drained(engine, tasks):
    engine.pool.drain()
    _, late = await asyncio.wait(tasks, timeout=1)
    assert not late, "a drain must not wait for this"


@in_virtual_time
async def test_a_drain_lets_no_more_checks_through_and_sends_still_go():
    """Those that wait for their check leave; those whose state was read are sent."""
    engine = EngineFixture()
    engine.pacer.shut = True
    async with engine.working(contact(1), probing=False) as first:
        await asyncio.sleep(1)
        engine.pacer.let_in()
        await until(lambda: engine.platform.requests)
        engine.pacer.shut = True
        async with engine.working(contact(2), probing=False) as second:
            await until(lambda: len(engine.pacer.waiting) == 2)
            engine.pool.drain()
            await asyncio.wait(second)
            assert not first[0].done(), "its state was read, and its permit is to come"
            engine.pacer.let_in()
            await asyncio.wait(first)
    assert engine.ledger.row("key-1").status is Status.OPENED
    assert engine.ledger.row("key-2").status is Status.READY
    assert engine.platform.steps() == [CHECK, LINK]


@pytest.mark.parametrize("held", [None, LINK])
@in_virtual_time
async def test_a_drain_never_waits_for_a_hold(held):
    """Neither for one that is there already, nor for one that comes meanwhile."""
    engine = EngineFixture(in_turn((CHECK, ENDED), (CHECK, ENDED)), latency=0.5)
    async with engine.working(contact(1), probing=False) as before:
        await asyncio.sleep(0.4)
        engine.pacer.hold(held, 9)
        await asyncio.sleep(0.4)
        assert engine.pacer.waiting
        await drained(engine, before)
    other = EngineFixture(in_turn((CHECK, ENDED), (LINK, throttled(9))), latency=0.5)
    async with other.working(contact(1), probing=False) as during:
        await asyncio.sleep(0.4)
        await drained_in(other, during, seconds=2)
    for fixture in (engine, other):
        assert fixture.ledger.count(Status.READY) == 1
        assert fixture.clock.monotonic() < 5


async def drained_in(engine, tasks, seconds):
    engine.pool.drain()
    _, late = await asyncio.wait(tasks, timeout=seconds)
    assert not late


@in_virtual_time
async def test_those_in_the_queue_leave_when_a_hold_comes_in_the_drain():
    """One gets a 429, the other waits for its permit: both leave."""
    engine = EngineFixture(lambda request: throttled(60) if request.step is LINK else GOOD[CHECK])
    async with engine.working(*contacts(2), probing=False) as tasks:
        real = engine.pacer.acquire

        async def slow_for_the_second(step):
            if step is LINK and engine.pacer.permits[-1].step is LINK:
                engine.pacer.shut = True
            return await real(step)

        engine.pacer.acquire = slow_for_the_second
        await until(lambda: engine.pacer.waiting)
        await drained(engine, tasks)
    assert engine.ledger.count(Status.READY) == 2


@in_virtual_time
async def test_a_drain_releases_the_contacts_that_wait_for_the_end_of_a_halt():
    """Checks and sends alike."""
    engine = EngineFixture()
    async with engine.working(*contacts(3)) as tasks:
        await until(lambda: len(engine.platform.requests) == 3)
        engine.breaker.halt(HaltReason.SCOPE, "", LINK)
        await asyncio.sleep(3)
        assert not any(task.done() for task in tasks)
        await drained(engine, tasks)
    assert engine.ledger.count(Status.READY) == 3


@pytest.mark.parametrize("status", [403, 409])
@in_virtual_time
async def test_a_halt_in_the_middle_of_a_drain_releases_suspended_contacts(status):
    """While the question is open whether a scope is missing they wait; its answer lets them go."""
    engine = EngineFixture(lambda request: refused(status) if request.step is LINK else GOOD[CHECK])
    requested = asyncio.Event()

    async def slow():
        await requested.wait()
        return await asking()

    asking, engine.platform.verify = engine.platform.verify, slow
    engine.platform.missing = ("write",)
    async with engine.working(contact(1)) as first:
        await until(lambda: engine.breaker._pending_verdicts)
        async with engine.working(contact(2), probing=False) as second:
            held_up = engine.ledger.row("key-2")
            await asyncio.sleep(0.1)
            claim_waits = len(engine.breaker._waiting)
            assert claim_waits == 1
            waiting = asyncio.create_task(engine.pool.acquire(LINK, 99))
            await asyncio.sleep(0.1)
            engine.pool.drain()
            await asyncio.sleep(0.1)
            assert not waiting.done(), "a send may still go if no scope is missing"
            requested.set()
            _, late = await asyncio.wait([waiting, *first, *second], timeout=1)
            assert not late
            assert await waiting is None
    assert held_up.status is Status.READY
    assert engine.ledger.row("key-1").status is Status.READY


@in_virtual_time
async def test_a_contact_leaves_with_what_was_learnt():
    """Open linked is still next for it, and the refusals are still counted."""
    engine = EngineFixture()
    engine.pacer.hold(None, 9)
    engine.ledger.put(contact(1), progress=CLOSED_ONCE)
    (claim,) = await engine.ledger.claim(1, engine.clock.time())
    delivering = asyncio.create_task(engine.delivery.deliver(claim))
    await asyncio.sleep(1)
    await drained(engine, [delivering])
    row = engine.ledger.row("key-1")
    assert (row.status, row.progress) == (Status.READY, CLOSED_ONCE)
    assert row.due <= engine.clock.time()


@in_virtual_time
async def test_a_refusal_just_before_the_drain_is_not_forgotten():
    """404 on notify counts, although the check after it is not made any more."""
    engine = EngineFixture(in_turn((CHECK, OPEN), (NOTIFY, refused(404))), latency=1)
    async with engine.working(contact(1), probing=False) as tasks:
        await asyncio.sleep(1.5)
        engine.pool.drain()
        await asyncio.wait(tasks)
    row = engine.ledger.row("key-1")
    assert (row.status, row.progress.refusals_notify, row.progress.sends) == (Status.READY, 1, 1)


@in_virtual_time
async def test_a_closed_session_is_deferred_by_a_drain_as_at_any_time():
    """What was learnt from the answer goes into the ledger."""
    engine = EngineFixture(in_turn((CHECK, OPEN), (NOTIFY, CLOSED_400)), latency=1)
    async with engine.working(contact(1), probing=False) as tasks:
        await asyncio.sleep(1.5)
        engine.pool.drain()
        await asyncio.wait(tasks)
    assert engine.ledger.row("key-1").progress.open_next


@in_virtual_time
async def test_stopping_a_run_leaves_nothing_claimed_and_the_next_run_finishes():
    """DRAINED; what lay ready for the workers goes back as well."""
    engine = EngineFixture(latency=0.5)
    pipeline = engine.pipeline(contacts(40))
    running = asyncio.create_task(pipeline.run())
    await until(lambda: engine.ledger.count(Status.OPENED) >= 8)
    pipeline.stop()
    stopped = engine.clock.monotonic()
    assert await running is RunOutcome.DRAINED
    assert engine.clock.monotonic() - stopped < 2
    assert engine.ledger.count(Status.CLAIMED, Status.SENDING) == 0
    assert engine.source.closed
    again = EngineFixture(latency=0.5)
    again.ledger.rows = engine.ledger.rows
    assert await again.pipeline().run() is RunOutcome.DONE
    assert engine.ledger.count(Status.OPENED) == 40
    sent = [
        r.conversation_id for b in (engine, again) for r in b.platform.requests if r.step is LINK
    ]
    assert len(sent) == len(set(sent)) == 40


@in_virtual_time
async def test_a_drain_that_takes_too_long_is_cut_off():
    """The run says so; what was on the wire is left as sending, for the next run to see."""
    engine = EngineFixture(latency=100)
    pipeline = engine.pipeline(contacts(2), drain_seconds=5)
    running = asyncio.create_task(pipeline.run())
    await asyncio.sleep(150)
    pipeline.stop()
    stopped = engine.clock.monotonic()
    assert await running is RunOutcome.CUT_OFF
    assert engine.clock.monotonic() - stopped == pytest.approx(5, abs=0.5)
    assert engine.ledger.count(Status.SENDING) == 2
    assert {permit.end for permit in engine.pacer.permits} == {"answered"}


@in_virtual_time
async def test_a_drain_closes_the_source_in_the_middle_of_a_batch():
    """What was read and not admitted is read again next time: it is in no ledger."""
    source = ListSource(Batch(contacts(1)), Batch(contacts(2)), seconds=30)
    engine = EngineFixture()
    pipeline = engine.pipeline(source=source)
    running = asyncio.create_task(pipeline.run())
    await asyncio.sleep(45)
    pipeline.stop()
    assert await running is RunOutcome.DRAINED
    assert source.closed
    assert source.yielded == 1
    assert engine.ledger.end("key-1") == (Status.OPENED, Reason.DELIVERED)
    assert len(engine.ledger.rows) == 1
