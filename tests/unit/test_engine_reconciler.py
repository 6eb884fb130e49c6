"""Contacts in doubt, from the send without an answer to their end, in virtual time."""

import asyncio

import pytest

from dispatcher.domain.answer import Answer
from dispatcher.domain.contact import Contact
from dispatcher.domain.decision import DecisionPolicy
from dispatcher.domain.events import Answered, InDoubt, ScopeError, Settled, Throttled
from dispatcher.domain.look_back_plan import MIN_PATIENCE_SECONDS
from dispatcher.domain.reconcile_policy import MIN_LOOK_BACK_SECONDS, ReconcilePolicy
from dispatcher.domain.status import HaltReason, Reason, Relation, Resolution, Status, Step
from dispatcher.engine.pipeline import RunOutcome
from dispatcher.ports import MAX_LOOK_BACK_IDS, Batch, CredentialsError, TokenUnavailableError
from tests.support.engine import POLICY, EngineFixture, contact, contacts
from tests.support.scripted import (
    ENDED,
    NOT_SENT,
    OPEN,
    OPENED,
    RESET,
    TAKEN,
    ListSource,
    refused,
    throttled,
)
from tests.support.virtual import START, in_virtual_time, until

BOUNDS = ReconcilePolicy(
    timeout=1, max_effect_delay=2, max_lag=3, clock_skew=1, look_seconds=1, give_up_seconds=600
)
BOUND = 7.0
LOOK = Step.LOOK_BACK


class World:
    """A platform that loses the answers of some sends; ``effects`` says which took effect."""

    def __init__(self, lost=(), effects=(), state=ENDED, **policy):
        self.lost, self.effects, self.state = set(lost), set(effects), state
        bounds = {name: getattr(BOUNDS, name) for name in ReconcilePolicy.__slots__} | policy
        rules = DecisionPolicy(
            retry=POLICY, open_unlinked_when_gone=True, reconcile=ReconcilePolicy(**bounds)
        )
        self.engine = EngineFixture(self.answer, rules)
        self.platform, self.ledger = self.engine.platform, self.engine.ledger

    def answer(self, request):
        number = int(request.conversation_id.removeprefix("conversation-"))
        if request.step is Step.CHECK:
            return self.state
        if number in self.lost:
            self.lost.remove(number)
            request.takes_effect = number in self.effects
            return RESET
        if request.step is Step.NOTIFY:
            return Answer(202, True, message_id=f"a-{number}", conversation_id=f"c-{number}")
        return Answer(201, True, conversation_id=f"new-{number}")

    async def run(self, *batches, seconds=0.0, **plan):
        source = ListSource(*(Batch(batch) for batch in batches), seconds=seconds)
        return await self.engine.pipeline(source=source, **plan).run()

    def resolutions(self):
        return [event.resolution for event in self.engine.events.of_type(InDoubt)]

    def sends(self, number):
        queries = [
            r.step for r in self.platform.requests if r.conversation_id == f"conversation-{number}"
        ]
        return sum(step.is_send for step in queries)

    def looks(self):
        return [request for request in self.platform.requests if request.step is LOOK]


@pytest.mark.parametrize(
    ("state", "status", "relation"),
    [(ENDED, Status.OPENED, Relation.LINKED), (OPEN, Status.NOTIFIED, Relation.NOTIFIED)],
)
@in_virtual_time
async def test_a_message_that_took_effect_is_found_and_settled_with_its_lineage(
    state, status, relation
):
    """One look is enough; the lineage has the ids and the time that the platform shows."""
    world = World([1], [1], state)
    assert await world.run(contacts(1)) is RunOutcome.DONE
    row = world.ledger.rows[1]
    assert world.ledger.end("key-1") == (status, Reason.DELIVERED)
    (kept,) = world.platform.archive.kept
    end = row.settlement
    assert (end.relation, end.message_id) == (relation, kept.message.id)
    assert (end.conversation_id, end.sent_at) == (kept.conversation, kept.message.at)
    assert row.history == ["claim", "intend", "doubt", "settle"]
    assert world.resolutions() == [Resolution.FOUND]
    assert len(world.looks()) == 1
    (settled,) = world.engine.events.of_type(Settled)
    assert settled.seconds == pytest.approx(1.1, abs=0.1)


