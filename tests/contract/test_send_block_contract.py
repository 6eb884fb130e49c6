"""Which sends every ledger permits: one for a person and a conversation at a time."""

import pytest

from dispatcher.domain.contact import Contact
from dispatcher.domain.decision import Notify
from dispatcher.domain.progress import NEW
from dispatcher.domain.status import Reason, Relation, SendBlock, Status, Step
from dispatcher.ports import Batch, Intent, LedgerError, Limits, Settlement

NOW = 1000.0
ONE = Limits(one_per_person=True)


async def admit(ledger, *contacts):
    return list((await ledger.admit(Batch(contacts), NOW, len(contacts))).claims)


def contact(number, person=None, conversation=None):
    talk = conversation or f"conversation-{number}"
    return Contact(f"key-{number}", talk, "Hello", external_contact_id=person)


def intent(claim, limits=ONE, at=NOW, **more):
    who = {"external_contact_id": claim.contact.external_contact_id, **more}
    decision = Notify(claim.contact.conversation_id)
    return Intent(claim.id, Step.NOTIFY, decision, at, claim.progress, limits=limits, **who)


def settled(claim, status=Status.NOTIFIED, reason=Reason.DELIVERED):
    taken = Relation.NOTIFIED if status is Status.NOTIFIED else None
    return Settlement(claim.id, status, reason, NOW, NEW, relation=taken)


async def send(ledger, claim, at=NOW, limits=ONE):
    assert await ledger.intend(intent(claim, limits, at)) is None
    await ledger.settle(settled(claim))


async def test_one_conversation_has_one_send_at_a_time(open_ledger):
    """A second contact of the conversation waits until the end of the first one is known."""
    ledger = await open_ledger("one")
    first, second = await admit(ledger, contact(1, "a", "same"), contact(2, None, "same"))
    assert await ledger.intend(intent(first)) is None
    assert await ledger.intend(intent(second)) is SendBlock.BUSY
    await ledger.settle(settled(first))
    assert await ledger.intend(intent(second)) is None


async def test_one_person_has_one_send_at_a_time(open_ledger):
    """By the external contact id, with no rule at all; nobody else has to wait."""
    ledger = await open_ledger("one")
    claims = await admit(ledger, contact(1, "a"), contact(2, "a"), contact(3, "b"), contact(4))
    free = [await ledger.intend(intent(claim, Limits())) for claim in claims]
    assert free == [None, SendBlock.BUSY, None, None]
    await ledger.settle(settled(claims[0]))
    assert await ledger.intend(intent(claims[1], Limits())) is None


async def test_a_hindered_contact_stays_claimed(open_ledger):
    """Nothing of the intent is kept: the contact can be deferred or settled as it was."""
    ledger = await open_ledger("one")
    first, second, third = await admit(ledger, *(contact(n, "a") for n in (1, 2, 3)))
    await ledger.intend(intent(first))
    assert await ledger.intend(intent(second)) is SendBlock.BUSY
    with pytest.raises(LedgerError):
        await ledger.retract(second.id)
    await ledger.defer(second.id, NOW, second.progress)
    assert await ledger.intend(intent(third)) is SendBlock.BUSY
    await ledger.settle(settled(third, Status.SKIPPED, Reason.SAME_PERSON))


async def test_one_message_a_person_and_campaign(open_ledger):
    """The second contact of a person is blocked; in another campaign it is the first."""
    ledger = await open_ledger("one")
    first, second = await admit(ledger, contact(1, "a"), contact(2, "a"))
    await send(ledger, first)
    assert await ledger.intend(intent(second)) is SendBlock.SAME_PERSON
    ledger = await open_ledger("two")
    (other,) = await admit(ledger, contact(1, "a"))
    assert await ledger.intend(intent(other)) is None


async def test_the_person_that_the_platform_reports_counts(open_ledger):
    """Rows without an external contact id are one person once the platform says so."""
    ledger = await open_ledger("one")
    first, second = await admit(ledger, contact(1), contact(2))
    assert await ledger.intend(intent(first, external_contact_id="a")) is None
    await ledger.settle(settled(first))
    again = intent(second, external_contact_id="a")
    assert await ledger.intend(again) is SendBlock.SAME_PERSON


