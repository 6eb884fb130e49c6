"""First calls without a state check: what they save, and what follows each refusal."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from dispatcher.domain.answer import Answer
from dispatcher.domain.contact_history import UNCHECKED
from dispatcher.domain.conversation import State
from dispatcher.domain.decision import BargeIn, DecisionPolicy, IdentityRule, Open
from dispatcher.domain.events import (
    AddressesDiffer,
    ClosedConflict,
    Halted,
    ScopeError,
    StateAged,
    UncheckedSend,
)
from dispatcher.domain.progress import Progress
from dispatcher.domain.row_likeness import RowLikeness
from dispatcher.domain.status import HaltReason, Reason, SendAnswer, Status, Step
from dispatcher.engine import first_calls
from dispatcher.engine.campaign_rules import CampaignRules
from dispatcher.engine.run_options import RunOutcome
from dispatcher.pacing.pacer import QuotaPacer
from tests.support.engine import POLICY, EngineFixture
from tests.support.scripted import RESET, TIMEOUT, refused, throttled
from tests.support.session_world import STATUS, SessionWorld
from tests.support.virtual import START, VirtualClock, in_virtual_time

CHECK, NOTIFY, LINK = Step.CHECK, Step.NOTIFY, Step.OPEN
LIKENESS = RowLikeness((STATUS,))
ROW = DecisionPolicy(retry=POLICY, identity=IdentityRule.ROW)
NOTIFIED, OPENED = (Status.NOTIFIED, Reason.DELIVERED), (Status.OPENED, Reason.DELIVERED)


def engine_of(world, *, policy=None, **more):
    engine = EngineFixture(world.answer, policy, likeness=LIKENESS, **more)
    world.engine = engine
    return engine


async def delivered(world, *, workers=8, **more):
    """Deliver all rows of the world; nobody may be reached twice or against a rule."""
    engine = engine_of(world, **more)
    outcome = await engine.pipeline(world.rows(), workers=workers, wait_limit=5000).run()
    assert outcome is RunOutcome.DONE
    assert world.broken_rules == []
    assert world.reached_twice() == set()
    return engine


def half_and_half(number, **more):
    world = SessionWorld()
    for _ in range(number):
        world.add(State.ENDED, status="over", **more)
        world.add(State.OPEN, status="talking", **more)
    return world


def open_all_after(world, messages):
    """Let all ended sessions be open after so many messages."""
    real = world.answer

    def answer(request):
        if len(world.effects) == messages:
            world.turn(State.ENDED, State.OPEN)
        return real(request)

    world.answer = answer


def steps(engine, key=None):
    about = None if key is None else f"conversation-{key}"
    return [r.step for r in engine.platform.requests if about in (None, r.conversation_id)]


async def learnt(engine, world, number=30):
    """Let an engine learn that sessions like these are ended."""
    for _ in range(number):
        row = await engine.deliver(world.add(State.ENDED))
        assert row.status is Status.OPENED
    engine.platform.requests.clear()
    engine.events.clear()


# what it saves


@in_virtual_time
async def test_ended_sessions_take_one_request_and_open_ones_two():
    """Under the usual rules an open is refused to the wrong person, a notification is not."""
    world = half_and_half(100)
    engine = await delivered(world)
    counts = {step: steps(engine).count(step) for step in (CHECK, NOTIFY, LINK)}
    assert counts[NOTIFY] == 100
    assert counts[CHECK] <= 100 + 12
    assert counts[LINK] <= 100 + 8
    assert engine.ledger.count(Status.OPENED) == engine.ledger.count(Status.NOTIFIED) == 100


@in_virtual_time
async def test_both_take_one_where_the_row_decides_who_the_person_is():
    world = half_and_half(100)
    engine = await delivered(world, policy=ROW)
    assert len(steps(engine)) <= 1.07 * 200


@in_virtual_time
async def test_check_is_the_default():
    world = half_and_half(20)
    engine = EngineFixture(world.answer)
    world.engine = engine
    assert await engine.pipeline(world.rows()).run() is RunOutcome.DONE
    assert steps(engine).count(CHECK) == 40
    assert not engine.events.of_type(UncheckedSend)


@pytest.mark.parametrize("workers", [8, 300])
@in_virtual_time
async def test_a_change_of_all_sessions_in_mid_run(workers):
    """All are ended, then all are open: few sends meet a refusal, and all are notified."""
    world = SessionWorld()
    for _ in range(500):
        world.add(State.ENDED)
    open_all_after(world, 200)
    engine = await delivered(world, workers=workers)
    assert 0 < world.refused[LINK] < 100
    assert engine.ledger.count(Status.OPENED) == 200
    assert engine.ledger.count(Status.NOTIFIED) == 300
    assert not engine.events.of_type(ClosedConflict)
    sends = engine.events.of_type(UncheckedSend)
    assert sum(e.answer is SendAnswer.REFUSED for e in sends) == world.refused[LINK]


@in_virtual_time
async def test_what_waits_for_a_permit_is_reconsidered():
    """At a slow pace the change is noticed before those that wait were sent."""
    world = SessionWorld()
    for _ in range(200):
        world.add(State.ENDED)
    open_all_after(world, 100)
    pacer = QuotaPacer(600, 60.0, VirtualClock())
    await delivered(world, workers=64, pacer=pacer)
    assert 0 < world.refused[LINK] <= 16


@in_virtual_time
async def test_states_that_are_read_together_are_observed_too():
    """Contacts that are not sent to first go into the batch."""
    world = half_and_half(100)
    pacer = QuotaPacer(1200, 60.0, VirtualClock())
    engine = await delivered(world, workers=40, states_per_call=20, pacer=pacer)
    assert steps(engine).count(Step.CHECK_MANY) > 5
    assert len(steps(engine)) <= 1.1 * 200


@in_virtual_time
async def test_what_is_saved_is_counted():
    world = half_and_half(100)
    engine = await delivered(world)
    saved = sum(event.saved for event in engine.events.of_type(UncheckedSend))
    assert saved == 400 - len(steps(engine))


# what follows


@in_virtual_time
async def test_refusals_to_the_whole_client_make_no_state_dearer():
    """A send first would meet them, too: no open is tried where every session is open."""
    world = SessionWorld()
    for _ in range(40):
        world.add(State.OPEN)
    real, throttlings = world.answer, Counter()

    def answer(request):
        throttlings[request.conversation_id] += 1
        if throttlings[request.conversation_id] <= 3:
            return throttled(1)
        return real(request)

    world.answer = answer
    engine = await delivered(world, workers=1)
    assert LINK not in steps(engine)
    assert engine.ledger.count(Status.NOTIFIED) == 40


@in_virtual_time
async def test_a_state_that_became_too_old_is_not_counted_in_the_cost_of_the_next():
    world = SessionWorld()
    engine = engine_of(world)
    costs, learner = [], engine.delivery.first_calls.learner
    real = learner.end_check
    learner.end_check = lambda call, accepted, cost: (
        costs.append(cost), real(call, accepted, cost)
    )  # fmt: skip
    engine.platform.on_wire = lambda _: setattr(engine.pacer, "shut", True)
    async with engine.working(world.add(State.OPEN)) as tasks:
        await asyncio.sleep(1)
        assert costs == [1.0]
        await asyncio.sleep(60)
        engine.platform.on_wire = lambda _: None
        engine.pacer.let_in()
        await asyncio.gather(*tasks)
    assert steps(engine) == [CHECK, CHECK, NOTIFY]
    assert costs == [1.0, 1.0]


@in_virtual_time
async def test_no_state_is_named_that_was_not_read():
    world = SessionWorld()
    engine = engine_of(world)
    await learnt(engine, world)
    row = await engine.deliver(world.add(State.ENDED))
    assert steps(engine) == [LINK]
    assert row.settlement.state_seen is None
    assert row.settlement.state_at is None
    assert not engine.events.of_type(StateAged)
    assert [entry[1:3] for entry in row.story if entry[1] == UNCHECKED] == [[UNCHECKED, LINK]]
    intent = row.intent
    assert intent.decision.previous == row.contact.conversation_id
    assert intent.external_contact_id == row.contact.external_contact_id


REFUSED_OPENS = {
    "open": ({"state": State.OPEN}, [LINK, CHECK, NOTIFY], NOTIFIED),
    "closed": (
        {"state": State.CLOSED},
        [LINK, *[CHECK] * 8],
        (Status.PARKED, Reason.NEVER_ENDED),
    ),
    "gone": ({"state": None}, [LINK, CHECK], (Status.REJECTED, Reason.CONVERSATION_GONE)),
    "unknown": (
        {"state": State.UNKNOWN},
        [LINK, CHECK, CHECK],
        (Status.PARKED, Reason.UNKNOWN_STATE),
    ),
    "no channel": (
        {"state": State.ENDED, "proactive": False},
        [LINK, CHECK],
        (Status.REJECTED, Reason.CHANNEL),
    ),
    "no channel, and open": (
        {"state": State.OPEN, "proactive": False},
        [LINK, CHECK, NOTIFY],
        NOTIFIED,
    ),
    "another person": (
        {"state": State.ENDED, "row_person": "p-other"},
        [LINK, CHECK],
        (Status.PARKED, Reason.IDENTITY),
    ),
}


@pytest.mark.parametrize("case", REFUSED_OPENS)
@in_virtual_time
async def test_after_a_refused_open_the_state_decides(case):
    session, requests, end = REFUSED_OPENS[case]
    world = SessionWorld()
    engine = engine_of(world)
    await learnt(engine, world)
    row = await engine.until_final(world.add(**session))
    assert steps(engine) == requests
    assert (row.status, row.settlement.reason) == end
    assert world.broken_rules == []
    assert row.progress.refusals_open == row.progress.refusals_notify == 0
    assert row.progress.attempts == 0
    assert not engine.events.of_type(ClosedConflict)


@in_virtual_time
async def test_another_person_is_written_to_by_the_platforms_id_where_that_is_the_rule():
    world = SessionWorld()
    policy = DecisionPolicy(retry=POLICY, identity=IdentityRule.PLATFORM)
    engine = engine_of(world, policy=policy)
    await learnt(engine, world)
    row = await engine.until_final(world.add(State.ENDED, row_person="p-other"))
    assert steps(engine) == [LINK, CHECK, LINK]
    assert (row.status, row.settlement.reason) == OPENED
    assert world.broken_rules == []


@in_virtual_time
async def test_one_that_is_gone_is_opened_without_a_link_where_that_is_the_rule():
    world = SessionWorld()
    policy = DecisionPolicy(retry=POLICY, open_unlinked_when_gone=True)
    engine = engine_of(world, policy=policy)
    await learnt(engine, world)
    row = await engine.until_final(world.add(None))
    assert steps(engine) == [LINK, CHECK, LINK]
    assert (row.status, row.settlement.reason) == OPENED
    assert engine.platform.requests[0].decision.previous is not None
    assert engine.platform.requests[2].decision.previous is None


@in_virtual_time
async def test_a_closed_session_that_refuses_a_notification_is_linked_without_a_check():
    """The refusal has the address; it costs no request more than the state check first."""
    world = SessionWorld()
    engine = engine_of(world, policy=ROW)
    for _ in range(30):
        await engine.deliver(world.add(State.OPEN))
    engine.platform.requests.clear()
    engine.events.clear()
    row = await engine.until_final(world.add(State.ENDED))
    assert steps(engine) == [NOTIFY, LINK]
    assert (row.status, row.settlement.reason) == OPENED
    assert row.settlement.state_seen is None
    assert row.progress.refusals_notify == 0
    assert not engine.events.of_type(ClosedConflict)
    (sent,) = engine.events.of_type(UncheckedSend)
    assert (sent.step, sent.answer, sent.saved) == (NOTIFY, SendAnswer.REFUSED, 0.0)


@in_virtual_time
async def test_a_link_at_once_after_the_refusal_is_sent_although_notifying_pays_no_more():
    """Without a pause the same turn goes on; what was learnt from the refusal does not stop it."""
    world = SessionWorld()
    engine = engine_of(world, policy=replace(ROW, retry=replace(POLICY, not_ended_seconds=0.0)))
    for _ in range(10):
        await engine.deliver(world.add(State.OPEN))
    for _ in range(12):
        row = await engine.deliver(world.add(State.ENDED))
        assert row.status is Status.OPENED
    sends = engine.events.of_type(UncheckedSend)
    assert 3 < sum(sent.answer is SendAnswer.REFUSED for sent in sends) < 12
    assert world.broken_rules == []


@in_virtual_time
async def test_a_record_may_show_that_the_link_after_the_refusal_is_too_early():
    """As after the refusal of a notification that rested on a state."""
    world = SessionWorld()
    engine = engine_of(world, policy=ROW, states_per_call=10)
    for _ in range(40):
        await engine.deliver(world.add(State.OPEN))
    engine.platform.requests.clear()
    rows = [world.add(State.CLOSED) for _ in range(3)]
    async with engine.working(*rows) as tasks:
        await asyncio.gather(*tasks)
    assert steps(engine) == [NOTIFY] * 3
    await asyncio.sleep(10)
    claims = await engine.ledger.claim(3, engine.clock.time())
    await asyncio.gather(*map(engine.delivery.deliver, claims))
    assert steps(engine) == [*[NOTIFY] * 3, Step.CHECK_MANY]
    world.turn(State.CLOSED, State.ENDED)
    assert [(await engine.again(row.key)).status for row in rows] == [Status.OPENED] * 3
    assert world.broken_rules == []


@in_virtual_time
async def test_no_record_is_enough_for_an_open_to_the_rows_address_once_one_differs():
    """The record has no address: the state that is read instead has the platform's."""
    world = SessionWorld(bare_records=True)
    engine = engine_of(world, states_per_call=10)
    await engine.deliver(world.add(State.ENDED, row_address="a-moved"))
    assert engine.events.of_type(AddressesDiffer)
    rows = [world.add(State.ENDED, row_address="a-moved") for _ in range(5)]
    async with engine.working(*rows) as tasks:
        await asyncio.gather(*tasks)
    opens = [r.decision for r in engine.platform.requests if r.step is LINK]
    assert len(opens) == 6
    assert all(sent.target.is_guest_id for sent in opens)


