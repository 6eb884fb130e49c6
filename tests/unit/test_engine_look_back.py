"""What proves that a message is absent when no message of ours follows, in virtual time."""

import asyncio
from dataclasses import replace

import pytest

from dispatcher.domain.past_conversation import PastConversation
from dispatcher.domain.reconcile_policy import EvidenceKind
from dispatcher.domain.status import Resolution, Status, Step
from dispatcher.engine.pipeline import RunOutcome
from dispatcher.engine.record_candidates import NEWEST, RecordCandidates
from dispatcher.ports import MAX_LOOK_BACK_IDS
from tests.support.engine import contacts
from tests.support.memory_ledger import MemoryLedger
from tests.support.scripted import ENDED, NOT_ENDED
from tests.support.virtual import START, VirtualClock, in_virtual_time
from tests.unit.test_engine_reconciler import BOUND, World

OWN, RECORDS, AVAILABILITY = EvidenceKind
NEWEST_FOUND = {"finds_newest": True}


def now():
    return START + asyncio.get_running_loop().time()


async def run_with(world, count, traffic=None, **plan):
    """Run to the end while ``traffic(now)`` is called each second."""

    async def go_on():
        while True:
            await asyncio.sleep(1)
            traffic(now())

    task = asyncio.create_task(go_on()) if traffic else None
    outcome = await world.run(contacts(count), **{"wait_limit": 200, **plan})
    if task is not None:
        task.cancel()
    return outcome


def answers_in(world, conversation):
    return lambda at: world.platform.archive.answer(conversation, at)


@in_virtual_time
async def test_the_answer_of_a_guest_to_somebody_else_proves_absence():
    """The last contact of a campaign needs no later message of ours."""
    world = World([2])
    assert await run_with(world, 2, answers_in(world, "new-1")) is RunOutcome.DONE
    assert world.resolutions() == [Resolution.ABSENT]
    assert world.sends(2) == 2
    assert world.engine.clock.monotonic() > BOUND


@pytest.mark.parametrize(
    ("evidence", "proved"), [({RECORDS}, True), ({OWN}, False), ({OWN, AVAILABILITY}, False)]
)
@in_virtual_time
async def test_what_does_not_count_by_the_settings_proves_nothing(evidence, proved):
    """A user may know that such records are not shown in order."""
    world = World([2], evidence=frozenset(evidence))
    outcome = await run_with(world, 2, answers_in(world, "new-1"))
    assert outcome is (RunOutcome.DONE if proved else RunOutcome.DEFERRED)
    assert world.resolutions() == ([Resolution.ABSENT] if proved else [])


@pytest.mark.parametrize("moment", ["started", "ended"])
@in_virtual_time
async def test_a_session_that_begins_or_ends_proves_absence(moment):
    """The time of a state that changed is a record, too."""
    world = World([2])
    show = world.platform.archive.show

    def with_states(conversations, previous, at, people=()):
        answer = show(conversations, previous, at, people)
        states = [PastConversation("new-1", None, None, **{moment: at})] * (
            "new-1" in conversations
        )
        return replace(answer, past_conversations=(*answer.past_conversations, *states))

    world.platform.archive.show = with_states
    assert await run_with(world, 2) is RunOutcome.DONE
    assert world.resolutions() == [Resolution.ABSENT]


@pytest.mark.parametrize("what", [0, 1], ids=["newest record", "statement"])
@in_virtual_time
async def test_the_newest_record_or_the_statement_of_the_platform_is_enough(what):
    """Where it can be asked for; from after the bound, and not before."""
    world = World([2], **NEWEST_FOUND)
    world.platform.watermark = lambda _: tuple(now() - 1 if n == what else None for n in (0, 1))
    assert await run_with(world, 2) is RunOutcome.DONE
    assert world.resolutions() == [Resolution.ABSENT]
    assert world.engine.clock.monotonic() > BOUND + 1


@in_virtual_time
async def test_messages_of_ours_are_asked_for_where_the_newest_record_is_refused():
    """The platform may refuse that call; a later message of ours proves as much."""
    world = World([1], **NEWEST_FOUND)
    batches = contacts(1), contacts(1, 2)
    assert await world.run(*batches, seconds=BOUND + 2, wait_limit=200) is RunOutcome.DONE
    assert world.resolutions() == [Resolution.ABSENT]


@pytest.mark.parametrize("what", [0, 1], ids=["newest record", "statement"])
@in_virtual_time
async def test_neither_counts_where_the_settings_take_it_out(what):
    """Then it is not asked for either."""
    kinds = frozenset({OWN, (AVAILABILITY, RECORDS)[what]})
    world = World([2], evidence=kinds, **NEWEST_FOUND)
    world.platform.watermark = lambda _: tuple(now() - 1 if n == what else None for n in (0, 1))
    assert await run_with(world, 2) is RunOutcome.DEFERRED
    assert world.resolutions() == []
    asked = world.platform.watermark_queries
    assert not any((query.records, query.availability)[what] for query in asked)


@pytest.mark.parametrize(
    ("doubt_limit", "ending"), [(0, RunOutcome.DEFERRED), (60, RunOutcome.DONE)]
)
@in_virtual_time
async def test_a_run_waits_longer_for_contacts_in_doubt_than_for_others(doubt_limit, ending):
    """Long enough to prove what became of them, and to send again what is absent."""
    world = World([2])
    limits = {"wait_limit": 2, "doubt_limit": doubt_limit}
    assert await run_with(world, 2, answers_in(world, "new-1"), **limits) is ending
    assert world.ledger.count(Status.OPENED) == (2 if ending is RunOutcome.DONE else 1)


