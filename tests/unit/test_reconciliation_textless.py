"""Sends in doubt on a platform that shows neither texts nor links: by person, id and time."""

from dataclasses import replace

import pytest

from dispatcher.domain.answer import Answer
from dispatcher.domain.contact import Contact
from dispatcher.domain.decision import DecisionPolicy
from dispatcher.domain.events import InDoubt
from dispatcher.domain.evidence import NEVER_SHOWN, DeliveryWitness, Evidence, digest, newest_shown
from dispatcher.domain.past_conversation import PastConversation, PastMessage
from dispatcher.domain.reconcile_policy import ReconcilePolicy
from dispatcher.domain.reconciliation import (
    MessageFound,
    judge,
)
from dispatcher.domain.status import Reason, Relation, Resolution, Status, Step
from dispatcher.domain.unsettled_send import UnsettledSend
from dispatcher.engine.pipeline import RunOutcome
from dispatcher.ports import Batch
from tests.support.engine import POLICY, EngineFixture, contact, contacts
from tests.support.scripted import ENDED, OPEN, RESET, RESUMABLE, ListSource, refused, state_answer
from tests.support.virtual import in_virtual_time

AT = 1000.0
BOUNDS = ReconcilePolicy(
    timeout=1,
    max_effect_delay=2,
    max_lag=3,
    clock_skew=4,
    look_seconds=5,
    give_up_seconds=100,
    reports_links=False,
)
EFFECT, BOUND = AT + 7, AT + 10
NOTIFIED = UnsettledSend(1, Step.NOTIFY, "c-1", "x-1", digest("Hello"), AT)
OPENED = replace(NOTIFIED, step=Step.OPEN)
NAMELESS = replace(OPENED, external_contact_id=None)
PROVED = {"now": BOUND + 1, "analytics_watermark": BOUND + 0.5}


def message(id_="m-1", at=AT + 1, *, outbound=True):
    return PastMessage(id_, outbound, at, None)


def session(*messages, id_="c-1", person="x-1"):
    return PastConversation(id_, None, person, messages, has_previous=False)


def new(*messages, id_="n-1", person="x-1"):
    return session(*(messages or (message(),)), id_=id_, person=person)


def judged(intended, *shown, now=AT + 5, waited=0.0, policy=BOUNDS, **known):
    return judge(intended, Evidence(shown, **known), policy, now, waited)


@pytest.mark.parametrize(
    ("intended", "shown", "conversation", "relation"),
    [
        (NOTIFIED, session(message()), "c-1", Relation.NOTIFIED),
        (NOTIFIED, new(), "n-1", Relation.LINKED),
        (OPENED, session(message()), "c-1", Relation.THREADED),
        (OPENED, new(), "n-1", Relation.LINKED),
        (NAMELESS, session(message(), person=None), "c-1", Relation.THREADED),
    ],
)
def test_one_message_in_its_time_is_ours(intended, shown, conversation, relation):
    """In the conversation itself, or as the first one of a new one with the same person."""
    old = session(message("old", AT - 500), message("in", AT + 1, outbound=False))
    found = judged(intended, old, shown)
    assert found == MessageFound(conversation, "m-1", relation, AT + 1)


@pytest.mark.parametrize(
    ("at", "ours"), [(AT - 4.1, False), (AT - 4, True), (EFFECT, True), (EFFECT + 0.1, False)]
)
@pytest.mark.parametrize("shown", [session, new])
def test_the_time_is_from_the_intent_to_the_last_effect(at, ours, shown):
    """What comes later is somebody else's: there is no text that could show it."""
    assert isinstance(judged(OPENED, shown(message(at=at))), MessageFound) == ours


NOT_OURS = {
    "of another person": new(person="x-2"),
    "what the person wrote": new(message(outbound=False)),
    "another contact's": new(message("taken")),
    "too late": session(message(at=EFFECT + 1)),
    "in another conversation": session(message(), id_="c-2", person="x-2"),
    "nothing": session(),
}


