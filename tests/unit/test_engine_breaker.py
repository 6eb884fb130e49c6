"""Halts: which request is let through in a halt, when, and what ends the halt."""

import asyncio
from itertools import pairwise

import pytest

from dispatcher.domain.events import Halted, Probed, Resumed
from dispatcher.domain.progress import NEW
from dispatcher.domain.status import HaltReason, Reason, Status, Step
from dispatcher.engine.run_options import RunOutcome
from dispatcher.ports import CredentialsError, TokenUnavailableError
from tests.support.engine import PROBE_SECONDS, EngineFixture, contact, contacts, event_words
from tests.support.scripted import GOOD, NOT_SENT, OPENED, RESET, refused
from tests.support.virtual import in_virtual_time, until

CHECK, LINK = Step.CHECK, Step.OPEN


class World:
    """A platform whose opens are answered by ``refusal`` for as long as it is set."""

    def __init__(self, refusal, missing=()):
        self.refusal = refusal
        self.engine = EngineFixture(self.answer)
        self.engine.platform.missing = missing

    def answer(self, request):
        return self.refusal if self.refusal and request.step is LINK else GOOD[request.step]

    def restore(self):
        self.refusal = None
        self.engine.platform.missing = ()


def sends(engine, since=0.0):
    return [
        request
        for request in engine.platform.requests
        if request.step is LINK and request.at >= since
    ]


def spaced(times, least):
    return all(later - earlier > least - 0.2 for earlier, later in pairwise(times))


@pytest.mark.parametrize(
    ("refusal", "source"), [(refused(403), "forbidden"), (refused(409), "masked_conflict")]
)
@in_virtual_time
async def test_a_missing_scope_is_probed_by_token_and_resumes_by_itself(refusal, source):
    """No request at all while it is missing; one question for a token per interval."""
    world = World(refusal, missing=("write",))
    engine = world.engine
    async with engine.working(*contacts(20)) as tasks:
        await asyncio.sleep(1)
        before, counted = len(engine.platform.requests), event_words(engine.events)
        assert counted.count(f"scope:{source}:open") == len(counted) - 1 == 20
        assert engine.breaker.reason is HaltReason.SCOPE
        await asyncio.sleep(100)
        assert len(engine.platform.requests) == before
        probes = [moment for moment in engine.platform.verified if moment > 1]
        assert len(probes) == len(engine.events.of_type(Probed)) == 6
        assert spaced(probes, PROBE_SECONDS)
        assert engine.ledger.count(Status.CLAIMED) == 20
        world.restore()
        await asyncio.sleep(PROBE_SECONDS + 1)
        assert all(task.done() for task in tasks)
    assert engine.ledger.count(Status.OPENED) == 20
    assert len(engine.events.of_type(Halted)) == len(engine.events.of_type(Resumed)) == 1


@in_virtual_time
async def test_a_403_with_its_scopes_is_probed_at_once_then_by_one_contact_per_interval():
    """Another contact each time, whatever the number of workers."""
    engine = World(refused(403)).engine
    engine.platform.latency = 0.01
    async with engine.working(contact(0)):
        await until(lambda: engine.breaker.reason is HaltReason.FORBIDDEN)
        async with engine.working(*contacts(30), probing=False):
            await asyncio.sleep(100)
            tried = sends(engine)
    moments = [request.at for request in tried]
    assert moments[1] - moments[0] < 0.1
    assert spaced(moments[1:], PROBE_SECONDS)
    assert len(tried) == 2 + 6
    assert len({request.conversation_id for request in tried}) == len(tried)
    assert engine.ledger.count(Status.PARKED) == 0


