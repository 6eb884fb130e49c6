"""What every ledger promises, in a file or in memory."""

import asyncio
from dataclasses import replace

import pytest

from dispatcher.domain.contact import Contact, RejectedRow
from dispatcher.domain.conversation import Target
from dispatcher.domain.decision import Notify, Open
from dispatcher.domain.progress import NEW, Progress
from dispatcher.domain.status import Reason, Relation, Status, Step
from dispatcher.ports import (
    RECEIPT_SECONDS,
    Batch,
    Intent,
    LedgerError,
    RequestKey,
    Settlement,
    Stream,
    StreamMovedError,
)

NOW = 1000.0


def contact(number, **more):
    return Contact(f"key-{number}", f"conversation-{number}", f"Hello {number}", **more)


def contacts(count):
    return [contact(number) for number in range(count)]


def intent(claim, decision=None, step=Step.NOTIFY):
    decision = decision or Notify(claim.contact.conversation_id)
    return Intent(claim.id, step, decision, NOW, claim.progress)


def notified(claim):
    return Settlement(
        claim.id,
        Status.NOTIFIED,
        Reason.DELIVERED,
        NOW + 1,
        replace(claim.progress, sends=1),
        relation=Relation.NOTIFIED,
        conversation_id=claim.contact.conversation_id,
        message_id=f"message-{claim.id}",
    )


async def test_admits_a_key_once(ledger):
    """A key that is there already, or comes twice in a batch, is a duplicate; the first wins."""
    first = await ledger.admit(Batch([contact(1), contact(2)]), NOW, 0)
    again = Contact("key-3", "other", "another text")
    second = await ledger.admit(Batch([contact(2), contact(3), again]), NOW, 9)
    assert (first.admitted, first.duplicates) == (2, 0)
    assert (second.admitted, second.duplicates) == (1, 2)
    assert [claim.contact for claim in second.claims] == [contact(3)]


async def test_the_same_key_in_two_campaigns(open_ledger):
    """Keys are unique within a campaign, and no campaign claims another's contacts."""
    await (await open_ledger("one")).admit(Batch(contacts(1)), NOW, 0)
    other = await open_ledger("two")
    assert (await other.admit(Batch(contacts(1)), NOW, 0)).admitted == 1
    assert len(await other.claim(9, NOW)) == 1


async def test_admission_claims_in_order(ledger):
    """The first due ones of the batch are claimed with it, up to the bound; the rest later."""
    batch = Batch([contact(0, not_before=NOW + 60), *contacts(5)[1:]])
    admitted = await ledger.admit(batch, NOW, 2)
    assert [claim.contact.key for claim in admitted.claims] == ["key-1", "key-2"]
    assert [claim.contact.key for claim in await ledger.claim(9, NOW)] == ["key-3", "key-4"]
    assert [claim.contact.key for claim in await ledger.claim(9, NOW + 60)] == ["key-0"]
    assert await ledger.claim(9, NOW + 60) == []


async def test_everything_of_a_contact_comes_back(ledger):
    """A claim hands out the contact exactly as it was admitted, odd characters included."""
    odd = Contact(
        "kéy\0'\"",
        "conversation",
        'tab\t quote" backslash\\u0000 nul\0 emoji 😀\r\n',
        external_contact_id="external",
        address="+49 1",
        subject="",
        not_before=12.5,
        expires_at=99.25,
        attributes={"first name": "Ann", "empty": "", "nul\0": "\u2028"},
    )
    twin = replace(odd, key="kéy\0'\"x")
    assert (await ledger.admit(Batch([odd, twin]), NOW, 0)).admitted == 2
    assert [claim.contact for claim in await ledger.claim(9, NOW)] == [odd, twin]
    assert (await ledger.admit(Batch([odd, twin]), NOW, 0)).duplicates == 2


async def test_streams_move_with_admission(open_ledger):
    """The place is as of the last batch, by fingerprint, and outlives the process."""
    ledger = await open_ledger()
    for before, at, done in ((None, "10", False), ("10", "20", True)):
        moved = Batch([], stream=Stream("a", "fa", at, 2, done), before=before)
        await ledger.admit(moved, NOW, 0)
    await ledger.admit(Batch([], stream=Stream("b", "fb", "5", 1, done=False)), NOW, 0)
    await ledger.admit(Batch(contacts(1)), NOW, 0)
    ledger = await open_ledger()
    assert await ledger.streams() == {
        "fa": Stream("a", "fa", "20", 2, done=True),
        "fb": Stream("b", "fb", "5", 1, done=False),
    }
    assert await (await open_ledger("other")).streams() == {}


@pytest.mark.parametrize("before", [None, "9", ""])
async def test_a_stream_that_another_reader_moved_is_left_as_it_is(open_ledger, before):
    """Nothing of the batch is written: neither its contacts nor its counts."""
    ledger = await open_ledger()
    stream = Stream("a", "fa", "10", 2, done=False)
    await ledger.admit(Batch(contacts(1), stream=stream), NOW, 0)
    late = Batch(contacts(3), stream=replace(stream, at="20"), before=before)
    with pytest.raises(StreamMovedError, match=r"^a: another reader"):
        await ledger.admit(late, NOW, 3)
    assert await ledger.streams() == {"fa": stream}
    assert (await ledger.totals()).admitted == 1
    assert len(await ledger.claim(9, NOW)) == 1
    assert (await ledger.admit(replace(late, before="10"), NOW, 0)).admitted == 2