@pytest.mark.parametrize("shown", NOT_OURS.values(), ids=NOT_OURS)
@pytest.mark.parametrize("intended", [NOTIFIED, OPENED])
def test_what_does_not_fit_is_no_proof_against_absence(intended, shown):
    """It is waited for until the bound, then it is absent."""
    taken = {"messages": frozenset({"taken"})}
    assert judged(intended, shown, **taken) is None
    assert judged(intended, shown, **taken, **PROVED) == Resolution.ABSENT


UNCLEAR = {
    "a conversation that began before": new(message("old", AT - 60), message()),
    "one that the person began": new(message("in", AT + 0.5, outbound=False), message()),
    "one that another opened": new(id_="theirs"),
    "one with a message of unknown id": new(id_="unnamed"),
    "one with nobody named": new(person=None),
    "a message of unknown id in the old one": session(message()),
}


@pytest.mark.parametrize("shown", UNCLEAR.values(), ids=UNCLEAR)
def test_what_may_be_ours_and_may_not_is_parked_in_the_end(shown):
    """Neither found nor absent; and no other message is ours for sure beside it."""
    known = {
        "conversations": frozenset({"theirs"}),
        "unnamed": frozenset({"unnamed", "c-1"}),
    }
    assert judged(OPENED, shown, **known, **PROVED) is None
    assert judged(OPENED, shown, waited=100, **known, **PROVED) == Resolution.PARKED
    beside = new(message("m-9"), id_="n-9")
    assert judged(OPENED, shown, beside, **known) is None
    assert judged(OPENED, shown, beside, **known, **PROVED) == Resolution.PARKED


def test_between_several_messages_nothing_is_guessed():
    """In one conversation or in two; what is another's does not count."""
    two = [session(message(), message("m-2", AT + 2))], [session(message()), new(message("m-2"))]
    for shown in two:
        assert judged(OPENED, *shown) is None
        assert judged(OPENED, *shown, now=BOUND + 1) == Resolution.PARKED
        assert judged(OPENED, *shown, messages=frozenset({"m-2"})).message_id == "m-1"


@pytest.mark.parametrize(
    "rival",
    [
        replace(NOTIFIED, id=2, text_sha256="another", at=AT - 1),
        replace(OPENED, id=2, conversation_id="c-2", at=AT + 1),
        replace(OPENED, id=2, conversation_id=None, at=AT - 5),
        replace(NAMELESS, id=2, conversation_id="c-2"),
    ],
    ids=["same conversation", "same person", "unlinked", "nobody named"],
)
def test_a_message_that_another_send_may_have_made_is_nobodys(rival):
    """Whatever its text is, and wherever it was meant to go."""
    assert judged(OPENED, new(), unsettled=[rival]) is None
    assert judged(OPENED, new(), now=BOUND + 5, unsettled=[rival]) == Resolution.PARKED


@pytest.mark.parametrize(
    "other",
    [
        replace(OPENED, id=2, at=AT + 60),
        replace(OPENED, id=2, at=AT - 60),
        replace(OPENED, id=2, conversation_id="c-2", external_contact_id="x-2"),
        OPENED,
    ],
    ids=["later", "long over", "another person", "itself"],
)
def test_a_send_that_cannot_have_made_it_is_no_rival(other):
    """Its time is another, or its person."""
    assert isinstance(judged(OPENED, new(), unsettled=[other]), MessageFound)


def test_a_send_that_would_not_be_shown_is_never_absent():
    """Without a person, a new conversation cannot be asked for."""
    assert judged(NAMELESS, **PROVED) is None
    assert judged(NAMELESS, waited=100, **PROVED) == Resolution.PARKED
    nameless = replace(NOTIFIED, external_contact_id=None)
    for shown in ([], [session(person=None)]):  # nothing at all is shown is no proof, either
        assert judged(nameless, *shown, **PROVED) is None
    linked = replace(BOUNDS, reports_links=True)
    assert judged(nameless, policy=linked, **PROVED) == Resolution.ABSENT
    again = replace(BOUNDS, resend=True)
    assert judged(NAMELESS, policy=again, **PROVED) == Resolution.RESENT


