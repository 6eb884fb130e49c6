"""The whole stream: how a run ends, what stops it, and cancelling it at any moment."""

import asyncio
import traceback
from collections import Counter

import pytest

from dispatcher.domain.events import Gauges
from dispatcher.domain.status import FINAL, HaltReason, Reason, Status, Step
from dispatcher.engine.run_options import RunOutcome
from dispatcher.ports import Batch, LedgerError, SourceError
from tests.support.engine import EngineFixture, contact, contacts
from tests.support.scripted import GOOD, NOT_ENDED, NOT_SENT, OPENED, ListSource, refused
from tests.support.virtual import START, StuckError, in_virtual_time, until

CHECK, LINK = Step.CHECK, Step.OPEN


def sent(engine):
    return Counter(r.conversation_id for r in engine.platform.requests if r.step is LINK)


@in_virtual_time
async def test_an_exhausted_run_is_done():
    """Everybody has a final status, once, and the last gauges say that nothing is left."""
    engine = EngineFixture()
    assert await engine.pipeline(contacts(50), contacts(50, first=51)).run() is RunOutcome.DONE
    assert engine.ledger.count(Status.OPENED) == 100
    assert set(sent(engine).values()) == {1}
    assert engine.platform.most_at_once == 4
    last = engine.events.of_type(Gauges)[-1]
    assert (last.in_flight, last.backlog, last.oldest_due) == (0, 0, 0.0)
    assert engine.source.closed


@in_virtual_time
async def test_an_empty_source_is_done_at_once():
    """No worker has anything to do, and nobody waits for one."""
    engine = EngineFixture()
    assert await engine.pipeline().run() is RunOutcome.DONE
    assert engine.clock.monotonic() < 1


@pytest.mark.parametrize(
    ("due", "ending", "took"), [(50, RunOutcome.DONE, 50), (70, RunOutcome.DEFERRED, 0)]
)
@in_virtual_time
async def test_a_run_waits_for_what_is_due_within_its_limit_and_leaves_the_rest(due, ending, took):
    """With --once; it says that something is left."""
    engine = EngineFixture()
    batch = [contact(1), contact(2, not_before=START + due)]
    assert await engine.pipeline(batch).run() is ending
    assert engine.clock.monotonic() == pytest.approx(took, abs=1)
    assert engine.ledger.count(Status.OPENED) == 1 + (ending is RunOutcome.DONE)
    assert engine.ledger.count(Status.READY) == (ending is RunOutcome.DEFERRED)


@in_virtual_time
async def test_waiting_is_bounded_over_all_delays_of_a_contact():
    """A contact that is put off again and again does not keep the run for ever."""
    engine = EngineFixture(lambda _: NOT_ENDED)
    assert await engine.pipeline(contacts(1), wait_limit=20).run() is RunOutcome.DEFERRED
    assert engine.clock.monotonic() == pytest.approx(20, abs=6)


@pytest.mark.parametrize("halted_before", [True, False])
@in_virtual_time
async def test_a_run_that_stands_still_for_too_long_ends_halted(halted_before):
    """With contacts in hand, which go back to the ledger."""
    engine = EngineFixture(lambda request: refused(403) if request.step is LINK else GOOD[CHECK])
    engine.platform.missing = ("write",)
    if halted_before:
        engine.breaker.halt(HaltReason.SCOPE, "", LINK)
    assert await engine.pipeline(contacts(30), wait_limit=100).run() is RunOutcome.HALTED
    assert engine.clock.monotonic() == pytest.approx(100, abs=2)
    assert engine.ledger.count(Status.READY) == len(engine.ledger.rows)
    assert max(sent(engine).values(), default=0) <= 1


@in_virtual_time
async def test_a_platform_that_stays_down_ends_the_run_halted():
    """And no contact has spent an attempt."""
    engine = EngineFixture(lambda _: NOT_SENT)
    assert await engine.pipeline(contacts(10), wait_limit=30).run() is RunOutcome.HALTED
    assert engine.ledger.count(Status.READY) == 10
    assert {row.progress.attempts for row in engine.ledger.rows.values()} == {0}


@in_virtual_time
async def test_a_daemon_goes_on_until_it_is_stopped():
    """Without --once an exhausted source and a halt are no reason to end."""
    engine = EngineFixture()
    pipeline = engine.pipeline(contacts(3), once=False, wait_limit=1)
    running = asyncio.create_task(pipeline.run())
    await asyncio.sleep(500)
    engine.breaker.halt(HaltReason.SCOPE, "")
    engine.platform.missing = ("write",)
    await asyncio.sleep(500)
    assert not running.done()
    assert engine.ledger.count(Status.OPENED) == 3
    assert len(engine.events.of_type(Gauges)) == pytest.approx(100, abs=2)
    pipeline.stop()
    assert await running is RunOutcome.DRAINED