@in_virtual_time
async def test_a_message_that_never_took_effect_is_sent_again_once_a_later_one_is_shown():
    """The proof is a message of ours from after the bound; nobody gets two."""
    world = World([1])
    assert await world.run(contacts(1), contacts(1, 2), seconds=BOUND + 2) is RunOutcome.DONE
    assert world.ledger.count(Status.OPENED) == 2
    assert world.resolutions() == [Resolution.ABSENT]
    again = [r.at for r in world.platform.requests if r.conversation_id == "conversation-1"]
    assert again[-1] > again[0] + BOUND
    texts = [kept.message.text for kept in world.platform.archive.kept]
    assert sorted(texts) == ["Hello 1", "Hello 2"]
    assert world.ledger.row("key-1").progress.attempts == 1


@in_virtual_time
async def test_without_a_later_message_absence_is_not_proved():
    """The last contact of a run stays in doubt; the run says that something is left."""
    world = World([2])
    assert await world.run(contacts(2), wait_limit=60) is RunOutcome.DEFERRED
    assert world.ledger.row("key-2").status is Status.IN_DOUBT
    assert world.sends(2) == 1
    assert world.resolutions() == []
    pauses = [
        late.at - early.at for early, late in zip(world.looks(), world.looks()[1:], strict=False)
    ]
    assert max(pauses) > 2 * min(pauses), "they look less and less often"


@in_virtual_time
async def test_a_look_back_that_lags_behind_the_bounds_leads_to_no_second_message():
    """As long as it shows nothing from after the bound, nothing is concluded; then it is parked."""
    world = World([1], [1], give_up_seconds=30)
    world.platform.archive.lag = 10_000
    assert await world.run(contacts(1), contacts(5, 2), seconds=BOUND + 1) is RunOutcome.DONE
    assert world.ledger.end("key-1") == (Status.PARKED, Reason.IN_DOUBT)
    assert world.sends(1) == 1
    assert world.resolutions() == [Resolution.PARKED]


@in_virtual_time
async def test_an_effect_that_comes_late_within_the_bounds_is_found():
    """It is looked for until the bound, and found when it is shown."""
    world = World([1])
    running = asyncio.create_task(world.run(contacts(1), contacts(1, 2), seconds=0.1))
    await asyncio.sleep(3)
    assert world.ledger.row("key-1").status is Status.IN_DOUBT
    world.platform.archive.add(
        None, "Hello 1", START + 3, previous="conversation-1", identity="person-1"
    )
    assert await running is RunOutcome.DONE
    assert world.resolutions() == [Resolution.FOUND]
    assert world.sends(1) == 1


@in_virtual_time
async def test_at_least_once_sends_again_after_the_bound_without_a_witness():
    """Neither another message nor a link is needed."""
    world = World([1], resend=True)
    assert await world.run(contacts(1)) is RunOutcome.DONE
    assert world.resolutions() == [Resolution.RESENT]
    assert world.sends(1) == 2
    assert world.looks()[-1].at >= BOUND


GONE = refused(404)
UNLINKED = Contact("key-1", "conversation-1", "Hello 1", "person-1", "a@example.org")


@in_virtual_time
async def test_an_unlinked_open_in_doubt_is_parked_at_once():
    """There is nothing to find it by, so the platform is not even asked."""
    world = World([1], state=GONE)
    assert await world.run([UNLINKED]) is RunOutcome.DONE
    assert world.ledger.end("key-1") == (Status.PARKED, Reason.IN_DOUBT)
    assert world.looks() == []
    assert world.engine.clock.monotonic() < 1


@pytest.mark.parametrize(
    ("who", "state", "earlier"), [(contact(1), ENDED, MIN_LOOK_BACK_SECONDS), (UNLINKED, GONE, 0)]
)
@in_virtual_time
async def test_the_ledger_returns_sends_that_may_be_mistaken_for_the_one_in_doubt(
    who, state, earlier
):
    """Those of an hour before it; none where no conversation is named that could show it."""
    world = World([1], [1], state)
    queries, known_of = [], world.ledger.known_effects

    async def recorded(conversations, since, people):
        queries.append((conversations, since))
        return await known_of(conversations, since, people)

    world.ledger.known_effects = recorded
    await world.run([who])
    (conversations, since) = queries[0]
    assert ("conversation-1" in conversations) is (state is ENDED)
    assert since == pytest.approx(START - earlier, abs=5)


