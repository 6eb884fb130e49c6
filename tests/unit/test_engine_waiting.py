"""Sessions that are waited for: looks at them leave most of the quota to other contacts."""

import asyncio

import pytest

from dispatcher.domain.decision import BargeIn, DecisionPolicy
from dispatcher.domain.progress import Progress, RetryPolicy
from dispatcher.domain.status import Status, Step
from dispatcher.engine.run_options import RunOutcome
from dispatcher.pacing.pacer import QuotaPacer
from tests.support.engine import EngineFixture, contacts
from tests.support.scripted import ENDED, GOOD, NOT_ENDED, OPEN
from tests.support.virtual import START, VirtualClock, in_virtual_time

A_SECOND = 10
OTHERS = 350
MOST = 1.35
"""How much longer the others may take than alone."""
FAST = RetryPolicy(not_ended_seconds=3.0, not_ended_max_seconds=3600.0)
POLICY = DecisionPolicy(
    barge_in=BargeIn.NEVER, engaged_seconds=3.0, engaged_max_seconds=86_400.0, retry=FAST
)


def number(conversation_id):
    return int(conversation_id.rsplit("-")[-1])


def staying(state, waiting):
    """Answers of which the sessions that ``waiting`` selects never end."""

    def answer(request):
        if request.step is Step.CHECK:
            return state if waiting(number(request.conversation_id)) else ENDED
        return GOOD[request.step]

    return answer


def paced(answer, policy=POLICY, **more):
    pacer = QuotaPacer(A_SECOND * 2, 2.0, VirtualClock())
    return EngineFixture(answer, policy, pacer, **more)


async def seconds_of_the_others(answer, people):
    """Return when the last of `OTHERS` messages was sent, and the engine, which stops then."""
    engine, begun = paced(answer), asyncio.get_running_loop().time()
    batches = [people[first : first + 256] for first in range(0, len(people), 256)]
    running = asyncio.create_task(engine.pipeline(*batches, workers=8, once=False).run())
    all_sent = asyncio.Event()

    def count(request):
        if request.step is Step.OPEN and engine.platform.steps().count(Step.OPEN) == OTHERS:
            all_sent.set()

    engine.platform.on_wire = count
    async with asyncio.timeout(600):
        await all_sent.wait()
    engine.stream.stop()
    assert await running is RunOutcome.DRAINED
    sends = [request for request in engine.platform.requests if request.step is Step.OPEN]
    return sends[-1].at - begun, len(sends), engine


@pytest.mark.parametrize("state", [OPEN, NOT_ENDED], ids=["open", "not_ended"])
@in_virtual_time
async def test_thirty_percent_that_stay_open_hold_the_others_up_a_little(state):
    everybody = contacts(500)

    def waits(n):
        return n % 10 in {1, 4, 7}

    others = [one for one in everybody if not waits(number(one.conversation_id))]
    alone, sent_alone, _ = await seconds_of_the_others(staying(state, lambda _: False), others)
    beside, sent, engine = await seconds_of_the_others(staying(state, waits), everybody)
    assert sent == sent_alone == OTHERS
    assert beside <= MOST * alone
    looks = sum(
        request.step is Step.CHECK and waits(number(request.conversation_id))
        for request in engine.platform.requests
    )
    assert looks > 150, "sessions are looked at again meanwhile"


@in_virtual_time
async def test_many_looks_that_are_overdue_at_the_start_do_not_hold_new_contacts_up():
    """After a night without a run: 500 sessions are due, and 100 new contacts come."""
    engine = paced(staying(OPEN, lambda n: n > 1000))
    for one in contacts(500, first=1001):
        waiting = Progress(engaged_since=START - 1000)
        engine.ledger.put(one, due=START - 500 + number(one.conversation_id) / 10, progress=waiting)
    alone = 100 * 2 / A_SECOND
    running = asyncio.create_task(engine.pipeline(contacts(100), workers=8, once=False).run())
    await asyncio.sleep(1.5 * alone)
    assert engine.ledger.count(Status.OPENED) == 100
    await asyncio.sleep(60)
    looks = [request.conversation_id for request in engine.platform.requests][200:]
    assert len(looks) > 400, "with nobody else left the quota is theirs"
    engine.stream.stop()
    await running


@in_virtual_time
async def test_looks_do_not_wait_for_the_end_of_a_batch():
    """New contacts that are admitted are due for longer, and still do not hold the looks up."""
    engine = paced(staying(OPEN, lambda n: n <= 2))
    running = asyncio.create_task(engine.pipeline(contacts(256), workers=4, once=False).run())
    await asyncio.sleep(20)
    looks = engine.platform.requests
    of_one = [request.at for request in looks if request.conversation_id == "conversation-1"]
    assert len(of_one) >= 4, "3, 6 and more seconds after the first"
    engine.stream.stop()
    await running