@pytest.mark.parametrize(
    "call", ["streams", "admit", "claim", "intend", "settle", "defer", "retract", "backlog"]
)
@in_virtual_time
async def test_a_lost_ledger_comes_out_as_itself(call):
    """Whichever write meets it; not wrapped in a group."""
    answers = iter([NOT_ENDED, GOOD[CHECK], refused(409)])
    engine = EngineFixture(lambda request: next(answers, GOOD[request.step]))

    async def fail(name):
        if name == call:
            raise LedgerError("the disk is full")

    engine.ledger.before = fail
    with pytest.raises(LedgerError, match="disk is full") as caught:
        await engine.pipeline(contacts(3), workers=1).run()
    assert "the disk is full" in "".join(traceback.format_exception(caught.value))
    assert engine.source.closed or not engine.source.known


@in_virtual_time
async def test_a_source_that_cannot_be_read_comes_out_as_itself_after_a_drain():
    """Nothing that was on the wire is left in doubt because a file went away."""
    engine = EngineFixture(latency=3)
    source = ListSource(Batch(contacts(2)), SourceError("contacts.csv is gone"), seconds=4)
    with pytest.raises(SourceError, match="is gone"):
        await engine.pipeline(source=source).run()
    assert engine.ledger.count(Status.OPENED) == 2
    early = EngineFixture()
    with pytest.raises(SourceError, match="is gone"):
        await early.pipeline(source=ListSource(SourceError("contacts.csv is gone"))).run()


@pytest.mark.parametrize("grouped", [False, True])
@in_virtual_time
async def test_a_source_that_is_admitted_at_once_fails_after_a_drain_too(grouped, monkeypatch):
    """Sends in flight get their answers, and batches that were taken are committed."""
    engine = EngineFixture(latency=3, admits_at_once=True)
    gone, done = SourceError("the place has moved"), []
    last = Batch(contacts(1, first=3), done=done.append)
    items = (Batch(contacts(2)), last, *(() if grouped else (gone,)))
    source = ListSource(*items, seconds=4)
    if grouped:  # as if the ledger refused the place of a third batch
        admit = engine.ledger.admit

        async def refuse(batch, *arguments):
            if batch.contacts:
                return await admit(batch, *arguments)
            raise gone

        source.items = (*items, Batch(()))
        monkeypatch.setattr(engine.ledger, "admit", refuse)
    else:
        engine.ledger.commit_seconds = 5.0
    with pytest.raises(SourceError, match="has moved"):
        await engine.pipeline(source=source, once=False).run()
    assert [one.admitted for one in done] == [1]
    assert not engine.ledger.count(Status.SENDING)
    assert engine.ledger.count(Status.OPENED) + engine.ledger.count(Status.READY) == 3
    assert engine.platform.steps().count(LINK) == engine.ledger.count(Status.OPENED)


@in_virtual_time
async def test_a_bug_in_a_delivery_stops_the_run_loudly():
    """The run ends with that exception; no other contact goes on."""
    engine = EngineFixture(
        lambda request: ZeroDivisionError("a bug") if request.step is LINK else GOOD[CHECK]
    )
    with pytest.raises(ZeroDivisionError, match="a bug"):
        await engine.pipeline(contacts(50)).run()
    assert len(engine.platform.requests) <= 8
    assert engine.pacer.permits
    assert all(permit.end for permit in engine.pacer.permits)


@in_virtual_time
async def test_a_bug_while_the_run_drains_is_not_swallowed():
    """The drain is no place to hide."""
    engine = EngineFixture(
        lambda request: ZeroDivisionError("a bug") if request.step is LINK else GOOD[CHECK],
        latency=5,
    )
    pipeline = engine.pipeline(contacts(2))
    running = asyncio.create_task(pipeline.run())
    await asyncio.sleep(1)
    pipeline.stop()
    with pytest.raises(ZeroDivisionError):
        await running


def a_platform_with_everything(request):
    """A link is refused once, a session is not ended at first, one notify finds it closed."""
    number = int(request.conversation_id.removeprefix("conversation-"))
    if request.step is LINK:
        return refused(409) if number == 1 and request.at < 0.3 else OPENED
    return NOT_ENDED if number == 2 and request.at < 0.3 else GOOD[request.step]


CALLS = ["streams", "admit", "claim", "backlog", "intend", "retract", "settle", "defer"]


