"""What every ledger promises about contacts in doubt, in a file or in memory."""

import inspect

import pytest

from dispatcher.domain.contact import Contact
from dispatcher.domain.conversation import Target
from dispatcher.domain.decision import Notify, Open
from dispatcher.domain.evidence import DeliveryWitness, digest
from dispatcher.domain.progress import NEW, Progress
from dispatcher.domain.status import Reason, Relation, Status, Step
from dispatcher.domain.unsettled_send import UnsettledSend
from dispatcher.ports import Batch, InDoubtContact, Intent, KnownEffects, LedgerError, Settlement

NOW = 1000.0
GUEST = Target("guest", is_guest_id=True)


def contact(number, conversation=None, text=None):
    return Contact(f"key-{number}", conversation or f"c-{number}", text or f"Hello {number}")


async def sending(ledger, *contacts, at=NOW, linked=False):
    """Admit contacts, and write their intents down."""
    claims = (await ledger.admit(Batch(contacts), NOW, len(contacts))).claims
    for claim in claims:
        conversation = claim.contact.conversation_id
        decision = Open(GUEST, "person", conversation) if linked else Notify(conversation)
        step = Step.OPEN if linked else Step.NOTIFY
        await ledger.intend(Intent(claim.id, step, decision, at, claim.progress))
    return claims


def end(claim, conversation, message, relation=Relation.NOTIFIED, **more):
    status = Status.NOTIFIED if relation is Relation.NOTIFIED else Status.OPENED
    return Settlement(
        claim.id, status, Reason.DELIVERED, NOW, Progress(sends=1), relation,
        conversation, message, **more,
    )  # fmt: skip


async def test_a_doubt_has_all_that_it_is_judged_by(ledger):
    """The contact with its text, what was learnt, and what was intended."""
    (claim,) = await sending(ledger, contact(1), linked=True)
    learnt = Progress(sends=1, doubted_at=NOW + 2)
    await ledger.mark_in_doubt(claim.id, NOW + 5, learnt)
    assert await ledger.due_in_doubt(9, NOW + 4.9) == []
    intended = UnsettledSend(claim.id, Step.OPEN, "c-1", "person", digest("Hello 1"), NOW, NOW + 2)
    found = await ledger.due_in_doubt(9, NOW + 5)
    assert found == [InDoubtContact(claim.id, contact(1), learnt, intended)]
    assert await ledger.claim(9, NOW + 99) == []


async def test_doubts_come_in_the_order_of_their_looks(ledger):
    """Those that wait longest come first, and no more than asked for."""
    claims = await sending(ledger, contact(1), contact(2), contact(3))
    assert await ledger.look_back_times(9) == []
    for claim, at in zip(claims, (30.0, 10.0, 20.0), strict=True):
        await ledger.mark_in_doubt(claim.id, at, claim.progress)
    assert [item.contact.key for item in await ledger.due_in_doubt(2, NOW)] == ["key-2", "key-3"]
    assert await ledger.look_back_times(2) == [10.0, 20.0]
    await ledger.schedule_look_back(claims[1].id, 40.0)
    assert await ledger.look_back_times(9) == [20.0, 30.0, 40.0]
    assert [item.contact.key for item in await ledger.due_in_doubt(1, NOW)] == ["key-3"]


async def test_a_doubt_ends_by_settling_or_deferring(ledger):
    """Then nothing is looked for any more, and a deferred one can be claimed."""
    claims = await sending(ledger, contact(1), contact(2), contact(3))
    for claim in claims:
        await ledger.mark_in_doubt(claim.id, NOW, claim.progress)
    await ledger.settle(end(claims[0], "c-1", "m-1", sent_at=NOW + 3))
    parked = Settlement(claims[1].id, Status.PARKED, Reason.IN_DOUBT, NOW, Progress())
    await ledger.settle(parked)
    await ledger.defer(claims[2].id, NOW, Progress(attempts=1))
    assert await ledger.look_back_times(9) == []
    assert await ledger.due_in_doubt(9, NOW) == []
    (again,) = await ledger.claim(9, NOW)
    assert (again.contact, again.progress) == (contact(3), Progress(attempts=1))


