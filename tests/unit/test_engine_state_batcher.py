"""Many states in one request: what it saves, and what makes a state be read individually."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from dispatcher.domain.answer import Answer
from dispatcher.domain.conversation import Conversation, State
from dispatcher.domain.decision import BargeIn, DecisionPolicy
from dispatcher.domain.events import Answered, Halted, StateAged, Throttled
from dispatcher.domain.progress import NEW
from dispatcher.domain.status import HaltReason, Reason, Status, Step
from dispatcher.engine.batch_queue import COOLDOWN_SECONDS
from dispatcher.engine.run_options import RunOutcome
from dispatcher.pacing.pacer import QuotaPacer
from tests.support.engine import POLICY, EngineFixture, contact, contacts
from tests.support.pool import PoolFixture
from tests.support.scripted import (
    ENDED,
    ENGAGED,
    GOOD,
    GUEST,
    NOT_SENT,
    OPEN,
    TIMEOUT,
    ScriptedPlatform,
    refused,
    state_answer,
    throttled,
)
from tests.support.virtual import VirtualClock, in_virtual_time, until

CHECK, MANY, NOTIFY, LINK = Step.CHECK, Step.CHECK_MANY, Step.NOTIFY, Step.OPEN
A_SECOND = 10
"""Requests that the quota of these tests permits."""


def recorded(request, state=State.ENDED, **more):
    """What analytics record, of all that are asked for."""
    found = (Conversation(id_, state, "person-1", GUEST, **more) for id_ in request.conversation_id)
    return Answer(200, from_platform=True, conversations=tuple(found))


def engine_of(most, many=recorded, alone=GOOD, rules=None):
    """An engine whose pace makes workers wait for the same batch."""

    def answer(request):
        if request.step is MANY:
            return many(request) if callable(many) else many
        answer = alone[request.step]
        return answer(request) if callable(answer) else answer

    pacer = QuotaPacer(A_SECOND * 60, 60.0, VirtualClock())
    return EngineFixture(answer, rules, pacer, states_per_call=most)


def requests_by_step(engine):
    return Counter(request.step for request in engine.platform.requests)


async def delivered(engine, number, workers=20):
    assert await engine.pipeline(contacts(number), workers=workers).run() is RunOutcome.DONE
    return requests_by_step(engine)


@pytest.mark.parametrize(("most", "number"), [(5, 100), (20, 200)])
@in_virtual_time
async def test_contacts_cost_their_sends_and_a_share_of_a_read(most, number):
    """Only the first contact, which no other waits with, is read individually."""
    engine = engine_of(most)
    requests = await delivered(engine, number)
    assert engine.ledger.count(Status.OPENED) == requests[LINK] == number
    reads = requests[CHECK] + requests[MANY]
    assert number / most <= reads <= number / most + 3
    assert max(len(r.conversation_id) for r in engine.platform.requests if r.step is MANY) == most
    sends = Counter(r.conversation_id for r in engine.platform.requests if r.step is LINK)
    assert set(sends.values()) == {1}
    answered = Counter(event.step for event in engine.events.of_type(Answered))
    assert answered == requests


@in_virtual_time
async def test_without_the_setting_states_are_read_individually():
    """One check for each contact."""
    requests = await delivered(engine_of(1), 40)
    assert requests == {CHECK: 40, LINK: 40}


@in_virtual_time
async def test_the_quota_holds_for_what_is_read_together():
    """One request counts once, and all together keep to the pace."""
    engine = engine_of(10)
    requests = await delivered(engine, 100)
    assert engine.clock.monotonic() >= (sum(requests.values()) - 1) / A_SECOND
    assert engine.clock.monotonic() <= 1.1 * sum(requests.values()) / A_SECOND


@in_virtual_time
async def test_the_age_of_a_state_counts_from_the_answer():
    """Ten sends after one read: the last rests on a state that waited for the nine before it."""
    engine = engine_of(10)
    await delivered(engine, 50, workers=10)
    ages = [event.seconds for event in engine.events.of_type(StateAged)]
    assert 0.9 <= max(ages) <= 1.2


@in_virtual_time
async def test_a_session_without_a_record_is_read_individually():
    """A lag, or a conversation that is gone: only its own check can show."""

    def half(request):
        whole = recorded(request)
        kept = [c for c in whole.conversations if int(c.id.split("-")[1]) % 2]
        return replace(whole, conversations=tuple(kept))

    def alone(request):
        return refused(404) if request.conversation_id == "conversation-2" else ENDED

    engine = engine_of(10, half, {**GOOD, CHECK: alone})
    requests = await delivered(engine, 50)
    assert 15 < requests[CHECK] < 35
    assert engine.ledger.count(Status.OPENED) == 49
    assert engine.ledger.row("key-2").settlement.reason is Reason.CONVERSATION_GONE


@pytest.mark.parametrize(
    "answer",
    [
        NOT_SENT,
        TIMEOUT,
        refused(500),
        refused(403),
        refused(404),
        Answer(200, from_platform=True),
        Answer(302),
    ],
    ids=str,
)
@in_virtual_time
async def test_a_batch_without_states_delays_no_contact(answer):
    """The states are read individually; for a while no other batch is tried."""
    engine = engine_of(10, answer)
    requests = await delivered(engine, 100)
    assert requests[CHECK] == requests[LINK] == 100
    assert requests[MANY] == 1
    assert engine.clock.monotonic() < COOLDOWN_SECONDS
    assert not engine.events.of_type(Halted)
    assert engine.ledger.count(Status.OPENED) == 100


@in_virtual_time
async def test_after_the_cooldown_a_batch_is_tried_again():
    """A single failure costs one cooldown."""
    answers = [refused(500)]
    engine = engine_of(10, lambda request: answers.pop() if answers else recorded(request))
    requests = await delivered(engine, 1000)
    assert requests[LINK] == 1000
    many = [request.at for request in engine.platform.requests if request.step is MANY]
    assert many[1] - many[0] == pytest.approx(COOLDOWN_SECONDS, abs=3)
    assert len(many) > 10


@in_virtual_time
async def test_a_refused_token_is_renewed_once():
    """As after a check: the batch is read once more, and later batches follow."""
    engine = engine_of(
        10, lambda request: refused(401) if request.token == 1 else recorded(request)
    )
    requests = await delivered(engine, 100)
    assert len(engine.platform.verified) == 1
    assert requests[LINK] == 100
    assert requests[MANY] > 5


@in_virtual_time
async def test_an_expired_token_is_renewed_and_nobody_is_lost():
    """The request was not made; the contacts that were to share it go on."""
    engine = engine_of(10)
    engine.platform.expired = True
    engine.platform.renewal = 2.0
    requests = await delivered(engine, 60)
    assert requests[LINK] == 60


@pytest.mark.parametrize("key", [None, "analytics.conversations.details"])
@in_virtual_time
async def test_over_quota_holds_as_for_a_check(key):
    """All requests, or only batches: then the states are read individually meanwhile."""
    answers = [throttled(30.0, key)]
    engine = engine_of(10, lambda request: answers.pop() if answers else recorded(request))
    requests = await delivered(engine, 60)
    (event,) = engine.events.of_type(Throttled)
    assert event.step is (MANY if key else None)
    assert requests[LINK] == 60
    held = next(request.at for request in engine.platform.requests if request.step is MANY)
    meanwhile = [r.step for r in engine.platform.requests if held < r.at < held + 29.0]
    assert (CHECK in meanwhile) is bool(key)
    assert MANY not in meanwhile


@in_virtual_time
async def test_a_missing_scope_halts_and_the_run_goes_on_once_it_is_there():
    """The 403 is judged by what a token grants, as that of a look back."""
    engine = engine_of(10, lambda r: refused(403) if missing else recorded(r))
    missing = ["analytics"]
    engine.platform.missing = lambda: tuple(missing)
    run = asyncio.create_task(engine.pipeline(contacts(60), workers=20).run())
    await until(lambda: engine.events.of_type(Halted))
    assert engine.events.of_type(Halted)[0].reason is HaltReason.SCOPE
    missing.clear()
    assert await run is RunOutcome.DONE
    assert engine.ledger.count(Status.OPENED) == 60


@in_virtual_time
async def test_a_drain_releases_the_contacts_that_wait_for_a_batch():
    """Contacts whose states were not read go back to the ledger."""
    engine = engine_of(5)
    stream = engine.pipeline(contacts(200), workers=20)
    run = asyncio.create_task(stream.run())
    await until(lambda: requests_by_step(engine)[LINK] >= 30)
    stream.stop()
    assert await asyncio.wait_for(run, 60) is RunOutcome.DRAINED
    opened = engine.ledger.count(Status.OPENED)
    assert 30 <= opened < 60
    assert engine.ledger.count(Status.READY) == 200 - opened or engine.source.closed


@pytest.mark.parametrize("cancelled", range(6))
@in_virtual_time
async def test_a_waiting_contact_that_is_cancelled_delays_no_other(cancelled):
    """Whether it led the batch or not."""
    engine = engine_of(3)
    async with engine.working(*contacts(6)) as tasks:
        await asyncio.sleep(0.02)
        tasks[cancelled].cancel()
        await asyncio.wait(tasks)
    assert engine.ledger.count(Status.OPENED) == 5


@pytest.mark.parametrize(
    ("state", "step", "status", "after"),
    [
        (State.OPEN, NOTIFY, 409, ENDED),
        (State.OPEN, NOTIFY, 404, ENDED),
        (State.ENDED, LINK, 409, OPEN),
    ],
)
@in_virtual_time
async def test_a_send_that_rests_on_an_old_record_costs_a_conflict_and_a_check(
    state, step, status, after
):
    """The record is old: the platform refuses, and the ordinary check decides."""
    alone = {**GOOD, CHECK: after, step: refused(status)}
    engine = engine_of(20, lambda request: recorded(request, state), alone)
    engine.ledger.put(contact(99), due=engine.clock.time(), progress=NEW)
    requests = await delivered(engine, 20)
    right = Status.OPENED if after is ENDED else Status.NOTIFIED
    assert engine.ledger.count(right) == 21
    assert requests[CHECK] == 21
    assert requests[MANY] <= 2


@pytest.mark.parametrize(
    ("policy", "engaged", "reads", "notified"),
    [
        (BargeIn.CUSTOMER_ONLY, False, 10, 0),
        (BargeIn.CUSTOMER_ONLY, True, 0, 0),
        (BargeIn.ALWAYS, False, 0, 11),
        (BargeIn.NEVER, False, 0, 0),
    ],
)
@in_virtual_time
async def test_nobody_is_barged_in_on_by_an_old_record(policy, engaged, reads, notified):
    """With customer-only, a state check shows who is connected before the send."""
    rules = DecisionPolicy(barge_in=policy, engaged_seconds=1000, retry=POLICY)
    alone = {**GOOD, CHECK: OPEN if notified else ENGAGED}
    engine = engine_of(10, lambda r: recorded(r, State.OPEN, engaged=engaged), alone, rules)
    async with engine.working(*contacts(11)) as tasks:
        await asyncio.wait(tasks)
    requests = requests_by_step(engine)
    assert requests[MANY] == 1
    assert requests[CHECK] == reads + 1
    assert requests[NOTIFY] == notified


@in_virtual_time
async def test_records_name_a_conversation_in_another_case():
    """An export has upper case, analytics lower: the record is the contact's all the same."""

    def lower(request):
        found = recorded(request)
        named = [replace(talk, id=talk.id.lower()) for talk in found.conversations]
        return replace(found, conversations=tuple(named))

    ids = [f"ABCDEF01-0000-4000-8000-0000000000{number:02d}" for number in range(10)]
    engine = engine_of(10, lower)
    rows = [replace(contact(number), conversation_id=id_) for number, id_ in enumerate(ids)]
    async with engine.working(*rows) as tasks:
        await asyncio.wait(tasks)
    assert engine.ledger.count(Status.OPENED) == 10
    assert requests_by_step(engine)[CHECK] <= 1, "more than the first, which had nobody to wait for"


