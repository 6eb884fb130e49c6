"""The whole stream: how a run ends, what stops it, and cancelling it at any moment."""

import asyncio
import traceback
from collections import Counter

import pytest

from dispatcher.domain.events import Gauges
from dispatcher.domain.status import FINAL, HaltReason, Reason, Status, Step
from dispatcher.engine.run_options import RunOutcome
from dispatcher.ports import Batch, LedgerError, SourceError
from tests.support.engine import Bench, contact, contacts
from tests.support.scripted import GOOD, NOT_ENDED, NOT_SENT, OPENED, ListSource, refused
from tests.support.virtual import START, StuckError, in_virtual_time, until

CHECK, LINK = Step.CHECK, Step.OPEN


def sent(bench):
    return Counter(r.conversation_id for r in bench.platform.requests if r.step is LINK)


@in_virtual_time
async def test_an_exhausted_run_is_done():
    """Everybody has a final status, once, and the last gauges say that nothing is left."""
    bench = Bench()
    assert await bench.pipeline(contacts(50), contacts(50, first=51)).run() is RunOutcome.DONE
    assert bench.ledger.count(Status.OPENED) == 100
    assert set(sent(bench).values()) == {1}
    assert bench.platform.most_at_once == 4
    last = bench.events.of(Gauges)[-1]
    assert (last.in_flight, last.backlog, last.oldest_due) == (0, 0, 0.0)
    assert bench.source.closed


@in_virtual_time
async def test_an_empty_source_is_done_at_once():
    """No worker has anything to do, and nobody waits for one."""
    bench = Bench()
    assert await bench.pipeline().run() is RunOutcome.DONE
    assert bench.clock.monotonic() < 1


@pytest.mark.parametrize(
    ("due", "ending", "took"), [(50, RunOutcome.DONE, 50), (70, RunOutcome.DEFERRED, 0)]
)
@in_virtual_time
async def test_a_run_waits_for_what_is_due_within_its_limit_and_leaves_the_rest(due, ending, took):
    """With --once; it says that something is left."""
    bench = Bench()
    given = [contact(1), contact(2, not_before=START + due)]
    assert await bench.pipeline(given).run() is ending
    assert bench.clock.monotonic() == pytest.approx(took, abs=1)
    assert bench.ledger.count(Status.OPENED) == 1 + (ending is RunOutcome.DONE)
    assert bench.ledger.count(Status.READY) == (ending is RunOutcome.DEFERRED)


@in_virtual_time
async def test_waiting_is_bounded_over_all_delays_of_a_contact():
    """A contact that is put off again and again does not keep the run for ever."""
    bench = Bench(lambda _: NOT_ENDED)
    assert await bench.pipeline(contacts(1), wait_limit=20).run() is RunOutcome.DEFERRED
    assert bench.clock.monotonic() == pytest.approx(20, abs=6)


@pytest.mark.parametrize("halted_before", [True, False])
@in_virtual_time
async def test_a_run_that_stands_still_for_too_long_ends_halted(halted_before):
    """With contacts in hand, which go back to the ledger."""
    bench = Bench(lambda request: refused(403) if request.step is LINK else GOOD[CHECK])
    bench.platform.missing = ("write",)
    if halted_before:
        bench.halts.halt(HaltReason.SCOPE, "", LINK)
    assert await bench.pipeline(contacts(30), wait_limit=100).run() is RunOutcome.HALTED
    assert bench.clock.monotonic() == pytest.approx(100, abs=2)
    assert bench.ledger.count(Status.READY) == len(bench.ledger.rows)
    assert max(sent(bench).values(), default=0) <= 1


@in_virtual_time
async def test_a_platform_that_stays_down_ends_the_run_halted():
    """And no contact has spent an attempt."""
    bench = Bench(lambda _: NOT_SENT)
    assert await bench.pipeline(contacts(10), wait_limit=30).run() is RunOutcome.HALTED
    assert bench.ledger.count(Status.READY) == 10
    assert {row.progress.attempts for row in bench.ledger.rows.values()} == {0}


@in_virtual_time
async def test_a_daemon_goes_on_until_it_is_stopped():
    """Without --once an exhausted source and a halt are no reason to end."""
    bench = Bench()
    pipeline = bench.pipeline(contacts(3), once=False, wait_limit=1)
    running = asyncio.create_task(pipeline.run())
    await asyncio.sleep(500)
    bench.halts.halt(HaltReason.SCOPE, "")
    bench.platform.missing = ("write",)
    await asyncio.sleep(500)
    assert not running.done()
    assert bench.ledger.count(Status.OPENED) == 3
    assert len(bench.events.of(Gauges)) == pytest.approx(100, abs=2)
    pipeline.stop()
    assert await running is RunOutcome.DRAINED


@pytest.mark.parametrize(
    "call", ["positions", "admit", "claim", "intend", "settle", "defer", "retract", "backlog"]
)
@in_virtual_time
async def test_a_lost_ledger_comes_out_as_itself(call):
    """Whichever write meets it; not wrapped in a group."""
    answers = iter([NOT_ENDED, GOOD[CHECK], refused(409)])
    bench = Bench(lambda request: next(answers, GOOD[request.step]))

    async def fail(name):
        if name == call:
            raise LedgerError("the disk is full")

    bench.ledger.before = fail
    with pytest.raises(LedgerError, match="disk is full") as caught:
        await bench.pipeline(contacts(3), workers=1).run()
    assert "the disk is full" in "".join(traceback.format_exception(caught.value))
    assert bench.source.closed or not bench.source.known