@in_virtual_time
async def test_a_contact_that_is_refused_while_another_passes_is_parked():
    """It is refused before and after the other passes; no other contact is affected."""
    refusing = "conversation-2"
    engine = EngineFixture(
        lambda request: (
            refused(403)
            if request.step is LINK and request.conversation_id == refusing
            else GOOD[request.step]
        )
    )
    assert await engine.pipeline(contacts(9)).run() is RunOutcome.DONE
    assert engine.ledger.end("key-2") == (Status.PARKED, Reason.FORBIDDEN_CONTACT)
    assert engine.ledger.count(Status.OPENED) == 8
    refusals = [request for request in sends(engine) if request.conversation_id == refusing]
    between = [request for request in sends(engine) if refusals[0].at < request.at < refusals[1].at]
    assert len(refusals) == 2
    assert between
    facts = event_words(engine.events)
    assert facts.count("scope:forbidden:open") == 2
    assert not [fact for fact in facts if fact.startswith(("conflict", "loop"))]


@in_virtual_time
async def test_a_contact_that_is_refused_alone_is_not_parked():
    """Without another contact to compare, nothing shows that it is the contact: the run halts."""
    engine = World(refused(403)).engine
    assert await engine.pipeline(contacts(1)).run() is RunOutcome.HALTED
    assert engine.ledger.row("key-1").status is Status.READY
    assert len(sends(engine)) <= 6


@in_virtual_time
async def test_what_was_taken_before_the_refusal_does_not_count_as_another_that_passed():
    """Also when the answer to an older request comes last."""
    engine = EngineFixture()
    engine.breaker.record_success(1, LINK, 200.0)
    engine.breaker.record_success(2, LINK, 100.0)
    assert engine.breaker.succeeded_since(LINK, 150.0)
    assert not engine.breaker.succeeded_since(LINK, 200.0)
    assert not engine.breaker.succeeded_since(CHECK, 0.0)


@in_virtual_time
async def test_a_platform_that_is_down_opens_the_breaker_and_costs_nothing():
    """Probes after 1, 2, 4, 8, then each interval; no attempt spent; then all goes on."""
    down = True
    engine = EngineFixture(lambda request: NOT_SENT if down else GOOD[request.step])
    running = asyncio.create_task(engine.pipeline(contacts(30), wait_limit=1000).run())
    await until(lambda: engine.breaker.reason is HaltReason.PLATFORM_DOWN)
    since = engine.breaker.since
    on_the_wire = len(engine.platform.requests)
    assert on_the_wire <= 8
    await asyncio.sleep(61)
    moments = [round(request.at - since, 1) for request in engine.platform.requests[on_the_wire:]]
    assert moments == pytest.approx([1, 3, 7, 15, 30, 45, 60], abs=0.2)
    down = False
    assert await running is RunOutcome.DONE
    assert engine.ledger.count(Status.OPENED) == 30
    assert all(row.progress.attempts == 0 for row in engine.ledger.rows.values())
    assert [event.reason for event in engine.events.of_type(Halted)] == [HaltReason.PLATFORM_DOWN]


@in_virtual_time
async def test_an_answer_of_any_kind_shows_that_the_platform_is_there():
    """Failures that are not in a row open nothing."""
    answers = iter([NOT_SENT, NOT_SENT, refused(500)] * 9)
    engine = EngineFixture(lambda _: next(answers))
    for number in range(27):
        await engine.deliver(contact(number))
    assert engine.events.of_type(Halted) == []


@in_virtual_time
async def test_a_contact_that_queues_for_a_permit_leaves_the_queue_when_the_run_halts():
    """And makes no request until the run resumes."""
    engine = EngineFixture()
    engine.pacer.shut = True
    async with engine.working(*contacts(5), probing=False) as tasks:
        await until(lambda: len(engine.pacer.waiting) == 5)
        engine.breaker.halt(HaltReason.SCOPE, "")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert engine.pacer.waiting == []
        engine.pacer.let_in()
        await asyncio.sleep(5)
        assert engine.platform.requests == []
        engine.breaker.record_success(0, LINK, 0.0)
        assert engine.breaker.reason is not None
        engine.breaker._resume()
        await asyncio.wait(tasks)
    assert engine.ledger.count(Status.OPENED) == 5