@in_virtual_time
async def test_nothing_is_final_by_an_old_record_alone():
    """Another person than the row's: the ordinary check has the last word."""
    engine = engine_of(10, alone={**GOOD, CHECK: state_answer(identity="person-2")})
    answer = [contact(n, external_contact_id="person-2") for n in range(1, 11)]
    async with engine.working(*answer) as tasks:
        await asyncio.wait(tasks)
    assert engine.ledger.count(Status.OPENED) == 10
    assert requests_by_step(engine)[CHECK] == 10


@in_virtual_time
async def test_a_halt_in_the_middle_ends_and_everybody_is_delivered():
    """The platform is down for a while: contacts that wait for a batch wait for its end."""

    def answer(request):
        if 3.0 < asyncio.get_running_loop().time() < 40.0:
            return NOT_SENT
        return recorded(request) if request.step is MANY else GOOD[request.step]

    engine = engine_of(10, answer, dict.fromkeys(GOOD, answer))
    requests = await delivered(engine, 120)
    assert [event.reason for event in engine.events.of_type(Halted)] == [HaltReason.PLATFORM_DOWN]
    assert engine.ledger.count(Status.OPENED) == 120
    assert requests[MANY] > 3


@in_virtual_time
async def test_of_several_clients_only_the_one_without_analytics_halts():
    """Batches go on through the other."""

    def answer(request, missing):
        if request.step is not MANY:
            return GOOD[request.step]
        return refused(403) if missing else recorded(request)

    platforms = {
        "north": ScriptedPlatform(lambda request: answer(request, missing=True)),
        "south": ScriptedPlatform(lambda request: answer(request, missing=False)),
    }
    platforms["north"].missing = ("analytics",)
    quotas = dict.fromkeys(platforms, A_SECOND * 60)
    engine = PoolFixture(platforms=platforms, quotas=quotas, states_per_call=10)
    assert await engine.pipeline(contacts(400), workers=40).run() is RunOutcome.DONE
    assert engine.ledger.count(Status.OPENED) == 400
    assert engine.reason("north") is HaltReason.SCOPE
    assert engine.reason("south") is None
    assert engine.steps("north").count(MANY) >= 1
    together = [len(r.conversation_id) for r in platforms["south"].requests if r.step is MANY]
    assert max(together) == 10
