"""Halts: who is let through while the run stands still, when, and what ends it."""

import asyncio
from itertools import pairwise

import pytest

from dispatcher.domain.events import Halted, Probed, Resumed
from dispatcher.domain.progress import NEW
from dispatcher.domain.status import HaltReason, Reason, Status, Step
from dispatcher.engine.run_options import RunOutcome
from dispatcher.ports import CredentialsError, TokenUnavailableError
from tests.support.engine import PROBE_SECONDS, Bench, contact, contacts, told
from tests.support.scripted import GOOD, NOT_SENT, OPENED, RESET, refused
from tests.support.virtual import in_virtual_time, until

CHECK, LINK = Step.CHECK, Step.OPEN


class World:
    """A platform whose opens are answered by ``refusal`` for as long as it is set."""

    def __init__(self, refusal, missing=()):
        self.refusal = refusal
        self.bench = Bench(self.answer)
        self.bench.platform.missing = missing

    def answer(self, request):
        return self.refusal if self.refusal and request.step is LINK else GOOD[request.step]

    def restore(self):
        self.refusal = None
        self.bench.platform.missing = ()


def sends(bench, since=0.0):
    return [each for each in bench.platform.requests if each.step is LINK and each.at >= since]


def spaced(times, least):
    return all(later - earlier > least - 0.2 for earlier, later in pairwise(times))


@pytest.mark.parametrize(
    ("refusal", "source"), [(refused(403), "forbidden"), (refused(409), "masked_conflict")]
)
@in_virtual_time
async def test_a_missing_scope_is_probed_by_token_and_resumes_by_itself(refusal, source):
    """No request at all while it is missing; one question for a token per interval."""
    world = World(refusal, missing=("write",))
    bench = world.bench
    async with bench.working(*contacts(20)) as tasks:
        await asyncio.sleep(1)
        asked, counted = len(bench.platform.requests), told(bench.events)
        assert counted.count(f"scope:{source}:open") == len(counted) - 1 == 20
        assert bench.halts.reason is HaltReason.SCOPE
        await asyncio.sleep(100)
        assert len(bench.platform.requests) == asked
        probes = [moment for moment in bench.platform.verified if moment > 1]
        assert len(probes) == len(bench.events.of(Probed)) == 6
        assert spaced(probes, PROBE_SECONDS)
        assert bench.ledger.count(Status.CLAIMED) == 20
        world.restore()
        await asyncio.sleep(PROBE_SECONDS + 1)
        assert all(task.done() for task in tasks)
    assert bench.ledger.count(Status.OPENED) == 20
    assert len(bench.events.of(Halted)) == len(bench.events.of(Resumed)) == 1


@in_virtual_time
async def test_a_403_with_its_scopes_is_probed_at_once_then_by_one_contact_per_interval():
    """Another contact each time, whatever the number of workers."""
    bench = World(refused(403)).bench
    bench.platform.latency = 0.01
    async with bench.working(contact(0)):
        await until(lambda: bench.halts.reason is HaltReason.FORBIDDEN)
        async with bench.working(*contacts(30), probing=False):
            await asyncio.sleep(100)
            tried = sends(bench)
    moments = [each.at for each in tried]
    assert moments[1] - moments[0] < 0.1
    assert spaced(moments[1:], PROBE_SECONDS)
    assert len(tried) == 2 + 6
    assert len({each.conversation_id for each in tried}) == len(tried)
    assert bench.ledger.count(Status.PARKED) == 0