@pytest.mark.parametrize(
    ("answer", "requests"),
    [
        (throttled(3), [LINK, LINK]),
        (throttled(600, "open"), [LINK, CHECK, LINK]),
        (refused(503), [LINK, CHECK, LINK]),
        (refused(400), [LINK, CHECK, LINK]),
        (Answer(302), [LINK, CHECK, LINK]),
    ],
    ids=str,
)
@in_virtual_time
async def test_other_answers_are_followed_as_after_a_state_check(answer, requests):
    world = SessionWorld()
    engine = engine_of(world)
    await learnt(engine, world)
    real, script = world.answer, [answer]

    def first(request):
        if request.step is LINK and script:
            return script.pop()
        return real(request)

    engine.platform.answer = first
    row = await engine.until_final(world.add(State.ENDED))
    assert steps(engine) == requests
    assert row.status is Status.OPENED


@pytest.mark.parametrize("lost", [RESET, TIMEOUT])
@pytest.mark.parametrize("taken", [True, False])
@in_virtual_time
async def test_a_send_without_an_answer_is_looked_for(lost, taken):
    """It is in doubt as every other; it is not sent without a state check again."""
    world = SessionWorld()
    engine = engine_of(world)
    await learnt(engine, world)
    real, script = world.answer, [lost]

    def first(request):
        if request.step is LINK and script:
            request.takes_effect = taken and real(request).status == 201
            return script.pop()
        return real(request)

    engine.platform.answer = first
    async with engine.reconciling():
        row = await engine.deliver(world.add(State.ENDED))
        assert row.status is Status.IN_DOUBT
        await asyncio.sleep(400)
        await engine.deliver(world.add(State.ENDED))  # a later message shows what is missing
        await asyncio.sleep(400)
        if not taken:
            assert row.status is Status.READY
            await engine.again(row.contact.key)
    assert row.status is Status.OPENED
    asked = [r.step for r in engine.platform.requests if r.conversation_id == "conversation-31"]
    assert asked == ([LINK] if taken else [LINK, CHECK, LINK])
    assert world.reached_twice() == set()


