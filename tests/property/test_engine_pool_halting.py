"""Many workers and several clients, each of which comes and goes by itself, in virtual time."""

import asyncio
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.domain.events import Halted, Probed, Resumed
from dispatcher.domain.status import FINAL, HaltReason, Reason, Status, Step
from dispatcher.engine.run_options import RunOutcome
from dispatcher.ports import CredentialsError, TokenUnavailableError
from tests.support.engine import contacts
from tests.support.pool import PoolFixture
from tests.support.scripted import GOOD, NOT_SENT, EventList, ScriptedPlatform, refused, throttled
from tests.support.virtual import in_virtual_time

PEOPLE = 15
MOST_PER_PROBE = 4
"""A check and a send, each once more with a new token."""


def _link(result):
    return lambda request: result if request.step is Step.OPEN else GOOD[request.step]


FINE = (lambda request: GOOD[request.step], ())
MODES = [
    FINE,
    (_link(refused(403)), ("write",)),
    (_link(refused(409)), ("write",)),
    (_link(refused(403)), ()),
    (lambda _: refused(401), ()),
    (lambda _: NOT_SENT, TokenUnavailableError("down")),
    (lambda _: throttled(2), ()),
    (_link(throttled(40, "sends")), ()),
    (lambda _: CredentialsError("refused"), CredentialsError("refused")),
]
PHASES = st.lists(st.tuples(st.floats(0.02, 60), st.sampled_from(MODES)), max_size=5)


class Counting(EventList):
    """Events, each with how many requests its client had made by then."""

    def __init__(self, platforms):
        super().__init__()
        self._platforms = platforms
        self.made = []

    def emit(self, event):
        super().emit(event)
        client = getattr(event, "client", "")
        self.made.append(len(self._platforms[client].requests) if client else 0)

    def halts(self, client):
        """Requests of a client while it was halted, and how often it was probed meanwhile."""
        begun = None
        for event, made in zip(self, self.made, strict=True):
            if getattr(event, "client", None) != client:
                continue
            match event:
                case Halted(reason):
                    begun, probes, why = made, 0, reason
                case Probed():
                    probes += 1
                case Resumed() if begun is not None:
                    yield why, made - begun, probes
                    begun = None


async def live_through(platform, phases):
    for seconds, mode in phases:
        platform.answer, platform.missing = mode
        await asyncio.sleep(seconds)
    platform.answer, platform.missing = FINE


@settings(max_examples=60, derandomize=True)
@given(
    lives=st.lists(PHASES, min_size=2, max_size=3),
    stop=st.none() | st.floats(0, 120),
    quota=st.sampled_from([60, 600, 60_000]),
)
@in_virtual_time
async def test_no_request_leaves_through_a_halted_client_but_its_probes(lives, stop, quota):
    """Whatever befalls each client, everybody gets one message, and no wake-up is lost.

    Without a drain all are final once the clients behave; with one the run ends soon.
    """
    names = [f"client_{number}" for number in range(len(lives))]
    platforms = {name: ScriptedPlatform() for name in names}
    engine = PoolFixture(
        platforms=platforms, quotas=dict.fromkeys(names, quota), events=Counting(platforms)
    )
    pipeline = engine.pipeline(contacts(PEOPLE), workers=5, wait_limit=100_000)
    living = [
        asyncio.create_task(live_through(engine.platforms[name], phases))
        for name, phases in zip(names, lives, strict=True)
    ]
    running = asyncio.create_task(pipeline.run())
    if stop is not None:
        await asyncio.sleep(stop)
        pipeline.stop()
        done, _ = await asyncio.wait([running], timeout=3)
        assert done, "a drain waits for nothing but what is on the wire"
    ending = await asyncio.wait_for(running, 3000)
    for task in living:
        task.cancel()
    rows = engine.ledger.rows.values()
    if stop is None:
        assert ending is RunOutcome.DONE
        assert all(row.status in FINAL for row in rows)
    else:
        assert ending in (RunOutcome.DRAINED, RunOutcome.DONE)
        assert all(row.status in FINAL | {Status.READY} for row in rows)
    reasons = {row.settlement.reason for row in rows if row.settlement}
    assert reasons <= {Reason.DELIVERED, Reason.FORBIDDEN_CONTACT}
    assert all(row.progress.attempts == 0 for row in rows)
    requests = [r for platform in engine.platforms.values() for r in platform.requests]
    taken = Counter(r.conversation_id for r in requests if r.result is GOOD[Step.OPEN])
    assert set(taken.values()) <= {1}
    assert len(taken) == engine.ledger.count(Status.OPENED)
    for name in names:
        for reason, made, probes in engine.events.halts(name):
            assert made <= MOST_PER_PROBE * probes, (name, reason)
            if reason is not HaltReason.PLATFORM_DOWN:
                assert probes > 0
