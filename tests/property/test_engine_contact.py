"""One contact's way under a platform that may answer anything, in virtual time."""

import asyncio
from dataclasses import dataclass, field

from hypothesis import example, given, settings
from hypothesis import strategies as st

from dispatcher.domain.answer import Answer
from dispatcher.domain.conversation import State
from dispatcher.domain.decision import BargeIn, DecisionPolicy
from dispatcher.domain.events import Answered, ClosedConflict, RetryLoop, ScopeError, Settled
from dispatcher.domain.failure import AnswerKind, classify
from dispatcher.domain.status import FINAL, Status, Step
from dispatcher.engine.run_options import RunOutcome
from dispatcher.ports import CredentialsError, TokenUnavailableError
from tests.support.engine import POLICY, EngineFixture, contact
from tests.support.scripted import (
    ACTIVE_400,
    CHANNEL_400,
    CLOSED_400,
    ENDED,
    ENGAGED,
    GOOD,
    NOT_ENDED,
    NOT_SENT,
    OPEN,
    RESET,
    RESUMABLE,
    TIMEOUT,
    UNKNOWN,
    refused,
    state_answer,
    throttled,
)
from tests.support.virtual import in_virtual_time

UNTAKEN = frozenset(AnswerKind) - {AnswerKind.ACCEPTED, AnswerKind.IN_DOUBT}
"""What proves that a send did not take effect."""

LASTING = [RESET, TIMEOUT, *map(refused, (302, 400, 403, 404, 409, 422, 500, 503)), Answer(503)]
PASSING = [NOT_SENT, refused(401), throttled(0), throttled(3), throttled(900, "open")]
NO_TOKEN = [CredentialsError("refused"), TokenUnavailableError("down")]
CHECKS = [
    OPEN,
    ENDED,
    NOT_ENDED,
    UNKNOWN,
    Answer(200),
    state_answer(identity=None),
    state_answer(target=None),
]
CHECKS += [state_answer(State.CLOSED, identity="person-2"), state_answer(proactive=False)]
CHECKS += [RESUMABLE, ENGAGED]
SENDS = [CLOSED_400, CHANNEL_400, ACTIVE_400, Answer(201)]

# states and refusals of every kind alike, so that long ways are as likely as short ones
checks = st.sampled_from([OPEN, ENDED, NOT_ENDED, ENGAGED]) | st.sampled_from(
    CHECKS + LASTING + PASSING + NO_TOKEN
)
sends = st.sampled_from(
    [refused(409), CLOSED_400, ACTIVE_400, refused(403), refused(401)]
) | st.sampled_from(SENDS + LASTING + PASSING + NO_TOKEN)
scopes = st.sampled_from([(), (), ("write",), *NO_TOKEN])
gone_rules = st.booleans()
barge_ins = st.sampled_from(BargeIn)


@dataclass
class Watched:
    """Holds the engine to its promises at every request."""

    engine: EngineFixture
    sends: list = field(default_factory=list)

    def on_wire(self, request):
        engine = self.engine
        row = engine.ledger.rows[1]
        if request.step is Step.LOOK_BACK:
            assert row.status is Status.IN_DOUBT
            return
        free = [permit for permit in engine.pacer.permits if permit.end is None]
        assert [permit.step for permit in free] == [request.step], "one permit for one request"
        if request.step is Step.CHECK:
            assert row.status is Status.CLAIMED
            return
        assert row.status is Status.SENDING
        assert row.intent.step is request.step
        assert row.intent.decision == request.decision
        assert row.history[-1] == "intend"
        if request not in self.sends:
            self.sends.append(request)

    def at_the_end(self, results):
        """No send follows one that was taken or may have been; each failure counted once."""
        kinds = [classify(step, result) for step, result in results if step.is_send]
        assert all(kind in UNTAKEN for kind in kinds[:-1])
        row = self.engine.ledger.rows[1]
        assert len(self.sends) == len(kinds)
        assert row.progress.sends == sum(kind is not AnswerKind.NOT_SENT for kind in kinds)
        assert row.history.count("intend") >= len(kinds)
        assert (row.status in FINAL) == (len(self.engine.events.of_type(Settled)) == 1)
        counted = len(self.engine.events.of_type(ScopeError, ClosedConflict))
        concerned = [r for _, r in results if isinstance(r, Answer)]
        assert counted <= sum(r.status in (400, 401, 403, 409) for r in concerned)
        assert len(self.engine.events.of_type(RetryLoop)) <= 1
        assert all(permit.end for permit in self.engine.pacer.permits)
        answered = [e for e in self.engine.events.of_type(Answered) if e.step is not Step.LOOK_BACK]
        assert len(answered) == len(results)


def watched(engine, answer):
    """Note what was answered; count each failure where it happens."""
    results = []

    def answering(request):
        result = answer(request)
        if not isinstance(result, Exception):
            results.append((request.step, result))
        return result

    watch = Watched(engine)
    engine.platform.answer, engine.platform.on_wire = answering, watch.on_wire
    return watch, results


PROFILE = settings(max_examples=70, derandomize=True)