@in_virtual_time
async def test_a_missing_scope_behind_a_refusal_halts():
    world = SessionWorld()
    engine = engine_of(world)
    await learnt(engine, world)
    engine.platform.answer = lambda request: (
        refused(409) if request.step is LINK else world.answer(request)
    )
    engine.platform.missing = ("conversations:messaging:write",)
    async with engine.working(world.add(State.ENDED), world.add(State.ENDED), probing=False):
        await asyncio.sleep(5)
        (scope,) = engine.events.of_type(ScopeError)[:1]
        assert scope.missing == ("conversations:messaging:write",)
        (halted,) = engine.events.of_type(Halted)
        assert halted.reason is HaltReason.SCOPE
        assert len(steps(engine)) <= 2


@in_virtual_time
async def test_refusals_in_a_row_do_not_request_a_token_each():
    """The state explains them; a scope that is missing is found at the latest by the next send."""
    world = SessionWorld()
    engine = engine_of(world)
    await learnt(engine, world)
    before = len(engine.platform.verified)
    for _ in range(6):
        await engine.deliver(world.add(State.OPEN))
    assert world.refused[LINK] == 6
    assert len(engine.platform.verified) - before == 1


@in_virtual_time
async def test_accepted_sends_count_as_states_where_most_states_would_be_refusals():
    """Only those that are gone are checked at all: that is no common cause."""
    world = SessionWorld()
    for number in range(500):
        world.add(None if number % 20 == 19 else State.ENDED)
    engine = await delivered(world, halt_suspicious=True, workers=16)
    assert not engine.events.of_type(Halted)
    assert engine.ledger.count(Status.OPENED) == 475


