"""Campaigns that are paused and resumed at any moment: nobody twice, nobody lost."""

import asyncio
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.domain.status import Status, Step
from dispatcher.engine.run_options import RunOutcome
from tests.support.campaigns import CampaignsFixture, people
from tests.support.virtual import in_virtual_time

PEOPLE = 60
NAMES = ("a", "b", "c")

acts = st.lists(
    st.tuples(st.floats(0, 1.5), st.sampled_from(NAMES), st.sampled_from(["pause", "resume"])),
    max_size=12,
)


@settings(max_examples=25)
@given(acts, st.booleans(), st.floats(0, 6), st.integers(1, 9))
def test_whoever_pauses_and_resumes_everybody_gets_one_message(acts, by_priority, stop, workers):
    """Also across a stop and a second run; afterwards nothing is held by anybody."""
    requests = Counter()

    @in_virtual_time
    async def play():
        run = CampaignsFixture()
        for number, name in enumerate(NAMES):
            half = PEOPLE // 2
            everybody = people(name, PEOPLE)
            run.add(name, everybody[:half], everybody[half:], seconds=0.3, priority=number)
        running = asyncio.create_task(
            run.pipeline(workers=workers, by_priority=by_priority, once=False).run()
        )
        acting = asyncio.create_task(act(run.stream))
        await asyncio.sleep(stop)
        run.stream.stop()
        assert await running is RunOutcome.DRAINED
        await acting
        for name in NAMES:
            assert run.ledgers[name].count(Status.CLAIMED, Status.SENDING) == 0
            await run.ledgers[name].resume()
        again = run.again()
        assert (
            await again.pipeline(workers=workers, by_priority=by_priority).run() is RunOutcome.DONE
        )
        sends = [r for r in run.engine.platform.requests if r.step is Step.OPEN]
        requests.update(request.conversation_id for request in sends)

    async def act(stream):
        for seconds, name, what in acts:
            await asyncio.sleep(seconds)
            await getattr(stream, what)(name)

    play()
    assert requests == {f"{name}-{n}": 1 for name in NAMES for n in range(PEOPLE)}