async def test_only_what_was_sending_can_be_in_doubt(ledger):
    """A claimed contact has sent nothing; one that is not in doubt is not looked for."""
    (claim,) = (await ledger.admit(Batch([contact(1)]), NOW, 1)).claims
    for wrong in (
        ledger.mark_in_doubt(claim.id, NOW, Progress()),
        ledger.schedule_look_back(claim.id, NOW),
    ):
        with pytest.raises(LedgerError):
            await wrong
    assert await ledger.look_back_times(9) == []


async def test_a_restart_finds_sending_contacts_in_doubt(ledger):
    """They are due for a look, with their intents; their requests had left by then."""
    await sending(ledger, contact(1))
    recovered = ledger.recover()
    if inspect.isawaitable(recovered):
        await recovered
    (doubt,) = await ledger.due_in_doubt(9, NOW)
    assert (doubt.send.conversation_id, doubt.send.at) == ("c-1", NOW)
    assert doubt.send.ended_at is not None
    assert await ledger.claim(9, NOW) == []


async def test_what_is_known_of_a_conversation(ledger):
    """Messages and opened conversations of settled contacts, and sends of unknown end."""
    twins = [contact(n, "c-1", "Hello") for n in range(1, 5)]
    (taken,) = await sending(ledger, twins[0])
    await ledger.settle(end(taken, "c-1", "m-1"))
    (opened,) = await sending(ledger, twins[1])
    await ledger.settle(end(opened, "new-1", None, Relation.LINKED))
    (parked,) = await sending(ledger, twins[2])
    await ledger.settle(Settlement(parked.id, Status.PARKED, Reason.IN_DOUBT, NOW, Progress()))
    (doubted,) = await sending(ledger, twins[3])
    await ledger.mark_in_doubt(doubted.id, NOW, Progress())
    known = await ledger.known_effects(["c-1", "new-1"], NOW - 1)
    assert known.messages == {"m-1"}
    assert known.conversations == {"new-1"}
    assert sorted(item.id for item in known.unsettled) == [parked.id, doubted.id]
    assert {item.text_sha256 for item in known.unsettled} == {digest("Hello")}
    other = await ledger.known_effects(["c-2"], NOW - 1)
    assert (other.messages, other.conversations, list(other.unsettled)) == (set(), set(), [])
    assert await ledger.known_effects([], NOW - 1) == KnownEffects(frozenset(), frozenset(), [])


async def test_of_older_sends_only_the_unsettled_are_known(ledger):
    """By the message's time where it is known, else by the intent's: from that time on."""
    twins = [contact(n, "c-1", "Hello") for n in range(1, 5)]
    for number, (twin, late) in enumerate(zip(twins[:3], ({}, {"sent_at": NOW}, {}), strict=True)):
        (claim,) = await sending(ledger, twin, at=NOW - 60 * (2 - number))
        relation = Relation.NOTIFIED if number else Relation.LINKED
        await ledger.settle(end(claim, "c-1", f"m-{number}", relation, **late))
    (unsettled,) = await sending(ledger, twins[3], at=NOW - 120)
    expected = {
        NOW - 120: ({"m-0", "m-1", "m-2"}, {"c-1"}),
        NOW - 119: ({"m-1", "m-2"}, set()),
        NOW: ({"m-1", "m-2"}, set()),
        NOW + 1: (set(), set()),
    }
    for since, (messages, conversations) in expected.items():
        known = await ledger.known_effects(["c-1"], since)
        assert (known.messages, known.conversations) == (messages, conversations)
        assert [item.id for item in known.unsettled] == [unsettled.id]