@in_virtual_time
async def test_an_unlinked_open_in_doubt_is_sent_again_at_least_once():
    """By that policy it is sent again once the bound is over."""
    world = World([1], state=GONE, resend=True)
    assert await world.run([UNLINKED]) is RunOutcome.DONE
    assert world.resolutions() == [Resolution.RESENT]
    assert world.ledger.row("key-1").settlement.relation is Relation.UNLINKED


@in_virtual_time
async def test_one_look_back_serves_many():
    """A hundred ids a call at most, those of witnesses among them."""
    many = 2 * MAX_LOOK_BACK_IDS
    world = World(range(1, many + 1), range(1, many + 1))
    assert await world.run(contacts(many), workers=many) is RunOutcome.DONE
    assert world.ledger.count(Status.OPENED) == many
    assert len(world.looks()) == 2


@in_virtual_time
async def test_sends_that_get_lost_for_ever_come_to_an_end():
    """Each absence counts as an attempt; after the last one the contact is parked."""
    world = World()

    def answer(request):
        if request.step is Step.CHECK:
            return ENDED
        return RESET if request.conversation_id == "conversation-1" else OPENED

    world.platform.answer = answer
    batches = [contacts(1, number) for number in range(1, 8)]
    seconds = MIN_PATIENCE_SECONDS + BOUND + 2
    assert await world.run(*batches, seconds=seconds) is RunOutcome.DONE
    assert world.ledger.end("key-1") == (Status.PARKED, Reason.EXHAUSTED)
    assert world.sends(1) == POLICY.max_attempts
    assert world.resolutions() == [Resolution.ABSENT] * POLICY.max_attempts


@in_virtual_time
async def test_what_a_dead_run_left_is_looked_for_at_once():
    """The next run finds what took effect, before it would be sent again."""
    world = World([1], [1])
    async with world.engine.working(contact(), probing=False):
        await until(lambda: world.sends(1))
    assert world.ledger.row("key-1").status is Status.SENDING
    world.ledger.recover(world.engine.clock.time())
    following = World()
    following.ledger.rows = world.ledger.rows
    following.platform.archive = world.platform.archive
    assert await following.run() is RunOutcome.DONE
    assert world.ledger.end("key-1") == (Status.OPENED, Reason.DELIVERED)
    assert following.sends(1) == 0
    assert world.engine.clock.monotonic() < 1


@in_virtual_time
async def test_a_drain_does_not_wait_for_reconciliation():
    """What is in doubt stays so for the next run."""
    world = World([1], [1])
    world.platform.archive.lag = 3
    pipeline = world.engine.pipeline(contacts(1), wait_limit=1000)
    running = asyncio.create_task(pipeline.run())
    await until(world.looks)
    pipeline.stop()
    done, _ = await asyncio.wait([running], timeout=0.5)
    assert done
    assert running.result() is RunOutcome.DRAINED
    assert world.ledger.row("key-1").status is Status.IN_DOUBT


@pytest.mark.parametrize(
    "answer",
    [RESET, refused(500), refused(400), refused(404), Answer(200), NOT_SENT, refused(401)],
    ids=str,
)
@in_virtual_time
async def test_a_look_back_that_shows_nothing_is_made_again(answer):
    """Nothing is concluded from it; once it has an answer, the message is found."""
    world = World([1], [1])
    world.platform.look_answer = answer
    running = asyncio.create_task(world.run(contacts(1), wait_limit=1000))
    await until(lambda: len(world.looks()) > 1)
    assert world.ledger.row("key-1").status is Status.IN_DOUBT
    assert world.engine.breaker.reason is None
    world.platform.look_answer = None
    assert await running is RunOutcome.DONE
    assert world.resolutions() == [Resolution.FOUND]
    assert all(permit.end for permit in world.engine.pacer.permits)
    answered = [e for e in world.engine.events.of_type(Answered) if e.step is LOOK]
    assert len(answered) == len(world.looks())


