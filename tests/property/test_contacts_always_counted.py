"""All admitted contacts are in the gauges at every moment, whatever happens to them."""

import asyncio
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.domain.events import Gauges, RowsRead
from dispatcher.domain.status import Step
from dispatcher.domain.wait_counts import OTHER
from tests.support.engine import EngineFixture, contact, contacts
from tests.support.scripted import ENDED, ENGAGED, GOOD, NOT_ENDED, TIMEOUT, refused, throttled
from tests.support.virtual import START, in_virtual_time

ANSWERS = {
    Step.CHECK: [GOOD[Step.CHECK], ENDED, NOT_ENDED, ENGAGED, refused(503), TIMEOUT],
    Step.OPEN: [GOOD[Step.OPEN], refused(409), refused(503), TIMEOUT, throttled(20.0, "key")],
    Step.NOTIFY: [GOOD[Step.NOTIFY], refused(400), TIMEOUT],
}
ADMITTED = 40


@settings(max_examples=12)
@given(dice=st.randoms(use_true_random=False), later=st.integers(0, 10), stop_at=st.floats(1, 30))
def test_the_gauges_add_up_to_all_contacts(dice, later, stop_at):
    """At each tick, also of the run after one that ended in the middle."""
    play(dice, later, stop_at)


@in_virtual_time
async def play(dice, later, stop_at):
    engine = EngineFixture(lambda request: dice.choice(ANSWERS[request.step]))
    dated = [contact(1000 + n, not_before=START + 5 + n) for n in range(later)]
    sums = {0, ADMITTED, ADMITTED + later}
    for batches in ([contacts(ADMITTED), dated], []):
        stream = engine.pipeline(*batches, gauge_seconds=0.5)
        running = asyncio.create_task(stream.run())
        await asyncio.sleep(stop_at)
        stream.stop()
        await running
        ticks = engine.events.of_type(Gauges)
        assert ticks
        for before, tick in pairwise([ticks[0], *ticks]):
            assert sum(tick.contacts.values()) in sums
            assert sum(tick.contacts.values()) >= sum(before.contacts.values())
            assert min(tick.contacts.values()) >= 0
        assert sum(ticks[-1].contacts.values()) == len(engine.ledger.rows)
        if batches:
            reads = engine.events.of_type(RowsRead)
            assert sum(read.admitted for read in reads) == len(engine.ledger.rows)
            assert not any(reason == OTHER for tick in ticks for _, reason in tick.contacts)
        engine.ledger.recover(engine.clock.time())
        engine.events.clear()
