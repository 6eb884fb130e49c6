"""Contacts that are refused alike: the campaign halts before one of them is final."""

import asyncio
import re

import pytest

from dispatcher.domain.conversation import State
from dispatcher.domain.events import Gauges, Halted, Probed, Resumed
from dispatcher.domain.status import HaltReason, Reason, Status, Step
from dispatcher.engine.run_options import RunOutcome
from tests.support.campaigns import CampaignsFixture, people
from tests.support.engine import EngineFixture, contacts
from tests.support.scripted import GOOD, OPEN, refused, state_answer
from tests.support.virtual import in_virtual_time

GONE = refused(404)
WRONG_SENDER = refused(400)
MOST_REFUSED = 60


def number(request):
    return int(request.conversation_id.rsplit("-")[-1])


def guarded(answer, **more):
    return EngineFixture(answer, halt_suspicious=True, **more)


def refusals(engine):
    return sum(request.result.status // 100 == 4 for request in engine.platform.requests)


def halts(engine):
    return [e.detail for e in engine.events.of_type(Halted) if e.reason is HaltReason.SUSPICIOUS]


def batches(count, size=250):
    everybody = contacts(count)
    return [everybody[first : first + size] for first in range(0, count, size)]


def statuses(engine):
    return {row.status for row in engine.ledger.rows.values()}


def wrong_sender(request):
    return WRONG_SENDER if request.step.is_send else GOOD[request.step]


def half_open(request):
    """A wrong sender; every second session is open, so half of the sends are notifies."""
    if request.step.is_send:
        return WRONG_SENDER
    return OPEN if number(request) % 2 else GOOD[request.step]


def foreign_list(request):
    return GONE if request.step is Step.CHECK else GOOD[request.step]


def no_person(request):
    nobody = state_answer(State.ENDED, identity=None)
    return nobody if request.step is Step.CHECK else GOOD[request.step]


@pytest.mark.parametrize("workers", [1, 8, 64])
@pytest.mark.parametrize("answer", [wrong_sender, half_open, foreign_list, no_person])
@in_virtual_time
async def test_nothing_is_final_when_all_are_refused_alike(answer, workers):
    engine = guarded(answer)
    outcome = await engine.pipeline(*batches(1000), workers=workers).run()
    assert outcome is RunOutcome.HALTED
    assert statuses(engine) == {Status.READY}
    assert refusals(engine) <= MOST_REFUSED
    assert len(halts(engine)) == 1


@in_virtual_time
async def test_after_the_mend_the_next_run_sends_to_all():
    """The next run asks once before it halts again; with the right sender it sends to everyone."""
    first = guarded(wrong_sender)
    await first.pipeline(*batches(300), workers=16).run()
    again = guarded(wrong_sender, ledger=first.ledger)
    assert await again.pipeline(workers=16, wait_limit=5.0).run() is RunOutcome.HALTED
    assert refusals(again) == 1
    mended = guarded(None, ledger=first.ledger)
    assert await mended.pipeline(workers=16).run() is RunOutcome.DONE
    assert statuses(mended) == {Status.OPENED}
    assert not halts(mended)


@in_virtual_time
async def test_the_run_goes_on_when_a_probe_passes():
    engine = guarded(lambda request: wrong_sender(request) if broken else GOOD[request.step])
    broken = True
    running = asyncio.create_task(engine.pipeline(*batches(300), wait_limit=600.0).run())
    await asyncio.sleep(100)
    probes = len(engine.events.of_type(Probed))
    assert 1 <= probes <= 3, "pauses between probes grow"
    assert refusals(engine) <= MOST_REFUSED
    broken = False
    assert await running is RunOutcome.DONE
    assert statuses(engine) == {Status.OPENED}
    assert [event.reason for event in engine.events.of_type(Resumed)] == [HaltReason.SUSPICIOUS]


@in_virtual_time
async def test_the_run_goes_on_when_a_person_says_so():
    """From then on such refusals are the contacts' own."""
    engine = guarded(wrong_sender)
    running = asyncio.create_task(engine.pipeline(*batches(300), wait_limit=600.0).run())
    await asyncio.sleep(5)
    assert engine.stream.approve("play")
    assert await running is RunOutcome.DONE
    assert engine.ledger.count(Status.REJECTED) == 300
    assert not engine.stream.approve("play")


@in_virtual_time
async def test_a_cause_that_was_accepted_before_the_run_is_final_and_no_other_one():
    """A first run names the cause; the next one passes it, also for what was put back for it."""
    first = guarded(foreign_list)
    await first.pipeline(*batches(100)).run()
    (cause,) = re.findall(r"--accept-suspicious (\S+),", halts(first)[0])
    again = guarded(foreign_list, ledger=first.ledger, accepted=[cause])
    assert await again.pipeline(workers=16).run() is RunOutcome.DONE
    assert statuses(again) == {Status.REJECTED}
    other = guarded(wrong_sender, accepted=[cause])
    assert await other.pipeline(*batches(100)).run() is RunOutcome.HALTED
    assert statuses(other) == {Status.READY}


@in_virtual_time
async def test_a_list_of_which_many_are_refused_for_their_own_reasons_goes_on():
    """40% are gone, have no channel or are refused; no one reason has most of the answers."""

    def answer(request):
        match number(request) % 10:
            case 0 | 1 | 2 if request.step is Step.CHECK:
                return GONE
            case 3 if request.step is Step.OPEN:
                return refused(422)
        return GOOD[request.step]

    engine = guarded(answer)
    assert await engine.pipeline(*batches(1000), workers=16).run() is RunOutcome.DONE
    assert not halts(engine)
    assert engine.ledger.count(Status.REJECTED) == 400
    assert engine.ledger.count(Status.OPENED) == 600
    assert len(engine.platform.steps()) == 1700, "nobody is asked twice"


@in_virtual_time
async def test_a_sender_that_is_lost_in_the_middle_makes_nobody_final():
    def answer(request):
        return wrong_sender(request) if number(request) > 500 else GOOD[request.step]

    engine = guarded(answer)
    assert await engine.pipeline(*batches(1000), workers=16).run() is RunOutcome.HALTED
    assert engine.ledger.count(Status.REJECTED) == 0
    assert engine.ledger.count(Status.OPENED) == 500
    assert refusals(engine) <= 110


@pytest.mark.parametrize(
    ("count", "outcome", "final"),
    [(1, RunOutcome.DONE, 1), (2, RunOutcome.DONE, 2), (3, RunOutcome.HALTED, 0)],
)
@in_virtual_time
async def test_a_tiny_list_ends_at_once(count, outcome, final):
    """Three alike are suspicious, and stay; fewer are no bulk."""
    engine = guarded(foreign_list)
    assert await engine.pipeline(contacts(count)).run() is outcome
    assert engine.ledger.count(Status.REJECTED) == final
    assert engine.clock.monotonic() < 5


@in_virtual_time
async def test_a_daemon_makes_the_few_final_that_nothing_follows():
    engine = guarded(lambda r: foreign_list(r) if number(r) == 1 else GOOD[r.step])
    running = asyncio.create_task(engine.pipeline(contacts(4), once=False, wait_limit=60.0).run())
    await asyncio.sleep(30)
    assert engine.ledger.row("key-1").status is Status.CLAIMED
    await asyncio.sleep(60)
    assert engine.ledger.row("key-1").settlement.reason is Reason.CONVERSATION_GONE
    engine.stream.stop()
    assert await running is RunOutcome.DRAINED


@in_virtual_time
async def test_a_drain_leaves_nothing_claimed():
    engine = guarded(wrong_sender)
    running = asyncio.create_task(engine.pipeline(*batches(300), workers=2).run())
    await asyncio.sleep(0.6)
    engine.stream.stop()
    assert await running is RunOutcome.DRAINED
    assert statuses(engine) == {Status.READY}
    suspected = [row for row in engine.ledger.rows.values() if row.progress.suspected]
    assert 3 <= len(suspected) <= 30


@in_virtual_time
async def test_a_crash_makes_nothing_final():
    """What is held is claimed in the ledger: a restart makes it ready."""
    engine = guarded(wrong_sender)
    running = asyncio.create_task(engine.pipeline(*batches(300), workers=4).run())
    await asyncio.sleep(0.7)
    running.cancel()
    await asyncio.wait([running])
    assert statuses(engine) <= {Status.READY, Status.CLAIMED, Status.SENDING}
    for row in engine.ledger.rows.values():
        row.status = Status.READY
    again = guarded(wrong_sender, ledger=engine.ledger)
    assert await again.pipeline().run() is RunOutcome.HALTED
    assert refusals(engine) + refusals(again) <= MOST_REFUSED


@in_virtual_time
async def test_without_the_setting_a_refusal_is_final_at_once():
    engine = EngineFixture(foreign_list)
    assert await engine.pipeline(*batches(300)).run() is RunOutcome.DONE
    assert engine.ledger.count(Status.REJECTED) == 300


@in_virtual_time
async def test_one_campaign_that_halts_does_not_hold_up_another():
    run = CampaignsFixture(
        engine=guarded(
            lambda r: foreign_list(r) if "a-" in str(r.conversation_id) else GOOD[r.step]
        )
    )
    run.add("a", people("a", 100)).add("b", people("b", 100))
    assert await run.pipeline(workers=8).run() is RunOutcome.HALTED
    assert run.ledgers["a"].count(Status.READY) == 100
    assert run.ledgers["b"].count(Status.OPENED) == 100


@in_virtual_time
async def test_the_gauges_say_what_is_held_and_when_the_run_drains():
    """Held contacts are in flight, and need no progress; neither does a run that drains."""
    engine = guarded(wrong_sender)
    stream = engine.pipeline(contacts(2), once=False, wait_limit=3600.0)
    running = asyncio.create_task(stream.run())
    await asyncio.sleep(900)
    gauges = engine.events.of_type(Gauges)[-1]
    assert (gauges.held, gauges.in_flight, gauges.draining) == (2, 2, False)
    stream.stop()
    await running
    assert engine.events.of_type(Gauges)[-1].draining