# who is not sent to without a state check


def suppressing(*names):
    return CampaignRules(
        suppressed=lambda ids, addresses: bool(set(names) & {*ids, *addresses}),
        list_names_addresses=lambda: False,
    )


NOT_PERMITTED = {
    "no person in the row": ({"row_person": ""}, {}),
    "no address in the row": ({"row_address": ""}, {}),
    "a suppression list": ({}, {"rules": suppressing("p-0")}),
}


@pytest.mark.parametrize("case", NOT_PERMITTED)
@in_virtual_time
async def test_rows_that_do_not_permit_it_are_checked_first(case):
    row, more = NOT_PERMITTED[case]
    world = SessionWorld()
    for _ in range(60):
        world.add(State.ENDED, **row)
    engine = await delivered(world, **more)
    assert steps(engine).count(CHECK) == 60
    assert not engine.events.of_type(UncheckedSend)


@pytest.mark.parametrize(
    "policy",
    [
        DecisionPolicy(retry=POLICY),
        DecisionPolicy(retry=POLICY, identity=IdentityRule.PLATFORM),
        replace(ROW, barge_in=BargeIn.NEVER, engaged_max_seconds=1.0),
        replace(ROW, barge_in=BargeIn.CUSTOMER_ONLY),
    ],
    ids=["park", "platform", "never", "customer-only"],
)
@in_virtual_time
async def test_no_open_session_is_notified_first_under_other_rules(policy):
    world = SessionWorld()
    for _ in range(60):
        world.add(State.OPEN)
    engine = await delivered(world, policy=policy)
    assert not engine.events.of_type(UncheckedSend)
    assert steps(engine).count(CHECK) >= 60