@in_virtual_time
async def test_a_contact_that_is_refused_while_another_passes_is_parked():
    """Both before and after the other passed it is asked; nobody else is touched."""
    refusing = "conversation-2"
    bench = Bench(
        lambda request: (
            refused(403)
            if request.step is LINK and request.conversation_id == refusing
            else GOOD[request.step]
        )
    )
    assert await bench.pipeline(contacts(9)).run() is RunOutcome.DONE
    assert bench.ledger.end("key-2") == (Status.PARKED, Reason.FORBIDDEN_CONTACT)
    assert bench.ledger.count(Status.OPENED) == 8
    refusals = [each for each in sends(bench) if each.conversation_id == refusing]
    between = [each for each in sends(bench) if refusals[0].at < each.at < refusals[1].at]
    assert len(refusals) == 2
    assert between
    facts = told(bench.events)
    assert facts.count("scope:forbidden:open") == 2
    assert not [fact for fact in facts if fact.startswith(("conflict", "loop"))]


@in_virtual_time
async def test_a_contact_that_is_refused_alone_is_not_parked():
    """With nobody else to compare, nothing tells that it is the contact: the run is halted."""
    bench = World(refused(403)).bench
    assert await bench.pipeline(contacts(1)).run() is RunOutcome.HALTED
    assert bench.ledger.row("key-1").status is Status.READY
    assert len(sends(bench)) <= 6


@in_virtual_time
async def test_what_was_taken_before_the_refusal_does_not_count_as_another_that_passed():
    """Also when the answer to an older request comes last."""
    bench = Bench()
    bench.halts.record_success(1, LINK, 200.0)
    bench.halts.record_success(2, LINK, 100.0)
    assert bench.halts.succeeded_since(LINK, 150.0)
    assert not bench.halts.succeeded_since(LINK, 200.0)
    assert not bench.halts.succeeded_since(CHECK, 0.0)


@in_virtual_time
async def test_a_platform_that_is_down_opens_the_breaker_and_costs_nothing():
    """Probes after 1, 2, 4, 8, then each interval; no attempt spent; then all goes on."""
    down = True
    bench = Bench(lambda request: NOT_SENT if down else GOOD[request.step])
    running = asyncio.create_task(bench.pipeline(contacts(30), wait_limit=1000).run())
    await until(lambda: bench.halts.reason is HaltReason.PLATFORM_DOWN)
    since = bench.halts.since
    on_the_wire = len(bench.platform.requests)
    assert on_the_wire <= 8
    await asyncio.sleep(61)
    moments = [round(each.at - since, 1) for each in bench.platform.requests[on_the_wire:]]
    assert moments == pytest.approx([1, 3, 7, 15, 30, 45, 60], abs=0.2)
    down = False
    assert await running is RunOutcome.DONE
    assert bench.ledger.count(Status.OPENED) == 30
    assert all(row.progress.attempts == 0 for row in bench.ledger.rows.values())
    assert [event.reason for event in bench.events.of(Halted)] == [HaltReason.PLATFORM_DOWN]


@in_virtual_time
async def test_an_answer_of_any_kind_shows_that_the_platform_is_there():
    """Failures that are not in a row open nothing."""
    answers = iter([NOT_SENT, NOT_SENT, refused(500)] * 9)
    bench = Bench(lambda _: next(answers))
    for number in range(27):
        await bench.deliver(contact(number))
    assert bench.events.of(Halted) == []


@in_virtual_time
async def test_whoever_queues_for_a_permit_when_the_run_halts_comes_out_of_the_queue():
    """And makes no request until the run resumes."""
    bench = Bench()
    bench.pacer.shut = True
    async with bench.working(*contacts(5), probing=False) as tasks:
        await until(lambda: len(bench.pacer.waiting) == 5)
        bench.halts.halt(HaltReason.SCOPE, "")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert bench.pacer.waiting == []
        bench.pacer.let_in()
        await asyncio.sleep(5)
        assert bench.platform.requests == []
        bench.halts.record_success(0, LINK, 0.0)
        assert bench.halts.reason is not None
        bench.halts._resume()
        await asyncio.wait(tasks)
    assert bench.ledger.count(Status.OPENED) == 5