async def test_contacts_go_on_after_a_batch_was_refused(ledger):
    stream = Stream("a", "fa", "10", 2, done=False)
    batch = Batch(contacts(2), stream=stream)
    one, two = (await ledger.admit(batch, NOW, 2)).claims
    assert await ledger.intend(intent(one)) is None
    with pytest.raises(StreamMovedError):
        await ledger.admit(batch, NOW, 2)
    assert await ledger.intend(intent(two)) is None
    await asyncio.gather(*(ledger.settle(notified(claim)) for claim in (one, two)))
    assert (await ledger.totals()).by_status[Status.NOTIFIED, Reason.DELIVERED] == 2


async def test_a_repeated_request_has_the_result_of_the_first(open_ledger):
    """Also after a restart; nothing is written for it, and nothing is counted twice."""
    request = RequestKey("key", "digest")
    bad = RejectedRow("post key", 4, "bad_id", "detail", b"raw")
    batch = Batch([*contacts(2), contact(0)], [bad], filtered=1, request=request)
    ledger = await open_ledger()
    first = await ledger.admit(batch, NOW, 0)
    ledger = await open_ledger()
    again = await ledger.admit(batch, NOW + RECEIPT_SECONDS - 1, 9)
    assert first.receipt is None
    assert (again.admitted, again.claims) == (0, ())
    assert again.receipt == batch.receipt(first)
    assert again.receipt.rows == batch.rows
    assert (await ledger.totals()).rows == batch.rows


async def test_the_key_of_a_request_is_for_one_content(ledger):
    """Another body under the same key writes nothing; another key does."""
    await ledger.admit(Batch([contact(1)], request=RequestKey("key", "one")), NOW, 0)
    other = await ledger.admit(Batch([contact(2)], request=RequestKey("key", "two")), NOW, 0)
    assert other.key_reused
    assert (await ledger.totals()).rows == 1
    other = await ledger.admit(Batch([contact(2)], request=RequestKey("key-2", "two")), NOW, 0)
    assert (other.admitted, other.key_reused) == (1, False)


async def test_the_key_of_a_request_is_kept_for_a_day_and_by_campaign(open_ledger):
    """After it, and in another campaign, the key is a new one."""
    request = RequestKey("key", "digest")
    ledger = await open_ledger("one")
    await ledger.admit(Batch([contact(1)], request=request), NOW, 0)
    late = await ledger.admit(Batch([contact(1)], request=request), NOW + RECEIPT_SECONDS, 0)
    assert (late.receipt, late.duplicates) == (None, 1)
    other = await open_ledger("two")
    assert (await other.admit(Batch([contact(1)], request=request), NOW, 0)).admitted == 1


async def test_totals_add_up_over_restarts(open_ledger):
    """Each row of the input is in exactly one sum, whatever ran when."""
    ledger = await open_ledger()
    bad = [RejectedRow("f", line, "bad_date", "", b"\xff") for line in range(3)]
    await ledger.admit(Batch(contacts(4), [*bad, replace(bad[0], reason="no_id")], 5), NOW, 2)
    ledger = await open_ledger()
    await ledger.admit(Batch(contacts(5), bad[:1], 1), NOW, 0)
    totals = await ledger.totals()
    assert (totals.rows, totals.admitted, totals.duplicates, totals.filtered) == (20, 5, 4, 6)
    assert totals.rejected == {"bad_date": 4, "no_id": 1}
    assert sum(totals.by_status.values()) == 5
    assert totals.rows == 5 + 4 + 6 + sum(totals.rejected.values())


async def test_claims_contacts_by_name_before_they_are_due(ledger):
    """Only those that are ready; the others are left alone."""
    claims = (await ledger.admit(Batch(contacts(4)), NOW, 3)).claims
    waiting = replace(NEW, engaged_since=NOW)
    await ledger.defer(claims[0].id, NOW + 50, waiting)
    await ledger.defer(claims[1].id, NOW + 90, NEW)
    early = await ledger.claim_early([claims[0].id, claims[2].id, 10_000])
    assert [(claim.contact.key, claim.progress) for claim in early] == [("key-0", waiting)]
    assert await ledger.claim_early([claims[0].id]) == []
    assert [claim.contact.key for claim in await ledger.claim(9, NOW + 99)] == ["key-3", "key-1"]


async def test_claims_the_earliest_due_first(ledger):
    """What has waited longest goes first, and never more than was asked for."""
    due = [30.0, 10.0, 20.0]
    await ledger.admit(Batch([contact(n, not_before=at) for n, at in enumerate(due)]), NOW, 0)
    assert [claim.contact.key for claim in await ledger.claim(2, NOW)] == ["key-1", "key-2"]
    assert [claim.contact.key for claim in await ledger.claim(2, NOW)] == ["key-0"]