@in_virtual_time
async def test_addresses_that_are_not_the_platforms_are_not_sent_to():
    """A column with other addresses: no message rests on it, and the log says so once."""
    world = SessionWorld()
    for _ in range(60):
        world.add(State.ENDED, row_address="a-else")
    engine = await delivered(world)
    assert not engine.events.of_type(UncheckedSend)
    assert len(engine.events.of_type(AddressesDiffer)) == 1


@in_virtual_time
async def test_the_first_address_that_differs_ends_opens_without_a_check():
    world = SessionWorld()
    engine = engine_of(world)
    await learnt(engine, world)
    await engine.deliver(world.add(State.OPEN, row_address="a-else"))
    engine.platform.requests.clear()
    await engine.deliver(world.add(State.ENDED))
    assert steps(engine) == [CHECK, LINK]


@pytest.mark.parametrize(
    "progress",
    [Progress(sends=1), Progress(attempts=1), Progress(suspected="open/400/x")],
    ids=str,
)
@in_virtual_time
async def test_only_the_very_first_call_is_chosen(progress):
    """A contact that was refused, that was in doubt, or that a run put back is checked."""
    world = SessionWorld()
    engine = engine_of(world)
    await learnt(engine, world)
    await engine.deliver(world.add(State.ENDED), progress)
    assert steps(engine)[0] is CHECK