@pytest.mark.parametrize(("wait", "checks"), [(5, 1), (40, 2)])
@in_virtual_time
async def test_a_permit_got_just_before_a_halt_is_not_used(wait, checks):
    """The intent is retracted; the send follows later, on a state that is not too old."""
    bench = Bench()

    async def halt_meanwhile(name):
        if name == "intend" and not bench.events.of(Halted):
            bench.halts.halt(HaltReason.CREDENTIALS, "")

    bench.ledger.before = halt_meanwhile
    async with bench.working(contact(), probing=False) as tasks:
        await asyncio.sleep(wait)
        row = bench.ledger.row("key-1")
        assert row.history == ["claim", "intend", "retract"]
        assert [permit.end for permit in bench.pacer.permits] == ["answered", "unused"]
        bench.halts._resume()
        await asyncio.wait(tasks)
    assert bench.platform.steps() == [CHECK] * checks + [LINK]
    assert row.progress.sends == 1


@in_virtual_time
async def test_an_expired_token_is_renewed_once_and_the_same_contact_goes_on():
    """401 to all workers at once: one renewal, nothing told, nobody deferred."""
    bench = Bench(lambda request: refused(401) if request.token == 1 else GOOD[request.step])
    async with bench.working(*contacts(8)) as tasks:
        await asyncio.wait(tasks)
    assert len(bench.platform.verified) == 1
    assert told(bench.events) == []
    assert bench.ledger.count(Status.OPENED) == 8


@in_virtual_time
async def test_401_to_a_token_just_issued_is_a_scope_error_and_is_probed_with_restraint():
    """The probe does not go on asking: it gives up its turn until the next interval."""
    bench = Bench(lambda _: refused(401))
    async with bench.working(*contacts(8)):
        await asyncio.sleep(1)
        assert bench.halts.reason is HaltReason.UNAUTHORIZED
        assert told(bench.events).count("scope:unauthorized:check") == 8
        await asyncio.sleep(10 * PROBE_SECONDS)
        later = [each for each in bench.platform.requests if each.at > 1]
    assert len(later) == 2 * 10, "a probe is one request and the same again with a new token"
    assert len({each.conversation_id for each in later}) == 8


@in_virtual_time
async def test_a_probe_that_finds_the_scope_gone_again_gives_up_its_turn():
    """One request per interval, although each question for a token finds nothing missing."""
    world = World(refused(409))
    bench = world.bench
    # each 409 finds the scope missing, each probe's own question finds it there
    answers = {"last": 0}

    def missing():
        asked, answers["last"] = len(sends(bench)) > answers["last"], len(sends(bench))
        return ("write",) if asked else ()

    bench.platform.missing = missing
    async with bench.working(*contacts(4)):
        await asyncio.sleep(1)
        await asyncio.sleep(5 * PROBE_SECONDS)
        moments = [each.at for each in sends(bench, since=1)]
    assert spaced(moments, PROBE_SECONDS)
    assert len(moments) == 5


@in_virtual_time
async def test_refused_credentials_halt_and_a_failing_probe_gives_up_its_turn():
    """The contact stays in hand, no intent is left standing."""
    tried = []

    def answer(request):
        tried.append(request.at)
        return CredentialsError("wrong secret")

    bench = Bench(answer)
    async with bench.working(*contacts(3)):
        await asyncio.sleep(1)
        assert bench.halts.reason is HaltReason.CREDENTIALS
        assert len(tried) <= 3
        await asyncio.sleep(4 * PROBE_SECONDS)
        assert spaced([moment for moment in tried if moment > 1], PROBE_SECONDS)
        assert len([moment for moment in tried if moment > 1]) == 4
    assert {permit.end for permit in bench.pacer.permits} == {"unused"}
    assert bench.ledger.count(Status.CLAIMED) == 3


@pytest.mark.parametrize("status", [403, 409])
@in_virtual_time
async def test_refusals_that_no_token_can_explain_are_not_repeated_at_once(status):
    """While no token can be had the contact waits in the ledger, not in a loop."""
    bench = World(refused(status), missing=TokenUnavailableError("down")).bench
    row = await asyncio.wait_for(bench.deliver(), 1000)
    assert row.status is Status.READY
    assert row.due - bench.clock.time() == pytest.approx(PROBE_SECONDS, abs=0.1)
    assert bench.platform.steps() == [CHECK, LINK]