@PROFILE
@given(
    read=st.lists(checks, max_size=8),
    send=st.lists(sends, max_size=8),
    missing=st.lists(scopes, max_size=8),
    unlinked=gone_rules,
    barge_in=barge_ins,
    stop=st.none() | st.floats(0, 60),
)
@example(
    read=[ENDED] * 3, send=[refused(409)] * 3, missing=[("write",), (), ("write",)],
    unlinked=False, barge_in=BargeIn.ALWAYS, stop=None,
)  # fmt: skip
@in_virtual_time
async def test_whatever_the_platform_answers(read, send, missing, unlinked, barge_in, stop):
    """Sent at most once, each send intended and permitted, each failure counted once.

    After its first answers the platform behaves, so the run ends; a drain may come at any time.
    """
    answers = {Step.CHECK: iter(read), Step.NOTIFY: iter(send)}
    answers[Step.OPEN] = answers[Step.NOTIFY]
    authorities = iter(missing)
    engine = EngineFixture(policy=rules_of(unlinked, barge_in))
    engine.platform.missing = lambda: next(authorities, ())
    watch, results = watched(
        engine, lambda request: next(answers[request.step], GOOD[request.step])
    )
    pipeline = engine.pipeline([contact(external_contact_id=None)], wait_limit=2000, workers=2)
    running = asyncio.create_task(pipeline.run())
    if stop is not None:
        await asyncio.sleep(stop)
        pipeline.stop()
    ending = await running
    row = engine.ledger.rows.get(1)
    if row is not None:
        watch.at_the_end(results)
    if ending is RunOutcome.DONE:
        assert row.status in FINAL
    else:
        assert ending in (RunOutcome.DRAINED, RunOutcome.DEFERRED, RunOutcome.HALTED)
        assert row is None or row.status in FINAL | {Status.READY, Status.IN_DOUBT}
    assert len(results) <= len(read) + len(send) + 2 * POLICY.loop_after + 2


@PROFILE
@given(
    read=st.lists(st.sampled_from(CHECKS + LASTING), min_size=1, max_size=3),
    send=st.lists(st.sampled_from(SENDS + LASTING), min_size=1, max_size=3),
    unlinked=gone_rules,
    barge_in=barge_ins,
    at_once=st.booleans(),
)
@example(
    read=[refused(404)], send=[refused(409)], unlinked=True, barge_in=BargeIn.ALWAYS, at_once=True
)
@example(
    read=[ENDED, ENGAGED], send=[ACTIVE_400], unlinked=False, barge_in=BargeIn.NEVER, at_once=True
)
@in_virtual_time
async def test_answers_that_repeat_for_ever_cost_a_bounded_number_of_requests(
    read, send, unlinked, barge_in, at_once
):
    """Any short cycle of refusals and states, for ever: the contact still comes to its end."""
    turns = {Step.CHECK: 0, Step.NOTIFY: 0, Step.OPEN: 0}

    def answer(request):
        cycle = read if request.step is Step.CHECK else send
        turns[request.step] += 1
        return cycle[turns[request.step] % len(cycle)]

    policy = RULES[at_once]
    engine = EngineFixture(policy=rules_of(unlinked, barge_in, policy))
    watch, results = watched(engine, answer)
    row_contact = contact(external_contact_id="person-1", address="a@example.org")
    ending = await engine.pipeline([row_contact], wait_limit=600).run()
    watch.at_the_end(results)
    refused_for_itself = any(
        isinstance(result, Answer) and result.status == 403 for _, result in results
    )
    in_doubt = engine.ledger.rows[1].status is Status.IN_DOUBT
    assert ending is RunOutcome.DONE or refused_for_itself or in_doubt
    assert len(results) <= 100


def rules_of(unlinked, barge_in, policy=POLICY):
    return DecisionPolicy(
        open_unlinked_when_gone=unlinked, barge_in=barge_in, engaged_seconds=20.0,
        engaged_max_seconds=120.0, retry=policy,
    )  # fmt: skip


RULES = {False: POLICY, True: POLICY.__class__(3, 3, 1, 10, 0.1, 1)}


@PROFILE
@given(
    step=st.sampled_from([Step.CHECK, Step.NOTIFY, Step.OPEN]),
    result=st.sampled_from(LASTING + SENDS + PASSING),
    missing=st.sampled_from([(), ("write",), *NO_TOKEN]),
)
@in_virtual_time
async def test_one_refusal_is_counted_in_one_failure_counter_or_in_none(step, result, missing):
    """Scope errors, closed-session conflicts and loops never mix."""
    engine = EngineFixture()
    engine.platform.missing = missing
    state = ENDED if step is Step.OPEN else OPEN
    left = iter([result])
    engine.platform.answer = lambda request: (
        next(left, GOOD[request.step])
        if (request.step is step)
        else (state if request.step is Step.CHECK else GOOD[request.step])
    )
    async with engine.working(contact(), probing=False) as tasks:
        await asyncio.wait(tasks, timeout=30)
        counted = engine.events.of_type(ScopeError, ClosedConflict, RetryLoop)
    status = result.status if isinstance(result, Answer) else 0
    closed = status == 400 and result is CLOSED_400 and step is Step.NOTIFY
    active = result is ACTIVE_400 and step is Step.OPEN
    conflict = status == 409 and step.is_send
    expected = status == 403 or closed or active
    if conflict:
        assert len(counted) == (not isinstance(missing, Exception))
        assert all(isinstance(event, ScopeError) == bool(missing) for event in counted)
    else:
        assert len(counted) == expected
        assert all(isinstance(event, ScopeError) == (status == 403) for event in counted)