@pytest.mark.parametrize(("wait", "checks"), [(5, 1), (40, 2)])
@in_virtual_time
async def test_a_permit_got_just_before_a_halt_is_not_used(wait, checks):
    """The intent is retracted; the send follows later, on a state that is not too old."""
    engine = EngineFixture()

    async def halt_meanwhile(name):
        if name == "intend" and not engine.events.of_type(Halted):
            engine.breaker.halt(HaltReason.CREDENTIALS, "")

    engine.ledger.before = halt_meanwhile
    async with engine.working(contact(), probing=False) as tasks:
        await asyncio.sleep(wait)
        row = engine.ledger.row("key-1")
        assert row.history == ["claim", "intend", "retract"]
        assert [permit.end for permit in engine.pacer.permits] == ["answered", "unused"]
        engine.breaker._resume()
        await asyncio.wait(tasks)
    assert engine.platform.steps() == [CHECK] * checks + [LINK]
    assert row.progress.sends == 1


@in_virtual_time
async def test_an_expired_token_is_renewed_once_and_the_same_contact_goes_on():
    """401 to all workers at once: one renewal, no event, no contact deferred."""
    engine = EngineFixture(
        lambda request: refused(401) if request.token == 1 else GOOD[request.step]
    )
    async with engine.working(*contacts(8)) as tasks:
        await asyncio.wait(tasks)
    assert len(engine.platform.verified) == 1
    assert event_words(engine.events) == []
    assert engine.ledger.count(Status.OPENED) == 8


@in_virtual_time
async def test_401_to_a_token_just_issued_is_a_scope_error_and_is_probed_with_restraint():
    """The probe does not go on asking: it gives up its turn until the next interval."""
    engine = EngineFixture(lambda _: refused(401))
    async with engine.working(*contacts(8)):
        await asyncio.sleep(1)
        assert engine.breaker.reason is HaltReason.UNAUTHORIZED
        assert event_words(engine.events).count("scope:unauthorized:check") == 8
        await asyncio.sleep(10 * PROBE_SECONDS)
        later = [request for request in engine.platform.requests if request.at > 1]
    assert len(later) == 2 * 10, "a probe is one request and the same again with a new token"
    assert len({request.conversation_id for request in later}) == 8


@in_virtual_time
async def test_a_probe_that_finds_the_scope_gone_again_gives_up_its_turn():
    """One request per interval, although each question for a token finds nothing missing."""
    world = World(refused(409))
    engine = world.engine
    # each 409 finds the scope missing, each probe's own question finds it there
    answers = {"last": 0}

    def missing():
        repeated, answers["last"] = len(sends(engine)) > answers["last"], len(sends(engine))
        return ("write",) if repeated else ()

    engine.platform.missing = missing
    async with engine.working(*contacts(4)):
        await asyncio.sleep(1)
        await asyncio.sleep(5 * PROBE_SECONDS)
        moments = [request.at for request in sends(engine, since=1)]
    assert spaced(moments, PROBE_SECONDS)
    assert len(moments) == 5


@in_virtual_time
async def test_refused_credentials_halt_and_a_failing_probe_gives_up_its_turn():
    """The contact stays in hand, no intent is left standing."""
    tried = []

    def answer(request):
        tried.append(request.at)
        return CredentialsError("wrong secret")

    engine = EngineFixture(answer)
    async with engine.working(*contacts(3)):
        await asyncio.sleep(1)
        assert engine.breaker.reason is HaltReason.CREDENTIALS
        assert len(tried) <= 3
        await asyncio.sleep(4 * PROBE_SECONDS)
        assert spaced([moment for moment in tried if moment > 1], PROBE_SECONDS)
        assert len([moment for moment in tried if moment > 1]) == 4
    assert {permit.end for permit in engine.pacer.permits} == {"unused"}
    assert engine.ledger.count(Status.CLAIMED) == 3


@pytest.mark.parametrize("status", [403, 409])
@in_virtual_time
async def test_refusals_that_no_token_can_explain_are_not_repeated_at_once(status):
    """While no token can be had the contact waits in the ledger, not in a loop."""
    engine = World(refused(status), missing=TokenUnavailableError("down")).engine
    row = await asyncio.wait_for(engine.deliver(), 1000)
    assert row.status is Status.READY
    assert row.due - engine.clock.time() == pytest.approx(PROBE_SECONDS, abs=0.1)
    assert engine.platform.steps() == [CHECK, LINK]