@in_virtual_time
async def test_no_token_to_be_had_defers_without_spending_an_attempt():
    """Nothing was sent, so the intent goes too; five in a row open the breaker."""
    bench = Bench(lambda request: GOOD[CHECK] if request.step is CHECK else TokenUnavailableError())
    for number in range(5):
        row = await bench.deliver(contact(number))
        assert (row.status, row.intent) == (Status.READY, None)
        assert (row.progress.attempts, row.progress.sends) == (NEW.attempts, 0)
    assert bench.halts.reason is None, "a check's answer comes between"
    for _ in range(5):
        bench.halts.record_unreachable("")
    assert bench.halts.reason is HaltReason.PLATFORM_DOWN


@in_virtual_time
async def test_a_run_that_resumes_and_halts_again_at_once_waits_its_interval():
    """The wake-up for the end of the first halt is not taken for a probe's time."""
    bench = Bench()
    bench.platform.missing = ("write",)
    async with bench.working():
        bench.halts.halt(HaltReason.SCOPE, "")
        await asyncio.sleep(1)
        bench.halts._resume()
        bench.halts.halt(HaltReason.SCOPE, "again")
        await asyncio.sleep(PROBE_SECONDS - 1)
        assert bench.platform.verified == []
        await asyncio.sleep(2)
        assert len(bench.platform.verified) == 1


@in_virtual_time
async def test_the_first_contact_to_come_is_the_probe_where_nobody_waited():
    """And only the first."""
    bench = World(refused(403)).bench
    async with bench.working():
        bench.halts.halt(HaltReason.FORBIDDEN, "", LINK)
        await asyncio.sleep(1)
        async with bench.working(*contacts(5), probing=False):
            await asyncio.sleep(5)
            assert len(sends(bench)) == 1


@in_virtual_time
async def test_a_probe_that_was_promised_is_withdrawn_when_the_reason_changes():
    """A missing scope is found out by token first."""
    bench = Bench()
    async with bench.working():
        bench.halts.halt(HaltReason.FORBIDDEN, "", LINK)
        await asyncio.sleep(1)
        bench.platform.missing = ("write",)
        bench.halts.halt(HaltReason.SCOPE, "", LINK)
        async with bench.working(*contacts(5), probing=False):
            await asyncio.sleep(60)
            assert bench.platform.requests == []


@in_virtual_time
async def test_a_probe_that_is_cancelled_gives_way_to_the_next():
    """Nobody keeps the turn who makes no request any more."""
    bench = World(None).bench
    bench.platform.latency = 100.0
    async with bench.working():
        bench.halts.halt(HaltReason.FORBIDDEN, "", LINK)
        async with bench.working(contact(1), probing=False) as first:
            await until(lambda: bench.platform.requests)
            first[0].cancel()
            await asyncio.sleep(1)
        bench.platform.latency = 0.1
        async with bench.working(contact(2), probing=False) as second:
            await asyncio.wait(second, timeout=2 * PROBE_SECONDS)
            assert second[0].done()
    assert bench.halts.reason is None


@in_virtual_time
async def test_only_a_send_proves_that_sends_are_let_in_again():
    """A state check that passes does not end the halt; its own send does."""
    bench = Bench()
    async with bench.working():
        bench.halts.halt(HaltReason.FORBIDDEN, "", LINK)
        bench.platform.on_wire = lambda _: (
            (bench.halts.reason is HaltReason.FORBIDDEN) or pytest.fail("resumed too early")
        )
        async with bench.working(contact(), probing=False) as tasks:
            await asyncio.wait(tasks)
    assert bench.platform.steps() == [CHECK, LINK]
    assert bench.halts.reason is None