async def test_progress_comes_back_after_a_deferral(ledger):
    """A deferred contact is not due before its time, and comes with all that was learnt."""
    progress = Progress(1, 2, 3, 4, 0.0, True, Target("guest", True), "external", 5, 6.5)
    (claim,) = (await ledger.admit(Batch(contacts(1)), NOW, 1)).claims
    assert claim.progress == NEW
    await ledger.defer(claim.id, NOW + 5, progress)
    assert await ledger.claim(1, NOW + 4.75) == []
    assert await ledger.claim(1, NOW + 5) == [replace(claim, progress=progress)]


async def test_a_send_from_intent_to_settlement(ledger):
    """Claimed, sending, notified: each step shows in the sums."""
    (claim,) = (await ledger.admit(Batch(contacts(1)), NOW, 1)).claims
    assert (await ledger.totals()).by_status == {(Status.CLAIMED, None): 1}
    await ledger.intend(intent(claim))
    assert (await ledger.totals()).by_status == {(Status.SENDING, None): 1}
    await ledger.settle(notified(claim))
    assert (await ledger.totals()).by_status == {(Status.NOTIFIED, Reason.DELIVERED): 1}


async def test_a_retracted_intent_can_be_made_again(ledger):
    """After a retraction the contact is claimed, and another intent is permitted."""
    (claim,) = (await ledger.admit(Batch(contacts(1)), NOW, 1)).claims
    await ledger.intend(intent(claim))
    await ledger.retract(claim.id)
    decision = Open(Target("guest", is_guest_id=True), "external", None)
    await ledger.intend(intent(claim, decision, Step.OPEN))
    await ledger.defer(claim.id, NOW, claim.progress)
    assert await ledger.claim(1, NOW) == [claim]


async def test_a_retracted_intent_leaves_what_was_learnt(ledger):
    """Its attempts and its target stay, whatever comes next."""
    (claim,) = (await ledger.admit(Batch(contacts(1)), NOW, 1)).claims
    progress = Progress(attempts=2, target=Target("guest", is_guest_id=True))
    await ledger.intend(replace(intent(claim), progress=progress))
    await ledger.retract(claim.id)
    await ledger.release([claim.id], {claim.id: NOW})
    assert await ledger.claim(1, NOW) == [replace(claim, progress=progress)]


async def test_refuses_what_the_status_does_not_permit(ledger):
    """An operation on a contact that is not where it should be fails and changes nothing."""
    (claim,) = (await ledger.admit(Batch(contacts(2)), NOW, 1)).claims
    for wrong in (
        ledger.retract(claim.id),
        ledger.intend(intent(replace(claim, id=claim.id + 1))),
        ledger.settle(notified(replace(claim, id=12345))),
        ledger.defer(claim.id + 1, NOW, NEW),
    ):
        with pytest.raises(LedgerError):
            await wrong
    await ledger.settle(notified(claim))
    with pytest.raises(LedgerError):
        await ledger.settle(notified(claim))
    with pytest.raises(LedgerError):
        await ledger.intend(intent(claim))
    totals = await ledger.totals()
    expected = {(Status.NOTIFIED, Reason.DELIVERED): 1, (Status.READY, None): 1}
    assert totals.by_status == expected


async def test_the_backlog_counts_what_is_not_final(ledger):
    """Due, later and busy are counted separately, with the earliest times of the first two."""
    early = [contact(n, not_before=NOW - n) for n in range(4)]
    late = [contact(n, not_before=NOW + n) for n in (10, 11)]
    claims = (await ledger.admit(Batch([*early, *late]), NOW, 2)).claims
    await ledger.intend(intent(claims[0]))
    backlog = await ledger.backlog(NOW)
    assert (backlog.due, backlog.later, backlog.claimed_or_sending) == (2, 2, 2)
    assert (backlog.oldest_due, backlog.next_due) == (NOW - 3, NOW + 10)
    await ledger.settle(notified(claims[0]))
    assert (await ledger.backlog(NOW)).claimed_or_sending == 1


async def test_an_empty_backlog(ledger):
    """Nothing there: zeros, and no times."""
    backlog = await ledger.backlog(NOW)
    assert (backlog.due, backlog.later, backlog.claimed_or_sending) == (0, 0, 0)
    assert (backlog.oldest_due, backlog.next_due) == (None, None)


async def test_what_is_answered_is_there_after_a_restart(open_ledger):
    """Final contacts stay final, ready ones are claimed again, with a ledger that was closed."""
    ledger = await open_ledger()
    claims = (await ledger.admit(Batch(contacts(3)), NOW, 2)).claims
    await ledger.settle(notified(claims[0]))
    await ledger.defer(claims[1].id, NOW, NEW)
    ledger = await open_ledger()
    assert {claim.contact.key for claim in await ledger.claim(9, NOW)} == {"key-1", "key-2"}
    assert (await ledger.totals()).by_status[Status.NOTIFIED, Reason.DELIVERED] == 1