@in_virtual_time
async def test_no_token_to_be_had_defers_without_spending_an_attempt():
    """Nothing was sent, so the intent goes too; five in a row open the breaker."""
    engine = EngineFixture(
        lambda request: GOOD[CHECK] if request.step is CHECK else TokenUnavailableError()
    )
    for number in range(5):
        row = await engine.deliver(contact(number))
        assert (row.status, row.intent) == (Status.READY, None)
        assert (row.progress.attempts, row.progress.sends) == (NEW.attempts, 0)
    assert engine.breaker.reason is None, "a check's answer comes between"
    for _ in range(5):
        engine.breaker.record_unreachable("")
    assert engine.breaker.reason is HaltReason.PLATFORM_DOWN


@in_virtual_time
async def test_a_run_that_resumes_and_halts_again_at_once_waits_its_interval():
    """The wake-up for the end of the first halt is not taken for a probe's time."""
    engine = EngineFixture()
    engine.platform.missing = ("write",)
    async with engine.working():
        engine.breaker.halt(HaltReason.SCOPE, "")
        await asyncio.sleep(1)
        engine.breaker._resume()
        engine.breaker.halt(HaltReason.SCOPE, "again")
        await asyncio.sleep(PROBE_SECONDS - 1)
        assert engine.platform.verified == []
        await asyncio.sleep(2)
        assert len(engine.platform.verified) == 1


@in_virtual_time
async def test_the_first_contact_to_come_is_the_probe_where_nobody_waited():
    """And only the first."""
    engine = World(refused(403)).engine
    async with engine.working():
        engine.breaker.halt(HaltReason.FORBIDDEN, "", LINK)
        await asyncio.sleep(1)
        async with engine.working(*contacts(5), probing=False):
            await asyncio.sleep(5)
            assert len(sends(engine)) == 1


@in_virtual_time
async def test_a_probe_that_was_promised_is_withdrawn_when_the_reason_changes():
    """A missing scope is found out by token first."""
    engine = EngineFixture()
    async with engine.working():
        engine.breaker.halt(HaltReason.FORBIDDEN, "", LINK)
        await asyncio.sleep(1)
        engine.platform.missing = ("write",)
        engine.breaker.halt(HaltReason.SCOPE, "", LINK)
        async with engine.working(*contacts(5), probing=False):
            await asyncio.sleep(60)
            assert engine.platform.requests == []


@in_virtual_time
async def test_a_probe_that_is_cancelled_gives_way_to_the_next():
    """A contact that makes no more requests is no longer the probe."""
    engine = World(None).engine
    engine.platform.latency = 100.0
    async with engine.working():
        engine.breaker.halt(HaltReason.FORBIDDEN, "", LINK)
        async with engine.working(contact(1), probing=False) as first:
            await until(lambda: engine.platform.requests)
            first[0].cancel()
            await asyncio.sleep(1)
        engine.platform.latency = 0.1
        async with engine.working(contact(2), probing=False) as second:
            await asyncio.wait(second, timeout=2 * PROBE_SECONDS)
            assert second[0].done()
    assert engine.breaker.reason is None


@in_virtual_time
async def test_only_a_send_proves_that_sends_are_permitted_again():
    """A state check that passes does not end the halt; its own send does."""
    engine = EngineFixture()
    async with engine.working():
        engine.breaker.halt(HaltReason.FORBIDDEN, "", LINK)
        engine.platform.on_wire = lambda _: (
            (engine.breaker.reason is HaltReason.FORBIDDEN) or pytest.fail("resumed too early")
        )
        async with engine.working(contact(), probing=False) as tasks:
            await asyncio.wait(tasks)
    assert engine.platform.steps() == [CHECK, LINK]
    assert engine.breaker.reason is None