@in_virtual_time
async def test_a_late_answer_from_before_the_halt_does_not_end_it():
    """What was on the wire is settled all the same."""
    bench = Bench(lambda request: OPENED if request.step is LINK else GOOD[CHECK], latency=2)
    async with bench.working(contact(), probing=False) as tasks:
        await until(lambda: sends(bench))
        bench.halts.halt(HaltReason.SCOPE, "", LINK)
        await asyncio.wait(tasks)
    assert bench.ledger.count(Status.OPENED) == 1
    assert bench.halts.reason is HaltReason.SCOPE


@in_virtual_time
async def test_a_probe_in_doubt_is_left_alone_and_the_next_follows():
    """A reset proves nothing about scopes."""
    bench = World(RESET).bench
    async with bench.working():
        bench.halts.halt(HaltReason.FORBIDDEN, "", LINK)
        async with bench.working(*contacts(3), probing=False):
            await asyncio.sleep(1.5 * PROBE_SECONDS)
            assert bench.ledger.count(Status.IN_DOUBT) == 2
            assert bench.halts.reason is HaltReason.FORBIDDEN


@in_virtual_time
async def test_a_check_with_a_permit_got_just_before_a_halt_is_not_made():
    """Between the permit and its use there is a turn of the loop; it is looked at again."""
    bench = Bench()
    bench.pacer.shut = True
    async with bench.working(contact(), probing=False):
        await until(lambda: bench.pacer.waiting)
        bench.pacer.let_in()
        bench.halts.halt(HaltReason.SCOPE, "")
        await asyncio.sleep(5)
        assert [permit.end for permit in bench.pacer.permits] == ["unused"]
        assert bench.platform.requests == []


@in_virtual_time
async def test_whoever_waits_while_a_question_is_open_goes_on_once_it_is_answered():
    """A 409 closes the way until it is known that no scope is missing; then all go on."""
    answers = {"conversation-1": iter([refused(409)])}
    bench = Bench(
        lambda request: (
            next(answers.get(request.conversation_id, iter(())), OPENED)
            if request.step is LINK
            else GOOD[CHECK]
        )
    )
    verify = bench.platform.verify

    async def slow():
        await asyncio.sleep(20)
        return await verify()

    bench.platform.verify = slow
    async with bench.working(contact(1), probing=False) as first:
        await until(lambda: bench.halts._suspended)
        async with bench.working(contact(2), probing=False) as second:
            await asyncio.sleep(10)
            assert len(bench.platform.requests) == 2
            await asyncio.wait(second)
        await asyncio.wait(first)
    assert bench.ledger.end("key-2") == (Status.OPENED, Reason.DELIVERED)
    assert bench.events.of(Halted) == []


@pytest.mark.parametrize("step", [CHECK, LINK])
@in_virtual_time
async def test_who_waits_for_a_token_when_the_run_halts_makes_no_request(step):
    """The permit was given before the halt; the way is asked for anew once the token is there."""
    world = World(refused(403), missing=("write",))
    bench, platform = world.bench, world.bench.platform
    platform.renewal, platform.missing = 1.0, ()

    def expire(request):
        """Let the token die under all others as soon as the first link is on the wire."""
        if request.step is LINK and not platform.missing:
            platform.missing, platform.expired = ("write",), True

    platform.on_wire = expire
    late = asyncio.create_task(asyncio.sleep(0.06 if step is CHECK else 0))
    async with bench.working(contact(0)):
        await late
        async with bench.working(*contacts(20), probing=False):
            await until(lambda: bench.halts.reason is HaltReason.SCOPE)
            before = platform.steps()
            assert platform.expired
            assert before.count(LINK) == 1
            await asyncio.sleep(PROBE_SECONDS - 2)
            assert not platform.expired
            assert platform.steps() == before
            assert bench.ledger.count(Status.CLAIMED) == 21
            world.restore()
            await until(lambda: bench.ledger.count(Status.OPENED) == 21)
    assert platform.steps().count(CHECK) == 21
    assert platform.steps().count(LINK) == 22
