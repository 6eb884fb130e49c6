"""First calls in worlds of chance: no message that a state check would have ruled out."""

import asyncio
from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.domain.conversation import State
from dispatcher.domain.decision import BargeIn, DecisionPolicy, IdentityRule
from dispatcher.domain.events import UncheckedSend
from dispatcher.domain.first_call import FirstCall, FirstCallLearner
from dispatcher.domain.reconcile_policy import ReconcilePolicy
from dispatcher.domain.row_likeness import RowLikeness
from dispatcher.domain.status import FINAL, Step
from dispatcher.engine.campaign_rules import CampaignRules
from dispatcher.engine.run_options import RunOutcome
from tests.property import test_engine_contact as contact_answers
from tests.support.engine import POLICY, EngineFixture, contact
from tests.support.scripted import GOOD
from tests.support.session_world import STATUS, SessionWorld
from tests.support.virtual import START, in_virtual_time

STATES = (State.ENDED, State.ENDED, State.ENDED, State.OPEN, State.CLOSED, State.UNKNOWN, None)
CONTACTS = 32
PROFILE = settings(max_examples=12, derandomize=True)
RECONCILE = ReconcilePolicy(
    timeout=1.0, max_effect_delay=1.0, max_lag=1.0, clock_skew=1.0, look_seconds=1.0,
    give_up_seconds=20.0,
)  # fmt: skip


def world_of(seed, *, right, faults=0.0, same_people=False):
    """Rows whose status is right about the state with a probability, and rows of every defect."""
    random = Random(seed)
    world = SessionWorld(faults=faults, seed=seed)
    usual = random.choice(STATES[:4])
    for number in range(CONTACTS):
        state = usual if random.random() < right else random.choice(STATES)
        more = {}
        if same_people and random.random() < 0.3:
            more["person"] = f"p-{random.randrange(max(1, number)) + 1}"
        elif random.random() < 0.1:
            more["row_person"] = random.choice(["", f"p-{random.randrange(CONTACTS) + 1}"])
        if random.random() < 0.05:
            more["row_address"] = ""
        if random.random() < 0.05:
            more["expires_at"] = START + random.random() * 3
        proactive = random.random() >= 0.05
        status = random.choice(["over", "talking"]) if random.random() < 0.2 else str(state)
        world.add(state, status=status, proactive=proactive, **more)
    return world


def rules_of(kind):
    if kind == "listed":
        listed = {"p-3", "a-p-7", "g-p-11"}
        return CampaignRules(
            suppressed=lambda ids, addresses: bool(listed & {*ids, *addresses}),
            list_names_addresses=lambda: False,
        )
    return CampaignRules(one_per_person=kind == "one", cap=2 if kind == "cap" else 0)


async def run(world, policy, rules, workers, likeness):
    engine = EngineFixture(world.answer, policy, likeness=likeness, rules=rules)
    world.engine = engine
    options = {"workers": workers, "wait_limit": 2000}
    assert await engine.pipeline(world.rows(), **options).run() is RunOutcome.DONE
    assert all(row.status in FINAL for row in engine.ledger.rows.values())
    return engine


policies = st.builds(
    lambda identity, barge_in, unlinked: DecisionPolicy(
        retry=POLICY,
        identity=identity,
        barge_in=barge_in,
        open_unlinked_when_gone=unlinked,
        engaged_max_seconds=30.0,
        reconcile=RECONCILE,
    ),
    st.sampled_from(IdentityRule),
    st.sampled_from([BargeIn.ALWAYS, BargeIn.ALWAYS, BargeIn.NEVER]),
    st.booleans(),
)