@in_virtual_time
async def test_a_late_answer_from_before_the_halt_does_not_end_it():
    """What was on the wire is settled all the same."""
    engine = EngineFixture(
        lambda request: OPENED if request.step is LINK else GOOD[CHECK], latency=2
    )
    async with engine.working(contact(), probing=False) as tasks:
        await until(lambda: sends(engine))
        engine.breaker.halt(HaltReason.SCOPE, "", LINK)
        await asyncio.wait(tasks)
    assert engine.ledger.count(Status.OPENED) == 1
    assert engine.breaker.reason is HaltReason.SCOPE


@in_virtual_time
async def test_a_probe_in_doubt_is_left_alone_and_the_next_follows():
    """A reset proves nothing about scopes."""
    engine = World(RESET).engine
    async with engine.working():
        engine.breaker.halt(HaltReason.FORBIDDEN, "", LINK)
        async with engine.working(*contacts(3), probing=False):
            await asyncio.sleep(1.5 * PROBE_SECONDS)
            assert engine.ledger.count(Status.IN_DOUBT) == 2
            assert engine.breaker.reason is HaltReason.FORBIDDEN


@in_virtual_time
async def test_a_check_with_a_permit_got_just_before_a_halt_is_not_made():
    """Between the permit and its use there is a turn of the loop; it is looked at again."""
    engine = EngineFixture()
    engine.pacer.shut = True
    async with engine.working(contact(), probing=False):
        await until(lambda: engine.pacer.waiting)
        engine.pacer.let_in()
        engine.breaker.halt(HaltReason.SCOPE, "")
        await asyncio.sleep(5)
        assert [permit.end for permit in engine.pacer.permits] == ["unused"]
        assert engine.platform.requests == []


@in_virtual_time
async def test_a_contact_that_waits_for_an_examination_goes_on_once_it_is_over():
    """A 409 closes the way until it is known that no scope is missing; then all go on."""
    answers = {"conversation-1": iter([refused(409)])}
    engine = EngineFixture(
        lambda request: (
            next(answers.get(request.conversation_id, iter(())), OPENED)
            if request.step is LINK
            else GOOD[CHECK]
        )
    )
    verify = engine.platform.verify

    async def slow():
        await asyncio.sleep(20)
        return await verify()

    engine.platform.verify = slow
    async with engine.working(contact(1), probing=False) as first:
        await until(lambda: engine.breaker._pending_verdicts)
        async with engine.working(contact(2), probing=False) as second:
            await asyncio.sleep(10)
            assert len(engine.platform.requests) == 2
            await asyncio.wait(second)
        await asyncio.wait(first)
    assert engine.ledger.end("key-2") == (Status.OPENED, Reason.DELIVERED)
    assert engine.events.of_type(Halted) == []


@pytest.mark.parametrize("step", [CHECK, LINK])
@in_virtual_time
async def test_a_contact_that_waits_for_a_token_makes_no_request_after_a_halt(step):
    """The permit was given before the halt; a new permit is acquired once the token is there."""
    world = World(refused(403), missing=("write",))
    engine, platform = world.engine, world.engine.platform
    platform.renewal, platform.missing = 1.0, ()

    def expire(request):
        """Let the token die under all others as soon as the first link is on the wire."""
        if request.step is LINK and not platform.missing:
            platform.missing, platform.expired = ("write",), True

    platform.on_wire = expire
    late = asyncio.create_task(asyncio.sleep(0.06 if step is CHECK else 0))
    async with engine.working(contact(0)):
        await late
        async with engine.working(*contacts(20), probing=False):
            await until(lambda: engine.breaker.reason is HaltReason.SCOPE)
            before = platform.steps()
            assert platform.expired
            assert before.count(LINK) == 1
            await asyncio.sleep(PROBE_SECONDS - 2)
            assert not platform.expired
            assert platform.steps() == before
            assert engine.ledger.count(Status.CLAIMED) == 21
            world.restore()
            await until(lambda: engine.ledger.count(Status.OPENED) == 21)
    assert platform.steps().count(CHECK) == 21
    assert platform.steps().count(LINK) == 22