@pytest.mark.parametrize(
    ("status", "reason", "block"),
    [
        (Status.PARKED, Reason.IN_DOUBT, SendBlock.SAME_PERSON),
        (Status.PARKED, Reason.RETRY_LOOP, None),
        (Status.REJECTED, Reason.REFUSED, None),
    ],
)
async def test_only_a_message_that_may_be_there_counts(open_ledger, status, reason, block):
    """A refused send leaves the person free; one that is parked in doubt may have arrived."""
    ledger = await open_ledger("one")
    first, second = await admit(ledger, contact(1, "a"), contact(2, "a"))
    await ledger.intend(intent(first))
    await ledger.settle(settled(first, status, reason))
    assert await ledger.intend(intent(second)) is block


@pytest.mark.parametrize("turn_back", ["retract", "defer"])
async def test_a_send_that_is_taken_back_counts_no_more(open_ledger, turn_back):
    """The person is free for another contact, which then blocks the first one."""
    ledger = await open_ledger("one")
    first, second = await admit(ledger, contact(1, "a"), contact(2, "a"))
    await ledger.intend(intent(first))
    if turn_back == "retract":
        await ledger.retract(first.id)
    else:
        await ledger.defer(first.id, NOW, NEW)
        (first,) = await ledger.claim(1, NOW)
    await send(ledger, second)
    assert await ledger.intend(intent(first)) is SendBlock.SAME_PERSON


async def test_a_cap_counts_over_all_campaigns(open_ledger):
    """Messages since a moment, in whichever campaign; older ones do not count."""
    for day, name in enumerate(("one", "two", "three")):
        ledger = await open_ledger(name)
        (claim,) = await admit(ledger, contact(1, "a"))
        await send(ledger, claim, at=NOW + day, limits=Limits())
    ledger = await open_ledger("four")
    (claim,) = await admit(ledger, contact(1, "a"))
    assert await ledger.intend(intent(claim, Limits(cap=3, cap_since=NOW))) is SendBlock.CAPPED
    assert await ledger.intend(intent(claim, Limits(cap=2, cap_since=NOW + 1))) is SendBlock.CAPPED
    assert await ledger.intend(intent(claim, Limits(cap=3, cap_since=NOW + 0.5))) is None


async def test_another_campaigns_send_is_waited_for(open_ledger):
    """An unsettled intent blocks the person and the conversation in every campaign."""
    ledger = await open_ledger("one")
    (left,) = await admit(ledger, contact(1, "a", "talk"))
    await ledger.intend(intent(left))
    ledger = await open_ledger("two")
    person, talk, free = await admit(
        ledger, contact(1, "a"), contact(2, "b", "talk"), contact(3, "c")
    )
    answers = [await ledger.intend(intent(claim)) for claim in (person, talk, free)]
    assert answers == [SendBlock.BUSY, SendBlock.BUSY, None]


async def test_a_claim_tells_what_is_known_by_then(open_ledger):
    """People with a message or an unsettled send are recognised at the claim."""
    ledger = await open_ledger("one")
    claims = await admit(ledger, contact(1, "a"), contact(2, "a"), contact(3, "b"), contact(4, "b"))
    await send(ledger, claims[0])
    await ledger.intend(intent(claims[2]))
    for claim in (claims[1], claims[3]):
        await ledger.defer(claim.id, NOW, claim.progress)
    same, busy = await ledger.claim(9, NOW)
    assert (same.block, busy.block) == (SendBlock.SAME_PERSON, SendBlock.BUSY)
    (new,) = await admit(ledger, contact(5, "a"))
    assert new.block is SendBlock.SAME_PERSON
    ledger = await open_ledger("two")
    (other,) = await admit(ledger, contact(1, "a"))
    assert other.block is None


async def test_an_impossible_intent_is_refused_whatever_hinders_it(open_ledger):
    """A contact that is not claimed gets an error, not a block."""
    ledger = await open_ledger("one")
    first, second = await admit(ledger, contact(1, "a"), contact(2, "a"))
    await ledger.intend(intent(first))
    await ledger.settle(settled(second, Status.SKIPPED, Reason.EXPIRED))
    with pytest.raises(LedgerError):
        await ledger.intend(intent(second))
