"""How full batches are: the quota decides, and nobody waits where it is ample."""

import asyncio
from collections import Counter

import pytest

from dispatcher.domain.answer import Answer
from dispatcher.domain.conversation import Conversation, State
from dispatcher.domain.status import Status, Step
from dispatcher.engine.run_options import RunOutcome
from dispatcher.pacing.pacer import QuotaPacer
from tests.support.engine import EngineFixture, contacts
from tests.support.scripted import GOOD, GUEST, OpenPacer, refused, throttled
from tests.support.virtual import VirtualClock, in_virtual_time, until

CHECK, MANY, LINK = Step.CHECK, Step.CHECK_MANY, Step.OPEN


def answer(request):
    if request.step is not MANY:
        return GOOD[request.step]
    found = (Conversation(id_, State.ENDED, f"x-{id_}", GUEST) for id_ in request.conversation_id)
    return Answer(200, from_platform=True, conversations=tuple(found))


def engine_of(a_second, latency, states_per_call="auto"):
    pacer = QuotaPacer(60 * a_second, 60.0, VirtualClock()) if a_second else OpenPacer()
    return EngineFixture(answer, None, pacer, latency, states_per_call=states_per_call)


async def run(engine, number, workers=64):
    assert await engine.pipeline(contacts(number), workers=workers).run() is RunOutcome.DONE
    assert engine.ledger.count(Status.OPENED) == number
    return Counter(request.step for request in engine.platform.requests)


@pytest.mark.parametrize(
    ("a_second", "latency", "least"),
    [(5, 0.04, 56), (5, 0.5, 40), (50, 0.04, 45), (300, 0.04, 35), (300, 0.005, 45)],
)
@in_virtual_time
async def test_batches_are_full_while_the_quota_is_scarce(a_second, latency, least):
    """Of 64 workers nearly all share each request, and the whole quota is used meanwhile."""
    number = 640
    engine = engine_of(a_second, latency)
    requests = await run(engine, number)
    reads = requests[MANY] + requests[CHECK]
    assert number / reads >= least
    assert engine.clock.monotonic() <= 1.1 * sum(requests.values()) / a_second


@pytest.mark.parametrize("workers", [4, 20])
@in_virtual_time
async def test_a_few_workers_fill_their_batches_too(workers):
    """A batch is not sent for a part of them because it could be larger."""
    requests = await run(engine_of(5, 0.04), 200, workers)
    assert requests[MANY] + requests[CHECK] <= 200 / workers * 1.3 + 2


@pytest.mark.parametrize("latency", [0.005, 0.2])
@in_virtual_time
async def test_nobody_waits_for_others_where_the_quota_is_ample(latency):
    """A run takes as long as with individual reads: two requests one after the other."""
    alone, batched = engine_of(0, latency, 1), engine_of(0, latency)
    begin = alone.clock.monotonic()
    await run(alone, 640)
    middle = alone.clock.monotonic()
    await run(batched, 640)
    assert batched.clock.monotonic() - middle <= 1.02 * (middle - begin) + latency


@pytest.mark.parametrize("refusal", [throttled(1), refused(401)], ids=str)
@in_virtual_time
async def test_a_batch_that_the_next_permit_resolves_is_read_again(refusal):
    """It costs one request, not one for each contact of the batch."""
    engine, left = engine_of(10, 0.04), [refusal]

    def once(request):
        is_first = request.step is MANY and left
        return left.pop() if is_first else answer(request)

    engine.platform.answer = once
    requests = await run(engine, 400)
    assert requests[CHECK] <= 5
    assert requests[MANY] <= 12


@in_virtual_time
async def test_a_drain_ends_the_wait_for_the_answer_to_a_large_batch():
    """Nobody hangs, whether in the batch or behind it."""
    engine = engine_of(300, 5.0)
    stream = engine.pipeline(contacts(500), workers=64)
    task = asyncio.create_task(stream.run())
    await until(lambda: MANY in engine.platform.steps())
    stream.stop()
    assert await asyncio.wait_for(task, 120) is RunOutcome.DRAINED
    assert not engine.ledger.count(Status.CLAIMED)
