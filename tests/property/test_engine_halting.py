"""Many workers while scopes and the platform come and go, in virtual time."""

import asyncio
from collections import Counter
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.domain.answer import GrantKind, MissingGrant
from dispatcher.domain.events import Halted, Probed, Resumed
from dispatcher.domain.status import FINAL, HaltReason, Reason, Status, Step
from dispatcher.engine.run_options import RunOutcome
from dispatcher.ports import CredentialsError, TokenUnavailableError
from tests.support.engine import PROBE_SECONDS, EngineFixture, contacts
from tests.support.scripted import GOOD, NOT_SENT, EventList, refused, throttled
from tests.support.virtual import in_virtual_time

PEOPLE = 15
MOST_PER_PROBE = 4
"""A check and a send, each once more with a new token."""


class Fine:
    missing = ()

    def answer(self, request):
        return GOOD[request.step]


class Lost(Fine):
    """The write scope is gone; a 403, or the same masked."""

    missing = ("write",)

    def __init__(self, status):
        self.status = status

    def answer(self, request):
        return refused(self.status) if request.step is Step.OPEN else GOOD[request.step]


class Forbidden(Lost):
    """A permission is missing that is no scope."""

    missing = ()


class Named(Forbidden):
    """The same, and the refusal's body says what is missing."""

    def __init__(self, lack):
        self.lack = lack

    def answer(self, request):
        return (
            refused(403, missing_kind=self.lack)
            if request.step is Step.OPEN
            else GOOD[request.step]
        )


class NoRole(Named):
    """The client has no role, and its token says so."""

    missing = (MissingGrant(GrantKind.PERMISSION, "to send", "there"),)


class Always(Fine):
    """One answer to everything."""

    def __init__(self, result, missing=()):
        self.result, self.missing = result, missing

    def answer(self, request):
        return self.result


MODES = [
    Fine(), Lost(403), Lost(409), Forbidden(403), Always(NOT_SENT), Always(refused(401)),
    Always(NOT_SENT, TokenUnavailableError("down")), Always(throttled(2)),
    Always(CredentialsError("refused"), CredentialsError("refused")),
    *map(Named, GrantKind), NoRole(GrantKind.PERMISSION),
]  # fmt: skip


AT_ONCE = (HaltReason.FORBIDDEN, HaltReason.PERMISSION, HaltReason.DIVISION)
"""May concern one contact alone: another one is asked at once."""


class Timed(EventList):
    """Events with the moment of each."""

    def __init__(self):
        super().__init__()
        self.moments = []

    def emit(self, event):
        super().emit(event)
        self.moments.append(asyncio.get_running_loop().time())

    def halts(self):
        """Begin, end and reasons of each time during which the run was halted, and its probes."""
        spans, begun = [], None
        for event, moment in zip(self, self.moments, strict=True):
            match event:
                case Halted(reason):
                    begun = [moment, None, reason, []]
                    spans.append(begun)
                case Resumed():
                    begun[1] = moment
                case Probed():
                    begun[3].append(moment)
        return spans


async def live_through(platform, phases):
    for seconds, mode in phases:
        platform.answer, platform.missing = mode.answer, mode.missing
        await asyncio.sleep(seconds)
    platform.answer, platform.missing = Fine().answer, ()


@settings(max_examples=50, derandomize=True)
@given(
    phases=st.lists(st.tuples(st.floats(0.02, 60), st.sampled_from(MODES)), max_size=6),
    stop=st.none() | st.floats(0, 120),
    latency=st.sampled_from([0.05, 1.0]),
)
@in_virtual_time
async def test_whatever_comes_and_goes_everybody_gets_one_message(phases, stop, latency):
    """The run always comes to its end; while it is halted, only probes reach the platform.

    Without a drain all are final once the platform behaves: no wake-up is ever lost. With one
    the run ends soon, and nobody is left claimed.
    """
    engine = EngineFixture(latency=latency, events=Timed())
    pipeline = engine.pipeline(contacts(PEOPLE), workers=5, wait_limit=100_000)
    living = asyncio.create_task(live_through(engine.platform, phases))
    running = asyncio.create_task(pipeline.run())
    if stop is not None:
        await asyncio.sleep(stop)
        pipeline.stop()
        done, _ = await asyncio.wait([running], timeout=3)
        assert done, "a drain waits for nothing but what is on the wire"
    ending = await asyncio.wait_for(running, 3000)
    living.cancel()
    rows = engine.ledger.rows.values()
    if stop is None:
        assert ending is RunOutcome.DONE
        assert all(row.status in FINAL for row in rows)
        assert len(rows) == PEOPLE
    else:
        assert ending in (RunOutcome.DRAINED, RunOutcome.DONE)
        assert all(row.status in FINAL | {Status.READY} for row in rows)
    reasons = {row.settlement.reason for row in rows if row.settlement}
    assert reasons <= {Reason.DELIVERED, Reason.FORBIDDEN_CONTACT}
    assert all(row.progress.attempts == 0 for row in rows)
    assert all(permit.end for permit in engine.pacer.permits)
    taken = [r.conversation_id for r in engine.platform.requests if r.result is GOOD[Step.OPEN]]
    assert len(taken) == len(set(taken)) == engine.ledger.count(Status.OPENED)
    only_probes_while_halted(engine)


def only_probes_while_halted(engine):
    """No request begins in a halt beyond what its probes make, and probes keep their distance."""
    for begin, end, reason, probes in engine.events.halts():
        until = end if end is not None else float("inf")
        during = [r for r in engine.platform.requests if begin < r.at < until]
        assert len(during) <= MOST_PER_PROBE * len(probes)
        at_once = probes[:1] if reason in AT_ONCE else []
        if reason is not HaltReason.PLATFORM_DOWN:
            spaced = [late - early for early, late in pairwise(probes)]
            assert all(gap > PROBE_SECONDS - 1e-6 for gap in spaced)
            assert len(probes) <= len(at_once) + (until - begin) / PROBE_SECONDS + 1


@settings(max_examples=40, derandomize=True)
@given(
    forbidden=st.sets(st.integers(1, PEOPLE), max_size=4),
    workers=st.integers(1, 8),
    lack=st.sampled_from([None, *GrantKind]),
)
@in_virtual_time
async def test_only_those_who_are_refused_for_themselves_are_parked(forbidden, workers, lack):
    """Whichever contacts are probes, each refused one is sent to a few times at most.

    Where they are the last ones, nobody passes after them: that looks like a halt to the end.
    """
    names = {f"conversation-{number}" for number in forbidden}
    engine = EngineFixture(
        lambda r: (
            refused(403, missing_kind=lack)
            if r.step is Step.OPEN and r.conversation_id in names
            else GOOD[r.step]
        )
    )
    ending = await engine.pipeline(contacts(PEOPLE), workers=workers, wait_limit=100).run()
    parked = {
        row.contact.conversation_id
        for row in engine.ledger.rows.values()
        if row.status is Status.PARKED
    }
    left = {
        row.contact.conversation_id
        for row in engine.ledger.rows.values()
        if row.status is Status.READY
    }
    assert ending is (RunOutcome.HALTED if left else RunOutcome.DONE)
    assert parked | left == names
    assert engine.ledger.count(Status.OPENED) == PEOPLE - len(names)
    attempts = Counter(r.conversation_id for r in engine.platform.requests if r.step is Step.OPEN)
    assert max(attempts.values()) <= 2 + 100 / PROBE_SECONDS