@pytest.mark.parametrize("after", [False, True], ids=["before-the-write", "after-the-write"])
@pytest.mark.parametrize("nth", [1, 2, 4])
@pytest.mark.parametrize("call", [*CALLS, "check", "open", "verify", "sleep"])
@in_virtual_time
async def test_a_run_that_is_cancelled_at_any_await_loses_nobody(call, nth, after):
    """Each call in turn never returns; the run is cancelled there, and the next one finishes.

    Afterwards each contact was sent to at most once, and the others are parked as in doubt.
    """
    engine = EngineFixture(a_platform_with_everything)
    stuck = hang(engine, call, nth, after=after)
    running = asyncio.create_task(engine.pipeline(contacts(6), workers=2).run())
    done, _ = await asyncio.wait([running, asyncio.create_task(stuck.wait())], timeout=30,
                                 return_when=asyncio.FIRST_COMPLETED)  # fmt: skip
    running.cancel()
    await asyncio.wait([running], timeout=1)
    assert running.done(), "cancelling takes effect at once"
    assert running.cancelled() or running in done
    assert asyncio.all_tasks() <= {asyncio.current_task()} | stuck.waiters()
    engine.ledger.recover()
    again = EngineFixture(a_platform_with_everything)
    again.ledger.rows, again.ledger.files = engine.ledger.rows, engine.ledger.files
    again.platform.archive = engine.platform.archive
    ending = await again.pipeline(contacts(6)).run()
    rows = engine.ledger.rows.values()
    assert len(rows) == 6
    assert all(row.status in FINAL | {Status.IN_DOUBT} for row in rows)
    assert ending is (
        RunOutcome.DEFERRED if engine.ledger.count(Status.IN_DOUBT) else RunOutcome.DONE
    )
    taken = Counter(
        r.conversation_id
        for b in (engine, again)
        for r in b.platform.requests
        if r.step is LINK and not (r.conversation_id == "conversation-1" and r.at < 0.3)
    )
    assert set(taken.values()) <= {1}
    doubted = {row.contact.conversation_id for row in rows if row.status is Status.IN_DOUBT}
    assert {row.contact.conversation_id for row in rows} <= set(taken) | doubted
    assert len(doubted) <= 2


class Stuck(asyncio.Event):
    """Set once a call hangs."""

    def waiters(self):
        return {task for task in asyncio.all_tasks() if "Event.wait" in repr(task)}


def hang(engine, call, nth, *, after):
    """Let the n-th call of that name never return, before or after it takes effect."""
    stuck, count = Stuck(), 0
    owner = next(
        part for part in (engine.ledger, engine.platform, engine.clock) if hasattr(part, call)
    )
    real = getattr(owner, call)

    async def hanging(*args):
        nonlocal count
        count += 1
        if count != nth:
            return await real(*args)
        if after:
            await real(*args)
        stuck.set()
        return await asyncio.Event().wait()

    setattr(owner, call, hanging)
    return stuck


@pytest.mark.parametrize("turns", range(4))
@in_virtual_time
async def test_a_cancel_is_not_lost_in_a_wake_up(turns):
    """A worker that wants more at the same moment does not swallow it."""
    pipeline = EngineFixture().pipeline(once=False)
    running = asyncio.create_task(pipeline.run())
    await asyncio.sleep(10.1)
    pipeline._wanted.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait([running], timeout=1)
    assert running.cancelled()


@in_virtual_time
async def test_cancelling_in_the_drain_takes_effect_at_once():
    """The second signal: nobody waits for the drain's limit."""
    engine = EngineFixture(latency=100)
    pipeline = engine.pipeline(contacts(3))
    running = asyncio.create_task(pipeline.run())
    await until(lambda: engine.platform.requests)
    pipeline.stop()
    await asyncio.sleep(1)
    moment = engine.clock.monotonic()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert engine.clock.monotonic() == moment
    engine.ledger.recover()
    assert engine.ledger.count(Status.READY) == 3


@in_virtual_time
async def test_a_contact_that_was_skipped_or_rejected_makes_room_for_the_next():
    """Contacts without a request go through without a pause."""
    engine = EngineFixture()
    batch = [contact(n, expires_at=START) for n in range(500)]
    assert await engine.pipeline(batch).run() is RunOutcome.DONE
    assert engine.ledger.end("key-7") == (Status.SKIPPED, Reason.EXPIRED)
    assert engine.clock.monotonic() < 10


def test_the_loop_of_these_tests_finds_a_lost_wake_up_and_a_busy_loop():
    """The tests above rely on this loop."""

    async def spin():
        for _ in range(10**9):
            await asyncio.sleep(0)

    with pytest.raises(StuckError, match="wake-up"):
        in_virtual_time(asyncio.Event().wait)()
    with pytest.raises(StuckError, match="busy"):
        in_virtual_time(spin)()
