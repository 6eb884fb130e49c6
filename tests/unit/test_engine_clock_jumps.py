"""A wall clock that is put forward or back in mid-run: nobody twice, nobody lost, no standstill."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from dispatcher.domain.events import Answered
from dispatcher.domain.status import Status, Step
from dispatcher.engine.pipeline import RunOutcome
from dispatcher.platforms.http import PlatformClock
from tests.support.engine import EngineFixture, contacts
from tests.support.rawserver import FakeClock
from tests.support.scripted import GOOD, NOT_ENDED, ScriptedPlatform
from tests.support.virtual import START, in_virtual_time

HOUR, DAY = 3600.0, 86400.0
JUMPS = [HOUR / 2, DAY, -HOUR / 2, -2 * DAY]
PLATFORM_AHEAD = 5.0


def sent(engine):
    return Counter(r.conversation_id for r in engine.platform.requests if r.step is Step.OPEN)


def jumping(engine, seconds, *, at=20):
    """Answer as usual, put some back once, and put the clock forward at one of the requests."""
    checked = Counter()

    def answer(request):
        if len(engine.platform.requests) == at:
            engine.clock.jumped += seconds
        checked[request.conversation_id] += request.step is Step.CHECK
        slow = request.conversation_id.endswith(("3", "7"))
        first = checked[request.conversation_id] == 1 and request.step is Step.CHECK
        return NOT_ENDED if slow and first else GOOD[request.step]

    return answer


@pytest.mark.parametrize("seconds", [HOUR, DAY, -HOUR / 2])
@in_virtual_time
async def test_a_jump_in_mid_run_sends_nobody_twice(seconds):
    """A daemon goes on; what was put back waits at most as long as the clock was put back."""
    engine = EngineFixture()
    engine.platform.answer = jumping(engine, seconds)
    running = engine.pipeline(contacts(40), once=False)
    task = asyncio.ensure_future(running.run())
    while engine.ledger.count(Status.OPENED) < 40 and engine.clock.monotonic() < HOUR:  # noqa: ASYNC110 - virtual time
        await asyncio.sleep(5)
    running.stop()
    await task
    assert set(sent(engine).values()) == {1}
    assert len(sent(engine)) == 40
    assert engine.clock.monotonic() < max(0.0, -seconds) + 60


@pytest.mark.parametrize("seconds", JUMPS)
@in_virtual_time
async def test_a_jump_in_a_run_that_ends(seconds):
    """With --once the run ends, done or with contacts left for the next one; none is sent twice."""
    engine = EngineFixture()
    engine.platform.answer = jumping(engine, seconds)
    ending = await engine.pipeline(contacts(40)).run()
    left = engine.ledger.count(Status.READY)
    assert (ending, left) == (RunOutcome.DONE, 0) or (ending is RunOutcome.DEFERRED and left)
    assert engine.ledger.count(Status.OPENED) == 40 - left
    assert set(sent(engine).values()) == {1}
    assert engine.clock.monotonic() < 90


class DatedPlatform(ScriptedPlatform):
    """A platform whose answers say what time it is there."""

    def __init__(self, clock):
        super().__init__()
        self.clock = clock

    async def _request(self, *request):
        reply = await super()._request(*request)
        return replace(reply, clock=platform_now(self.clock) - self.clock.time())


def platform_now(clock):
    return START + PLATFORM_AHEAD + clock.monotonic()


@pytest.mark.parametrize("seconds", JUMPS)
@in_virtual_time
async def test_an_intent_has_the_platforms_time_whatever_ours_does(seconds):
    """Between the state check and the intent our clock jumps; a look-back must still find it."""
    platform = DatedPlatform(None)
    engine = EngineFixture(platform=platform)
    platform.clock = engine.clock
    intents = []

    async def before(name):
        if name == "intend":
            intents.append(platform_now(engine.clock))

    def answer(request):
        return GOOD[request.step]

    platform.answer = answer
    engine.ledger.before = before
    emit = engine.events.emit

    def jump(event):
        emit(event)
        if isinstance(event, Answered) and event.step is Step.CHECK:
            engine.clock.jumped += seconds

    engine.events.emit = jump
    row = await engine.deliver()
    assert row.status is Status.OPENED
    assert row.intent.at == pytest.approx(intents[0], abs=0.01)


@pytest.mark.parametrize("seconds", JUMPS)
def test_the_platforms_clock_does_not_jump_with_ours(seconds):
    """Between two Date headers it goes by as the monotonic clock has it."""
    clock = FakeClock()
    platform = PlatformClock(clock)
    date = {"Date": "Tue, 14 Nov 2023 22:13:50 GMT"}
    assert platform.ahead(date) == 30.0
    clock.epoch += seconds
    assert platform.ahead(date) == 30.0 - seconds
