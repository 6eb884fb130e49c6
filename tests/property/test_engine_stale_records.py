"""However late the records of a platform are: everybody ends as the states lead to."""

import asyncio
from collections import Counter
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.domain.answer import Answer, Hint
from dispatcher.domain.conversation import Conversation, State
from dispatcher.domain.decision import DecisionPolicy
from dispatcher.domain.progress import RetryPolicy
from dispatcher.domain.status import Reason, Status, Step
from dispatcher.engine.run_options import RunOutcome
from dispatcher.pacing.pacer import QuotaPacer
from tests.support.engine import EngineFixture, contact
from tests.support.scripted import GUEST, OPENED, TAKEN, refused
from tests.support.virtual import VirtualClock, VirtualLoop

DELIVERED = {(Status.NOTIFIED, Reason.DELIVERED), (Status.OPENED, Reason.DELIVERED)}


@dataclass(frozen=True)
class Session:
    """States by the time from which they hold, and what the records show of them.

    ``lag`` is how far the records are behind; None: they never have it. ``person`` is whether the
    platform's person is the row's.
    """

    states: tuple[tuple[float, State], ...]
    lag: float | None
    person: bool
    has_address: bool

    def state(self, at):
        return next(state for since, state in reversed(self.states) if since <= max(at, 0.0))

    @property
    def ends(self):
        """The ends that are right."""
        last = self.states[-1][1]
        if last is State.GONE:
            return {(Status.REJECTED, Reason.CONVERSATION_GONE)}
        if not self.person:
            return {(Status.PARKED, Reason.IDENTITY)}
        return DELIVERED


moments = st.floats(0.5, 40.0)
timelines = st.one_of(
    st.sampled_from([State.OPEN, State.ENDED, State.GONE]).map(lambda state: ((0.0, state),)),
    moments.map(lambda at: ((0.0, State.CLOSED), (at, State.ENDED))),
    moments.map(lambda at: ((0.0, State.ENDED), (at, State.OPEN))),
    moments.map(lambda at: ((0.0, State.UNKNOWN), (min(at, 5.0), State.ENDED))),
    st.tuples(moments, st.floats(0.5, 20.0)).map(
        lambda times: ((0.0, State.OPEN), (times[0], State.CLOSED), (sum(times), State.ENDED))
    ),
)
sessions = st.builds(
    Session,
    timelines,
    st.one_of(st.none(), st.just(0.0), st.floats(0.0, 60.0)),
    st.sampled_from([True, True, True, True, False]),
    st.booleans(),
)


class World:
    """Answers as the states are; the records show those of a while ago."""

    def __init__(self, found):
        self.sessions = {f"conversation-{n}": session for n, session in enumerate(found, 1)}
        self.taken = Counter()

    def __call__(self, request):
        if request.step is Step.CHECK_MANY:
            records = (self._record(id_, request.at) for id_ in request.conversation_id)
            shown = tuple(record for record in records if record is not None)
            return Answer(200, from_platform=True, conversations=shown)
        id_ = request.conversation_id
        state = self.sessions[id_].state(request.at)
        if request.step is Step.CHECK:
            if state is State.GONE:
                return refused(404)
            conversation = Conversation(id_, state, self._person(id_), GUEST)
            return Answer(200, from_platform=True, conversation=conversation)
        return self._send(request, state)

    def _send(self, request, state):
        id_ = request.conversation_id
        if request.step is Step.NOTIFY:
            if state is State.GONE:
                return refused(404)
            if state is not State.OPEN:
                return Answer(400, from_platform=True, hint=Hint.CLOSED, address="told")
        elif state is not State.ENDED or request.decision.external_contact_id != self._person(id_):
            return refused(409)
        self.taken[id_] += 1
        return TAKEN if request.step is Step.NOTIFY else OPENED

    def _record(self, id_, at):
        session = self.sessions[id_]
        if session.lag is None or session.states[-1][1] is State.GONE:
            return None
        return Conversation(id_, session.state(at - session.lag), self._person(id_))

    def _person(self, id_):
        return f"x-{id_}" if self.sessions[id_].person else "x-somebody"


def rows(found):
    more = [{"address": "row"} if session.has_address else {} for session in found]
    people = (f"x-conversation-{number}" for number in range(1, len(found) + 1))
    return [
        contact(number, external_contact_id=person, **address)
        for number, (person, address) in enumerate(zip(people, more, strict=True), 1)
    ]


def play(found, states_per_call):
    """Run to the end; return the ends, the messages and the number of requests."""

    async def scene():
        world = World(found)
        retry = RetryPolicy(not_ended_seconds=2.0, not_ended_max_seconds=600.0, loop_after=8)
        pacer = QuotaPacer(1200, 60.0, VirtualClock())
        engine = EngineFixture(
            world, DecisionPolicy(retry=retry), pacer, states_per_call=states_per_call
        )
        stream = engine.pipeline(rows(found), workers=8, wait_limit=100_000)
        assert await stream.run() is RunOutcome.DONE
        ends = {
            row.contact.conversation_id: (row.status, row.settlement.reason)
            for row in engine.ledger.rows.values()
        }
        return ends, world.taken, len(engine.platform.requests)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(scene())


@settings(max_examples=60, deadline=None)
@given(st.lists(sessions, min_size=1, max_size=25), st.sampled_from([2, 5, 100, "auto"]))
def test_everybody_ends_as_the_states_lead_to(found, states_per_call):
    """Nobody is written to twice, missed, or final by an old record."""
    ends, taken, _ = play(found, states_per_call)
    assert set(taken.values()) <= {1}
    for number, session in enumerate(found, 1):
        id_ = f"conversation-{number}"
        assert ends[id_] in session.ends, session
        assert (ends[id_] in DELIVERED) == (taken[id_] == 1)