@PROFILE
@given(
    seed=st.integers(0, 10_000),
    right=st.sampled_from([0.4, 0.8, 1.0]),
    policy=policies,
    rules=st.sampled_from(["none", "none", "listed"]),
    workers=st.sampled_from([1, 4, 32]),
)
@in_virtual_time
async def test_each_contact_ends_as_with_the_state_check_first(seed, right, policy, rules, workers):
    """The same status and reason, the same messages to the same people, in any world."""
    ends, effects = [], []
    for likeness in (None, RowLikeness((STATUS,))):
        world = world_of(seed, right=right)
        engine = await run(world, policy, rules_of(rules), workers, likeness)
        assert world.broken_rules == []
        assert world.reached_twice() == set()
        soon = {key for key, c in world.contacts.items() if c.expires_at is not None}
        rows = engine.ledger.rows.values()
        ends.append(
            {
                row.contact.key: (row.status, row.settlement.reason)
                for row in rows
                if row.contact.conversation_id not in soon
            }
        )
        effects.append({effect for effect in world.effects if effect[0] not in soon})
    assert ends[0] == ends[1]
    assert effects[0] == effects[1]


@PROFILE
@given(
    seed=st.integers(0, 10_000),
    policy=policies,
    rules=st.sampled_from(["none", "one", "cap"]),
    workers=st.sampled_from([1, 8, 64]),
    flips=st.booleans(),
)
@in_virtual_time
async def test_whatever_is_lost_or_changes_nobody_is_reached_twice(
    seed, policy, rules, workers, flips
):
    """Faults, people with several rows, and sessions that change in mid-run."""
    world = world_of(seed, right=0.9, faults=0.1, same_people=True)
    if flips:
        real = world.answer

        def answer(request):
            if len(world.effects) == CONTACTS // 3:
                world.turn(State.ENDED, State.OPEN)
            return real(request)

        world.answer = answer
    policy = replace(policy, retry=replace(POLICY, max_attempts=8))
    engine = await run(world, policy, rules_of(rules), workers, RowLikeness((STATUS,)))
    assert world.broken_rules == []
    assert world.reached_twice() == set()
    if rules == "one":
        people = [
            row.intent.external_contact_id
            for row in engine.ledger.rows.values()
            if row.settlement.relation is not None and row.intent.external_contact_id
        ]
        assert len(people) == len(set(people))
    sends = engine.events.of_type(UncheckedSend)
    assert len(sends) <= CONTACTS


class Eager(FirstCallLearner):
    """Sends without a state check whenever that is permitted."""

    def choose(self, cell, possible, permitted):
        if not permitted:
            return self.check(cell)
        self._trying += 1
        self._estimates(cell).trying += 1
        return FirstCall(self, cell, permitted[-1], 1.0)

    def pays(self, call):
        return True


@settings(max_examples=60, derandomize=True)
@given(
    read=st.lists(contact_answers.checks, max_size=6),
    send=st.lists(contact_answers.sends, max_size=6),
    missing=st.lists(contact_answers.scopes, max_size=6),
    policy=policies,
    pause=st.sampled_from([0.0, 5.0]),
    stop=st.none() | st.floats(0, 60),
)
@in_virtual_time
async def test_whatever_the_platform_answers_to_the_first_call(
    read, send, missing, policy, pause, stop
):
    """Sent at most once, each send intended and permitted; a drain may come at any time."""
    answers = {Step.CHECK: iter(read), Step.NOTIFY: iter(send)}
    answers[Step.OPEN] = answers[Step.NOTIFY]
    authorities = iter(missing)
    policy = replace(policy, retry=replace(POLICY, not_ended_seconds=pause))
    engine = EngineFixture(policy=policy, likeness=RowLikeness())
    engine.platform.missing = lambda: next(authorities, ())
    watch, results = contact_answers.watched(
        engine, lambda request: next(answers[request.step], GOOD[request.step])
    )
    row = contact(external_contact_id="person-1", address="a-1")
    pipeline = engine.pipeline([row], wait_limit=2000, workers=2)
    first_calls = engine.delivery.first_calls
    first_calls.learner, first_calls.addresses.equal = Eager(), {"a", "b"}
    running = asyncio.create_task(pipeline.run())
    if stop is not None:
        await asyncio.sleep(stop)
        pipeline.stop()
    await running
    if engine.ledger.rows:
        watch.at_the_end(results)
    assert len(results) <= len(read) + len(send) + 2 * POLICY.loop_after + 4
    assert first_calls.learner._trying == first_calls.learner._checking == 0