@in_virtual_time
async def test_a_missing_scope_halts_the_run_and_a_look_back_can_end_the_halt():
    """Nothing else is left to do, so the look back itself is the probe."""
    world = World([1], [1])
    world.platform.look_answer, world.platform.missing = refused(403), ("read",)
    running = asyncio.create_task(world.run(contacts(1), wait_limit=1000))
    await until(lambda: world.engine.breaker.reason is HaltReason.SCOPE)
    assert [event.step for event in world.engine.events.of_type(ScopeError)] == [LOOK]
    world.platform.look_answer, world.platform.missing = None, ()
    assert await running is RunOutcome.DONE
    assert world.resolutions() == [Resolution.FOUND]


@in_virtual_time
async def test_a_look_back_that_is_forbidden_alone_halts_nothing():
    """Sends go on; what is in doubt waits."""
    world = World([1], [1])
    world.platform.look_answer = refused(403)
    assert await world.run(contacts(3), wait_limit=30) is RunOutcome.DEFERRED
    assert world.ledger.count(Status.OPENED) == 2
    assert world.engine.breaker.reason is None
    assert world.engine.events.of_type(ScopeError)


@in_virtual_time
async def test_look_backs_that_fail_for_good_park_in_the_end():
    """The time after which a person has to look at it goes by without any answer, too."""
    world = World([1], [1], give_up_seconds=60.0)
    world.platform.look_answer = refused(403)
    assert await world.run(contacts(1), wait_limit=1000) is RunOutcome.DONE
    assert world.ledger.row("key-1").status is Status.PARKED
    assert world.resolutions() == [Resolution.PARKED]


@in_virtual_time
async def test_what_is_replayed_in_doubt_is_looked_for_by_the_run_that_goes_on():
    """Somebody else put it back: the run is woken, and asks the platform."""
    world = World([1], [1])
    running = asyncio.create_task(world.run(contacts(2), once=False))
    await until(lambda: world.ledger.count(Status.OPENED) == 2)
    row = world.ledger.row("key-1")
    row.status, row.settlement, row.look_at = Status.IN_DOUBT, None, 0.0
    world.engine.stream.wake()
    await until(lambda: row.status is Status.OPENED, seconds=30)
    world.engine.stream.stop()
    assert await running is RunOutcome.DRAINED


@in_virtual_time
async def test_a_look_back_is_no_probe_of_what_it_does_not_prove():
    """A halt for a refused send is ended by a send alone."""
    world = World([1], [1])
    async with world.engine.working(contact(), probing=True):
        await until(lambda: world.ledger.count(Status.IN_DOUBT))
        world.engine.breaker.halt(HaltReason.FORBIDDEN, "", Step.OPEN)
        async with world.engine.reconciling():
            await asyncio.sleep(100)
            assert world.looks() == []
            assert world.engine.breaker.reason is HaltReason.FORBIDDEN
            async with world.engine.working(contact(2), probing=False):
                await until(world.looks)
                assert world.engine.breaker.reason is None


@pytest.mark.parametrize("key", [None, "analytics"])
@in_virtual_time
async def test_a_look_back_over_quota_holds_and_is_made_again(key):
    """Its own limit holds it alone, the client's holds everything."""
    world = World([1], [1])
    world.platform.look_answer = throttled(30, key)
    running = asyncio.create_task(world.run(contacts(1), wait_limit=1000))
    await until(world.looks)
    world.platform.look_answer = None
    assert await running is RunOutcome.DONE
    first, second = (look.at for look in world.looks())
    assert second >= first + 30
    (event,) = world.engine.events.of_type(Throttled)
    assert event.step is (LOOK if key else None)


@pytest.mark.parametrize(
    "error", [CredentialsError("refused"), TokenUnavailableError("down")], ids=["refused", "down"]
)
@in_virtual_time
async def test_a_look_back_without_a_token_is_made_again(error):
    """No permit is lost and nothing is concluded."""
    world = World([1], [1])
    world.platform.look_answer = error
    running = asyncio.create_task(world.run(contacts(1), wait_limit=1000))
    await asyncio.sleep(5)
    assert world.ledger.row("key-1").status is Status.IN_DOUBT
    world.platform.look_answer = None
    assert await running is RunOutcome.DONE
    assert world.resolutions() == [Resolution.FOUND]
    assert all(permit.end for permit in world.engine.pacer.permits)