def test_a_send_that_names_nobody_is_not_found_by_its_person():
    """What it began may be nobody's conversation, or another's: it is never absent."""
    by_address = replace(BOUNDS, reports_people=False)
    for intended in (OPENED, NOTIFIED):
        assert judged(intended, **PROVED) == Resolution.ABSENT
        assert judged(intended, policy=by_address, **PROVED) is None
        assert judged(intended, policy=by_address, waited=100, **PROVED) == Resolution.PARKED


UNREADABLE = {
    "the old one": session(id_="c-1", person="x-2"),
    "one of the person's": session(id_="n-1"),
    "one of nobody's": session(id_="n-1", person=None),
}


@pytest.mark.parametrize("shown", UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize("intended", [NOTIFIED, OPENED])
def test_a_conversation_that_cannot_be_read_may_hold_the_message(intended, shown):
    """Neither absent, nor surely the one in the other place; another person's says nothing."""
    closed = replace(shown, readable=False)
    assert judged(intended, shown, **PROVED) == Resolution.ABSENT
    assert judged(intended, closed, **PROVED) is None
    assert judged(intended, closed, waited=100, **PROVED) == Resolution.PARKED
    assert judged(intended, closed, new(id_="n-2")) is None
    assert judged(intended, replace(closed, id="n-3", external_contact_id="x-3"), **PROVED) == (
        Resolution.ABSENT
    )


def test_a_witness_without_a_text_is_known_by_its_id():
    """One whose id nobody knows proves nothing."""
    shown = [session(message("m-1", 5.0), message("m-2", 9.0))]
    hello = digest("Hello")
    assert newest_shown(shown, [DeliveryWitness("c-1", "m-1", hello)]) == 5.0
    assert newest_shown(shown, [DeliveryWitness("c-1", None, hello)]) == NEVER_SHOWN
    assert newest_shown(shown, [DeliveryWitness("c-2", "m-1", hello)]) == NEVER_SHOWN


def test_a_message_that_analytics_do_not_show_yet_is_no_witness():
    """The conversation itself shows it; it does not show how complete the others are."""
    early = replace(message("m-1", 5.0), indexed=False)
    hello = digest("Hello")
    assert newest_shown([session(early)], [DeliveryWitness("c-1", "m-1", hello)]) == NEVER_SHOWN
    assert isinstance(judged(NOTIFIED, session(replace(message(), indexed=False))), MessageFound)


class World:
    """A platform without texts and links that loses the answers of some sends."""

    def __init__(self, state, lost=(), effects=(), lands_in=None, **bounds):
        self.state, self.lost, self.effects = state, set(lost), set(effects)
        self.lands_in = lands_in
        self.unnamed = set()
        """Contacts whose messages the platform takes without returning an id."""
        bounds = {"clock_skew": 1, "look_seconds": 1, "give_up_seconds": 60, **bounds}
        rules = DecisionPolicy(
            open_unlinked_when_gone=True, retry=POLICY, reconcile=replace(BOUNDS, **bounds)
        )
        self.engine = EngineFixture(self.answer, rules)
        self.platform, self.ledger = self.engine.platform, self.engine.ledger
        self.platform.archive.bare = True

    def answer(self, request):
        if request.step is Step.CHECK:
            state = self.state
            return state[request.conversation_id] if isinstance(state, dict) else state
        number = int(request.conversation_id.removeprefix("conversation-"))
        if number in self.lost:
            self.lost.remove(number)
            request.takes_effect = number in self.effects
            request.lands_in = self.lands_in
            return RESET
        into = request.conversation_id if request.step is Step.NOTIFY else f"new-{number}"
        id_ = None if number in self.unnamed else f"id-{number}"
        return Answer(200, message_id=id_, conversation_id=into)

    async def run(self, *batches, seconds=0.0, **plan):
        source = ListSource(*(Batch(batch) for batch in batches), seconds=seconds)
        return await self.engine.pipeline(source=source, **plan).run()

    def resolutions(self):
        return [event.resolution for event in self.engine.events.of_type(InDoubt)]


@pytest.mark.parametrize(
    ("state", "lands_in", "status", "relation"),
    [
        (ENDED, None, Status.OPENED, Relation.LINKED),
        (RESUMABLE, "conversation-1", Status.OPENED, Relation.THREADED),
        (OPEN, None, Status.NOTIFIED, Relation.NOTIFIED),
        (OPEN, "late-1", Status.NOTIFIED, Relation.LINKED),
    ],
)
@in_virtual_time
async def test_a_message_that_took_effect_is_found_wherever_it_ended(
    state, lands_in, status, relation
):
    """With the conversation, the id and the person in the lineage, and no second send."""
    world = World(state, [1], [1], lands_in)
    assert await world.run(contacts(1)) is RunOutcome.DONE
    (kept,) = world.platform.archive.kept
    end = world.ledger.rows[1].settlement
    assert (end.status, end.relation) == (status, relation)
    assert (end.conversation_id, end.message_id) == (kept.conversation, kept.message.id)
    assert end.external_contact_id == "person-1"
    assert world.resolutions() == [Resolution.FOUND]


@pytest.mark.parametrize("state", [OPEN, ENDED, RESUMABLE])
@in_virtual_time
async def test_a_message_that_took_no_effect_is_sent_again_once_a_later_one_is_shown(state):
    """The witness is known by its id; nobody gets two."""
    world = World(state, [1])
    assert await world.run(contacts(1), contacts(1, 2), seconds=10) is RunOutcome.DONE
    assert world.resolutions() == [Resolution.ABSENT]
    assert world.ledger.count(Status.NOTIFIED, Status.OPENED) == 2
    assert len(world.platform.archive.kept) == 2


@in_virtual_time
async def test_what_stays_ambiguous_is_parked_and_never_sent_again():
    """A colleague wrote to the same person at the same time."""
    world = World(ENDED, [1], [1])
    archive = world.platform.archive
    archive.add("conversation-1", "", world.platform._wall() + 0.1, identity="person-1")
    person = contact(external_contact_id="person-1")
    assert await world.run([person], wait_limit=200) is RunOutcome.DONE
    assert world.ledger.end("key-1") == (Status.PARKED, Reason.IN_DOUBT)
    assert world.resolutions() == [Resolution.PARKED]
    assert len(archive.kept) == 2


@in_virtual_time
async def test_what_a_parked_send_to_the_same_person_may_have_made_is_nobodys():
    """Its effect may come while the next send to the person is looked for."""
    shared = state_answer(identity="shared")
    states = {"conversation-1": refused(404), "conversation-2": shared}
    world = World(states, [1, 2], max_effect_delay=6)
    archive = world.platform.archive
    archive.add("late", "", world.platform._wall() + 4, identity="shared")
    contacts = [
        contact(number, external_contact_id="shared", address="a@example.org") for number in (1, 2)
    ]
    assert await world.run(contacts, wait_limit=200) is RunOutcome.DONE
    for key in ("key-1", "key-2"):
        assert world.ledger.end(key) == (Status.PARKED, Reason.IN_DOUBT)
    late = archive.kept[0].message.at
    second = world.ledger.row("key-2").intent
    assert second.at < late


@in_virtual_time
async def test_a_message_whose_id_is_not_known_makes_the_next_one_a_guess():
    """Two campaigns write into one session; the second one's message is lost."""
    world = World(OPEN, clock_skew=4)
    world.unnamed = {1}
    answers = iter((world.answer, lambda _: RESET))
    world.platform.answer = lambda request: (
        OPEN if request.step is Step.CHECK else next(answers)(request)
    )
    twin = Contact("key-2", "conversation-1", "Hello 2")
    assert await world.run([contact(1), twin], wait_limit=200) is RunOutcome.DONE
    assert world.ledger.end("key-1") == (Status.NOTIFIED, Reason.DELIVERED)
    assert world.ledger.end("key-2") == (Status.PARKED, Reason.IN_DOUBT)
    assert len(world.platform.archive.kept) == 1