@in_virtual_time
async def test_an_expired_contact_and_one_in_the_night_are_not_sent_to():
    world = SessionWorld()
    engine = engine_of(world)
    await learnt(engine, world)
    row = await engine.deliver(world.add(State.ENDED, expires_at=START))
    assert (row.status, row.settlement.reason) == (Status.SKIPPED, Reason.EXPIRED)
    assert steps(engine) == []


@in_virtual_time
async def test_one_per_person_holds_by_the_row():
    world = SessionWorld()
    engine = engine_of(world, rules=CampaignRules(one_per_person=True))
    await learnt(engine, world)
    first = await engine.deliver(world.add(State.ENDED, person="p-same"))
    second = await engine.deliver(world.add(State.ENDED, person="p-same"))
    assert first.status is Status.OPENED
    assert (second.status, second.settlement.reason) == (Status.SKIPPED, Reason.SAME_PERSON)


@in_virtual_time
async def test_a_drain_lets_those_go_that_wait_for_an_answer():
    """64 sends hang; the contacts that wait for them go back into the ledger at once."""
    world = SessionWorld()
    engine = engine_of(world)
    await learnt(engine, world)
    real = world.answer
    engine.platform.latency = 30.0
    engine.platform.answer = real
    rows = [world.add(State.ENDED) for _ in range(200)]
    pipeline = engine.pipeline(rows, workers=150, drain_seconds=60.0)
    world.engine = engine
    running = asyncio.create_task(pipeline.run())
    await asyncio.sleep(45)
    pipeline.stop()
    assert await running is RunOutcome.DRAINED
    assert engine.ledger.count(Status.CLAIMED, Status.SENDING, Status.IN_DOUBT) == 0
    assert engine.clock.monotonic() < 200


@in_virtual_time
async def test_the_probe_of_a_halt_does_not_wait_for_answers_of_contacts_that_wait_for_it():
    """During the halt all that was learnt is forgotten, so its send is judged again."""
    world = SessionWorld()
    engine = engine_of(world)
    await learnt(engine, world)
    learner = engine.delivery.first_calls.learner
    calls = [learner.choose(("", None), (LINK,), (LINK,)) for _ in range(12)]
    engine.breaker.halt(HaltReason.SCOPE, "a scope is missing", LINK, by_token=False)
    async with engine.working(*(world.add(State.ENDED) for _ in range(30))) as tasks:
        await asyncio.sleep(1)
        for call in calls:
            if learner.pays(call):
                learner.end_send(call, accepted=False)
        async with engine.working(
            *(world.add(State.ENDED) for _ in range(30)), probing=False
        ) as more:
            await asyncio.wait([*tasks, *more], timeout=600)
    assert engine.ledger.count(Status.OPENED) == 30 + 60
    assert engine.breaker.reason is None


@in_virtual_time
async def test_a_build_whose_first_open_has_no_link_is_found(monkeypatch):
    """It names the row's person, and the platform compares it with nothing."""
    real = first_calls.unchecked_send

    def unlinked(contact, step, policy):
        send = real(contact, step, policy)
        return replace(send, previous=None) if isinstance(send, Open) else send

    monkeypatch.setattr(first_calls, "unchecked_send", unlinked)
    world = SessionWorld()
    for number in range(60):
        world.add(State.ENDED if number < 50 else State.OPEN)
    engine = engine_of(world)
    await engine.pipeline(world.rows(), workers=4).run()
    assert world.broken_rules


def test_a_row_without_a_person_makes_no_link():
    contact = SessionWorld().add(State.ENDED, row_person="")
    with pytest.raises(ValueError, match="permits no open"):
        first_calls.unchecked_send(contact, LINK, DecisionPolicy())