@in_virtual_time
async def test_the_second_of_two_alike_waits_until_the_end_of_the_first_is_known():
    """The same conversation and text: the one message that is shown is the first one's."""
    world = World(state=OPEN)
    twins = [Contact(f"key-{n}", "conversation-1", "Hello") for n in (1, 2)]
    losing = iter([True, False])

    def answer(request):
        if request.step is Step.CHECK:
            return OPEN
        request.takes_effect = next(losing)
        return RESET

    world.platform.answer = answer
    assert await world.run(twins, wait_limit=1000) is RunOutcome.DONE
    reasons = [row.settlement.reason for row in world.ledger.rows.values()]
    assert reasons == [Reason.DELIVERED, Reason.IN_DOUBT]
    assert len(world.platform.archive.kept) == 1


@in_virtual_time
async def test_two_campaigns_contacts_one_after_the_other_are_attributed_rightly():
    """The second one's message comes after the first one's answer: each has its own."""
    world = World(state=OPEN)
    twins = [Contact(f"key-{n}", "conversation-1", "Hello") for n in (1, 2)]

    def answer(request):
        if request.step is Step.CHECK:
            return OPEN
        request.takes_effect = True
        return RESET

    world.platform.answer = answer
    ending = await world.run(twins[:1], twins[1:], seconds=5, wait_limit=1000)
    assert ending is RunOutcome.DONE
    names = [row.settlement.message_id for row in world.ledger.rows.values()]
    assert names == [kept.message.id for kept in world.platform.archive.kept]


@in_virtual_time
async def test_a_shown_message_that_another_contact_has_is_no_find():
    """What a settled contact's lineage names is that one's."""
    world = World(state=OPEN)
    twins = [Contact(f"key-{n}", "conversation-1", "Hello") for n in (1, 2)]
    answers = iter([TAKEN, RESET])
    world.platform.answer = lambda r: OPEN if r.step is Step.CHECK else next(answers)
    assert await world.run(twins, workers=1, wait_limit=30) is RunOutcome.DEFERRED
    assert world.ledger.end("key-1") == (Status.NOTIFIED, Reason.DELIVERED)
    assert world.ledger.row("key-2").status is Status.IN_DOUBT


@in_virtual_time
async def test_a_continuation_of_another_person_is_never_ours():
    """The platform shows one with the right text and another identity: absent all the same."""
    world = World([1])
    world.platform.archive.add(
        "stranger", "Hello 1", START + 1, previous="conversation-1", identity="person-2"
    )
    assert await world.run(contacts(1), contacts(1, 2), seconds=BOUND + 2) is RunOutcome.DONE
    assert world.resolutions() == [Resolution.ABSENT]


@in_virtual_time
async def test_a_look_back_that_passes_says_nothing_about_contacts():
    """It must not make a contact that was refused with 403 look like the only one."""
    breaker = EngineFixture().breaker
    breaker.record_success(-1, LOOK, 100.0)
    assert not breaker.succeeded_since(Step.CHECK, 0.0)
    breaker.record_success(1, Step.CHECK, 100.0)
    assert breaker.succeeded_since(Step.CHECK, 99.0)


@in_virtual_time
async def test_a_slow_commit_of_the_intent_lengthens_the_wait():
    """The request left long after its intent, so its effect may come long after it, too."""
    world = World([1])

    async def slow(name):
        await asyncio.sleep(30 if name == "intend" and not world.sends(1) else 0)

    world.ledger.before = slow
    batches = [contacts(1), *(contacts(1, number) for number in range(2, 60))]
    assert await world.run(*batches, seconds=1, wait_limit=1000) is RunOutcome.DONE
    assert world.resolutions() == [Resolution.ABSENT]
    sent = [r.at for r in world.platform.requests if r.conversation_id == "conversation-1"]
    first, again = sent[1], sent[-1]
    assert again > first + BOUND - BOUNDS.timeout


@in_virtual_time
async def test_a_look_back_that_would_show_too_much_is_made_for_fewer():
    """Otherwise the same contacts were asked for again and again, and parked in the end."""
    numbers = range(1, 61)
    world = World(numbers, numbers)
    world.platform.most_queries = 16
    assert await world.run(contacts(60), workers=60, wait_limit=300) is RunOutcome.DONE
    assert world.ledger.count(Status.OPENED) == 60
    assert set(world.resolutions()) == {Resolution.FOUND}
