"""Claims that are taken out of the ledger before the guard lets workers take them."""

import asyncio
from collections import Counter

from dispatcher.domain.status import Status, Step
from dispatcher.engine.run_options import RunOutcome
from tests.support.engine import PROBE_SECONDS, EngineFixture, contacts
from tests.support.scripted import GOOD, refused
from tests.support.virtual import in_virtual_time, until

WORKERS = 32


def engine_for(number, answer=None, **options):
    """Return an engine whose guard is on, and a pipeline of so many contacts in batches."""
    engine = EngineFixture(answer, halt_suspicious=True)
    people = contacts(number)
    batches = [people[start : start + 200] for start in range(0, number, 200)]
    return engine, engine.pipeline(*batches, workers=WORKERS, **options)


def count_calls(engine):
    calls = Counter()

    async def before(name):
        calls[name] += 1

    engine.ledger.before = before
    return calls


def checked(engine):
    return [r.conversation_id for r in engine.platform.requests if r.step is Step.CHECK]


@in_virtual_time
async def test_contacts_are_claimed_many_at_a_time():
    """The guard lets some tens of contacts be in flight; a claim is not for as few as that."""
    engine, pipeline = engine_for(1000)
    calls = count_calls(engine)
    assert await pipeline.run() is RunOutcome.DONE
    assert engine.ledger.count(Status.OPENED) == 1000
    assert calls["claim"] + calls["admit"] < 20


@in_virtual_time
async def test_what_was_claimed_ahead_is_put_back_by_a_pause():
    """Only what workers have is still claimed; after the end of the pause each is sent to once."""
    engine, pipeline = engine_for(1000, once=False)
    running = asyncio.create_task(pipeline.run())
    await until(lambda: engine.ledger.count(Status.OPENED) > 300)
    await pipeline.pause("play")
    await asyncio.sleep(1)
    assert engine.ledger.count(Status.CLAIMED) == 0
    await pipeline.resume("play")
    await until(lambda: engine.ledger.count(Status.OPENED) == 1000)
    pipeline.stop()
    assert await running is RunOutcome.DRAINED
    assert set(Counter(checked(engine)).values()) == {1}


@in_virtual_time
async def test_what_was_claimed_ahead_is_put_back_by_a_drain():
    """A run that is stopped leaves nothing claimed."""
    engine, pipeline = engine_for(1000)
    running = asyncio.create_task(pipeline.run())
    await until(lambda: engine.ledger.count(Status.OPENED) > 300)
    pipeline.stop()
    assert await running is RunOutcome.DRAINED
    assert engine.ledger.count(Status.CLAIMED, Status.SENDING) == 0


@in_virtual_time
async def test_a_limit_counts_what_is_claimed_ahead():
    """No more contacts are taken than the run may take."""
    engine, pipeline = engine_for(1000, limit=333)
    assert await pipeline.run() is RunOutcome.DONE
    assert len(checked(engine)) == 333
    assert engine.ledger.count(Status.CLAIMED) == 0


@in_virtual_time
async def test_a_halt_puts_back_what_was_claimed_ahead():
    """The probe is a contact that was refused, and not one of those that were claimed ahead."""
    answers = {"good": True}

    def answer(request):
        is_refused = request.step is Step.OPEN and not answers["good"]
        return refused(400) if is_refused else GOOD[request.step]

    engine, pipeline = engine_for(1000, answer)
    running = asyncio.create_task(pipeline.run())
    await until(lambda: engine.ledger.count(Status.OPENED) > 300)
    answers["good"] = False
    await until(lambda: engine.campaign_run.halted_since is not None)
    await asyncio.sleep(1)
    before = set(checked(engine))
    await asyncio.sleep(PROBE_SECONDS)
    assert set(checked(engine)) == before
    assert engine.ledger.count(Status.CLAIMED) <= 1
    answers["good"] = True
    assert await running is RunOutcome.DONE
    assert engine.ledger.count(Status.OPENED) == 1000