@in_virtual_time
async def test_a_source_that_cannot_be_read_comes_out_as_itself_after_a_drain():
    """Nothing that was on the wire is left in doubt because a file went away."""
    bench = Bench(latency=3)
    source = ListSource(Batch(contacts(2)), SourceError("contacts.csv is gone"), seconds=4)
    with pytest.raises(SourceError, match="is gone"):
        await bench.pipeline(source=source).run()
    assert bench.ledger.count(Status.OPENED) == 2
    early = Bench()
    with pytest.raises(SourceError, match="is gone"):
        await early.pipeline(source=ListSource(SourceError("contacts.csv is gone"))).run()


@in_virtual_time
async def test_a_bug_in_a_delivery_stops_the_run_loudly():
    """It comes out as what it is, and nobody else goes on."""
    bench = Bench(
        lambda request: ZeroDivisionError("a bug") if request.step is LINK else GOOD[CHECK]
    )
    with pytest.raises(ZeroDivisionError, match="a bug"):
        await bench.pipeline(contacts(50)).run()
    assert len(bench.platform.requests) <= 8
    assert bench.pacer.permits
    assert all(permit.end for permit in bench.pacer.permits)


@in_virtual_time
async def test_a_bug_while_the_run_drains_is_not_swallowed():
    """The drain is no place to hide."""
    bench = Bench(
        lambda request: ZeroDivisionError("a bug") if request.step is LINK else GOOD[CHECK],
        latency=5,
    )
    pipeline = bench.pipeline(contacts(2))
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


CALLS = ["positions", "admit", "claim", "backlog", "intend", "retract", "settle", "defer"]


@pytest.mark.parametrize("after", [False, True], ids=["before-the-write", "after-the-write"])
@pytest.mark.parametrize("nth", [1, 2, 4])
@pytest.mark.parametrize("call", [*CALLS, "check", "open", "verify", "sleep"])
@in_virtual_time
async def test_a_run_that_is_cancelled_at_any_await_loses_nobody(call, nth, after):
    """Each call in turn never returns; the run is cancelled there, and the next one finishes.

    Afterwards everybody was sent at most once, and whoever was not is parked as in doubt.
    """
    bench = Bench(a_platform_with_everything)
    stuck = hang(bench, call, nth, after=after)
    running = asyncio.create_task(bench.pipeline(contacts(6), workers=2).run())
    done, _ = await asyncio.wait([running, asyncio.create_task(stuck.wait())], timeout=30,
                                 return_when=asyncio.FIRST_COMPLETED)  # fmt: skip
    running.cancel()
    await asyncio.wait([running], timeout=1)
    assert running.done(), "cancelling takes effect at once"
    assert running.cancelled() or running in done
    assert asyncio.all_tasks() <= {asyncio.current_task()} | stuck.waiters()
    bench.ledger.recover()
    again = Bench(a_platform_with_everything)
    again.ledger.rows, again.ledger.files = bench.ledger.rows, bench.ledger.files
    again.platform.archive = bench.platform.archive
    ending = await again.pipeline(contacts(6)).run()
    rows = bench.ledger.rows.values()
    assert len(rows) == 6
    assert all(row.status in FINAL | {Status.IN_DOUBT} for row in rows)
    assert ending is (
        RunOutcome.DEFERRED if bench.ledger.count(Status.IN_DOUBT) else RunOutcome.DONE
    )
    taken = Counter(
        r.conversation_id
        for b in (bench, again)
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


def hang(bench, call, nth, *, after):
    """Let the n-th call of that name never return, before or after it takes effect."""
    stuck, count = Stuck(), 0
    owner = next(
        each for each in (bench.ledger, bench.platform, bench.clock) if hasattr(each, call)
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
    pipeline = Bench().pipeline(once=False)
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
    bench = Bench(latency=100)
    pipeline = bench.pipeline(contacts(3))
    running = asyncio.create_task(pipeline.run())
    await until(lambda: bench.platform.requests)
    pipeline.stop()
    await asyncio.sleep(1)
    moment = bench.clock.monotonic()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert bench.clock.monotonic() == moment
    bench.ledger.recover()
    assert bench.ledger.count(Status.READY) == 3


@in_virtual_time
async def test_a_contact_that_was_skipped_or_rejected_makes_room_for_the_next():
    """Contacts without a request go through without a pause."""
    bench = Bench()
    given = [contact(n, expires_at=START) for n in range(500)]
    assert await bench.pipeline(given).run() is RunOutcome.DONE
    assert bench.ledger.end("key-7") == (Status.SKIPPED, Reason.EXPIRED)
    assert bench.clock.monotonic() < 10


def test_the_loop_of_these_tests_finds_a_lost_wake_up_and_a_busy_loop():
    """The tests above rest on it."""

    async def spin():
        for _ in range(10**9):
            await asyncio.sleep(0)

    with pytest.raises(StuckError, match="wake-up"):
        in_virtual_time(asyncio.Event().wait)()
    with pytest.raises(StuckError, match="busy"):
        in_virtual_time(spin)()