@in_virtual_time
async def test_a_run_waits_as_long_for_a_send_that_is_in_doubt_later():
    """The run was idle before: it waited for the end of a session."""
    world = World([1], state=NOT_ENDED)
    guest = answers_in(world, "conversation-1")

    def traffic(at):
        if at > START + 4:
            world.state = ENDED
        guest(at)

    outcome = await run_with(world, 1, traffic, wait_limit=7, doubt_limit=60)
    assert outcome is RunOutcome.DONE
    assert world.resolutions() == [Resolution.ABSENT]
    assert world.ledger.count(Status.OPENED) == 1


@in_virtual_time
async def test_an_old_statement_proves_nothing():
    """The platform states its records to be complete up to two hours ago: the contact waits."""
    world = World([2], **NEWEST_FOUND)
    world.platform.watermark = lambda _: (None, now() - 7200)
    assert await run_with(world, 2) is RunOutcome.DEFERRED
    assert world.resolutions() == []


CAMPAIGN, LOST = 360, 60
RATES = {
    "slow": {"timeout": 10, "max_effect_delay": 60, "max_lag": 120, "look_seconds": 10},
    "quick": {"timeout": 1, "max_effect_delay": 1, "max_lag": 2, "look_seconds": 0.5},
}


@pytest.mark.parametrize(
    ("bounds", "lag_share", "pace", "newest"),
    [
        ("slow", 0.98, 2.5, False),
        ("quick", 0.05, 2.5, True),
        ("quick", 0.98, 200, False),
        ("slow", 0.05, 200, True),
    ],
)
@in_virtual_time
async def test_at_most_one_look_back_for_five_contacts_in_doubt(bounds, lag_share, pace, newest):
    """40 of 360 had no effect, 20 lost their answer: none is left, at any pace and lag."""
    bounds, lost = RATES[bounds], range(6, CAMPAIGN + 1, CAMPAIGN // LOST)
    world = World(lost, lost[2::3], finds_newest=newest, **bounds)
    _with_own_conversations(world)
    archive, answered = world.platform.archive, []
    archive.lag = bounds["max_lag"] * lag_share
    world.platform.watermark = lambda _: (now() - archive.lag - 0.01, None)

    def answer(at):
        if archive.kept and not newest:
            answered.append(archive.kept[len(answered) * 7 % len(archive.kept)].conversation)
            archive.answer(answered[-1], at)

    async def traffic():
        while True:
            await asyncio.sleep(bounds["look_seconds"])
            answer(now())

    task = asyncio.create_task(traffic())
    batches = [contacts(1, number) for number in range(1, CAMPAIGN + 1)]
    plan = {"seconds": 1 / pace, "wait_limit": 10_000, "workers": 64}
    assert await world.run(*batches, **plan) is RunOutcome.DONE
    task.cancel()
    made = world.resolutions()
    assert (made.count(Resolution.ABSENT), made.count(Resolution.FOUND)) == (40, 20)
    assert world.ledger.count(Status.OPENED) == CAMPAIGN
    assert len(world.looks()) <= LOST / 5


def _with_own_conversations(world):
    """Let each state check be of the conversation that it was made for."""
    answer = world.platform.answer

    def own(request):
        result = answer(request)
        if request.step is not Step.CHECK:
            return result
        conversation = replace(result.conversation, id=request.conversation_id)
        return replace(result, conversation=conversation)

    world.platform.answer = own


class Known(MemoryLedger):
    def __init__(self, *names):
        super().__init__()
        self.names = names

    async def recent_conversations(self, now, limit):
        return self.names[:limit]


@in_virtual_time
async def test_other_conversations_take_turns_and_lively_ones_are_asked_for_again():
    """The newest are part of every choice; none is asked for twice in one look back."""
    names = [f"c-{number}" for number in range(30)]
    candidates = RecordCandidates(Known(*names), VirtualClock())
    first = await candidates.choose(10, ())
    assert first == names[:10]
    candidates.learn([PastConversation("c-29", None, None, ended=9.0)], 10.0)
    second = await candidates.choose(10, ())
    assert second[: NEWEST + 1] == [*names[:NEWEST], "c-29"]
    assert not set(second[NEWEST + 1 :]) & set(first)
    chosen = [await candidates.choose(12, ()) for _ in range(6)]
    assert {name for choice in chosen for name in choice} == set(names)
    assert all(len(set(choice)) == len(choice) == 12 for choice in chosen)
    assert await candidates.choose(0, ()) == []
    assert "c-1" not in await candidates.choose(30, {"c-1"})
    candidates.learn([PastConversation(name, None, None, ended=1.0) for name in names], 10.0)
    assert len(await candidates.choose(100, ())) == len(names)


@in_virtual_time
async def test_one_look_back_never_asks_for_more_than_the_platform_answers():
    """Contacts, witnesses and other conversations together; the rest of the contacts comes next."""
    world = World(range(101, 241))
    _with_own_conversations(world)
    await run_with(world, 240, answers_in(world, "new-1"), workers=240)
    asked = [sum(map(len, look.decision)) for look in world.looks()]
    assert max(asked) <= MAX_LOOK_BACK_IDS
    assert world.ledger.count(Status.OPENED) == 240