async def test_what_is_known_of_a_person(ledger):
    """Unsettled sends to these people in any conversation, and to no others."""
    ids = []
    for number, person, end_ in ((1, "x-1", "parked"), (2, "x-1", "doubt"), (3, "x-2", "doubt")):
        (claim,) = (await ledger.admit(Batch([contact(number)]), NOW, 1)).claims
        decision = Notify(f"c-{number}")
        await ledger.intend(Intent(claim.id, Step.NOTIFY, decision, NOW, Progress(), person))
        learnt = Progress(sends=1, doubted_at=NOW + 2)
        if end_ == "doubt":
            await ledger.mark_in_doubt(claim.id, NOW, learnt)
        else:
            parked = Settlement(claim.id, Status.PARKED, Reason.IN_DOUBT, NOW, learnt)
            await ledger.settle(parked)
        ids.append(claim.id)
    hashes = [digest(f"Hello {number}") for number in (1, 2)]
    expected = [
        UnsettledSend(id_, Step.NOTIFY, f"c-{number}", "x-1", text, NOW, NOW + 2)
        for number, id_, text in zip((1, 2), ids, hashes, strict=False)
    ]
    known = await ledger.known_effects([], 0.0, ["x-1"])
    assert sorted(known.unsettled, key=lambda item: item.id) == expected
    both = await ledger.known_effects(["c-1", "c-2"], 0.0, ["x-1"])
    assert sorted(both.unsettled, key=lambda item: item.id) == expected
    assert (await ledger.known_effects([], 0.0, ["x-3"])).unsettled == []


async def test_a_conversation_with_a_message_of_unknown_id_is_returned(ledger):
    """Without texts, any message in it could be that one."""
    for number, message in ((1, "m-1"), (2, None)):
        (claim,) = await sending(ledger, contact(number))
        await ledger.settle(end(claim, f"c-{number}", message))
    assert (await ledger.known_effects(["c-1", "c-2"], 0.0)).unnamed == {"c-2"}


@pytest.mark.parametrize(
    "decision", [Open(None, "x-1", "c-1"), Open(GUEST, None, "c-1"), Open(GUEST, None, None)]
)
async def test_an_open_may_lack_an_address_or_an_identity(ledger, decision):
    """It is looked for by what it has, and settled as any other."""
    (claim,) = (await ledger.admit(Batch([contact(1)]), NOW, 1)).claims
    await ledger.intend(Intent(claim.id, Step.OPEN, decision, NOW, Progress()))
    await ledger.mark_in_doubt(claim.id, NOW, Progress(engaged_since=NOW - 5))
    (doubt,) = await ledger.due_in_doubt(9, NOW)
    target = doubt.send.conversation_id, doubt.send.external_contact_id
    assert target == (decision.previous, decision.external_contact_id)
    assert doubt.progress == Progress(engaged_since=NOW - 5)
    await ledger.settle(end(claim, "new-1", "m-1", Relation.LINKED))
    assert await ledger.look_back_times(9) == []


async def test_witnesses_are_the_first_messages_after_a_time(ledger):
    """By the time of the message where it is known, else by that of the intent."""
    assert await ledger.witnesses(0.0, 9) == []
    for number in range(1, 8):
        (claim,) = await sending(ledger, contact(number), at=NOW + number)
        late = {"sent_at": NOW + 6.5} if number == 6 else {}
        await ledger.settle(end(claim, f"c-{number}", f"m-{number}", **late))
    found = await ledger.witnesses(NOW + 4, 2)
    assert found == [DeliveryWitness(f"c-{n}", f"m-{n}", digest(f"Hello {n}")) for n in (5, 6)]
    assert [item.message_id for item in await ledger.witnesses(NOW + 6, 9)] == ["m-6", "m-7"]
    assert await ledger.witnesses(NOW + 7, 9) == []
    assert len(await ledger.witnesses(0.0, 99)) == 7


async def test_conversations_that_may_have_new_records(ledger):
    """Sessions that are waited for, then where our messages went, the last one first."""
    claims = (await ledger.admit(Batch([contact(n) for n in range(1, 7)]), NOW, 5)).claims
    for claim, at in zip(claims[:2], (NOW - 9, NOW - 5), strict=True):
        await ledger.intend(Intent(claim.id, Step.NOTIFY, Notify("c"), at, claim.progress))
        await ledger.settle(end(claim, claim.contact.conversation_id, "m"))
    for claim, progress in zip(
        claims[2:], (Progress(engaged_since=1.0), Progress(not_ended_since=1.0), NEW), strict=True
    ):
        await ledger.defer(claim.id, NOW + 10 - claim.id, progress)
    assert await ledger.recent_conversations(NOW, 9) == ["c-4", "c-3", "c-2", "c-1"]
    assert (await ledger.recent_conversations(NOW, 1))[-1] == "c-2"
    assert await ledger.recent_conversations(NOW + 99, 9) == ["c-2", "c-1"]
