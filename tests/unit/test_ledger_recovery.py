"""What a daemon that died leaves behind, and what a person puts back."""

import shutil
import sqlite3
from contextlib import closing

import pytest

from dispatcher.domain.contact import Contact
from dispatcher.domain.conversation import Target
from dispatcher.domain.decision import Open
from dispatcher.domain.progress import NEW, Progress
from dispatcher.domain.status import Reason, Relation, Status, Step
from dispatcher.ledgers import schema
from dispatcher.ledgers.ledger import SqliteLedger
from dispatcher.ledgers.registration import OpenOptions
from dispatcher.ports import Batch, Intent, LedgerError, Recovered, Settlement
from tests.support.ledger_commands import replay
from tests.support.ledger_reader import LedgerReader

NOW = 1000.0
LATER = 2000.0


def batch(count):
    return Batch([Contact(f"key-{n}", f"conversation-{n}", f"Hello {n}") for n in range(count)])


def intent(claim):
    decision = Open(Target("guest", is_guest_id=True), "external", claim.contact.conversation_id)
    return Intent(claim.id, Step.OPEN, decision, NOW, Progress(sends=1))


def parked(claim, reason):
    return Settlement(claim.id, Status.PARKED, reason, NOW, Progress(attempts=3), words="why")


async def crash(path, into):
    """Copy the files as they are on the disk, as a kill would leave them."""
    into.mkdir()
    for part in path.parent.glob("ledger.db*"):
        shutil.copy(part, into / part.name)
    return await SqliteLedger.open(
        into / path.name, "c", now=lambda: LATER, options=OpenOptions(adopt=True)
    )


@pytest.fixture
def path(tmp_path):
    folder = tmp_path / "first"
    folder.mkdir()
    return folder / "ledger.db"


async def test_recovery_releases_claims_and_doubts_sends(path, tmp_path):
    """After a kill: claimed is ready and due, sending is in doubt with its intent, and due."""
    async with await SqliteLedger.open(path, "c") as ledger:
        claims = (await ledger.admit(batch(4), NOW, 3)).claims
        await ledger.intend(intent(claims[1]))
        again = await crash(path, tmp_path / "second")
    async with again:
        recovered = await again.recover()
        assert recovered == Recovered(released=2, in_doubt=1)
        assert await again.recover() == Recovered(released=0, in_doubt=1)
        assert await again.look_back_times(9) == [LATER]
        assert (await again.backlog(LATER)).due == 3
        keys = [item.contact.key for item in await again.claim(9, LATER)]
        assert keys == ["key-3", "key-0", "key-2"]
    with LedgerReader(tmp_path / "second" / "ledger.db", "c") as reader:
        (row,) = reader.contacts(Status.IN_DOUBT)
    assert (row.reason, row.settled_at) == (None, None)
    assert (row.intent_step, row.intent_at, row.intent_target) == (Step.OPEN, NOW, "guest")
    assert row.intent_conversation_id == "conversation-1"
    assert row.intent_external_contact_id == "external"


async def test_another_campaigns_leftovers_are_left_alone(path):
    """Recovery is for the campaign that runs."""
    async with await SqliteLedger.open(path, "other") as ledger:
        await ledger.admit(batch(2), NOW, 2)
    async with await SqliteLedger.open(path, "c") as ledger:
        assert await ledger.recover() == Recovered(0, 0)


async def test_replay_makes_a_parked_contact_new(path):
    """A replayed contact is due now, with its message and without its old progress."""
    async with await SqliteLedger.open(path, "c", now=lambda: LATER) as ledger:
        (claim,) = (await ledger.admit(batch(1), NOW, 1)).claims
        await ledger.intend(intent(claim))
        await ledger.settle(parked(claim, Reason.RETRY_LOOP))
        assert (await ledger.totals()).by_status == {(Status.PARKED, Reason.RETRY_LOOP): 1}
        assert await replay(ledger, [claim.id, 77]) == {"ready": 1, "in_doubt": 0}
        assert await replay(ledger, [claim.id]) == {"ready": 0, "in_doubt": 0}
        assert (await ledger.totals()).by_status == {(Status.READY, None): 1}
        (again,) = await ledger.claim(9, LATER)
    assert (again.contact, again.progress) == (claim.contact, NEW)


async def test_replay_never_makes_a_doubtful_contact_ready(path):
    """What is parked in doubt goes back to in doubt, due for a look at once, over a restart."""
    async with await SqliteLedger.open(path, "c", now=lambda: LATER) as ledger:
        (claim,) = (await ledger.admit(batch(1), NOW, 1)).claims
        await ledger.intend(intent(claim))
        await ledger.settle(parked(claim, Reason.IN_DOUBT))
        assert await replay(ledger, [claim.id]) == {"ready": 0, "in_doubt": 1}
        assert (await ledger.totals()).by_status == {(Status.IN_DOUBT, None): 1}
        assert await ledger.claim(9, LATER) == []
        assert await ledger.recover() == Recovered(released=0, in_doubt=1)
        (doubt,) = await ledger.due_in_doubt(9, LATER)
        assert (doubt.id, doubt.send.conversation_id) == (claim.id, "conversation-0")
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT text, intent_target FROM contact"
        assert connection.execute(query).fetchone() == ("Hello 0", "guest")


async def test_release_puts_claims_back(path):
    """Released contacts are due now; one that is not claimed is an error for itself only."""
    async with await SqliteLedger.open(path, "c", now=lambda: LATER) as ledger:
        claims = (await ledger.admit(batch(3), NOW, 3)).claims
        await ledger.intend(intent(claims[1]))
        with pytest.raises(LedgerError, match="cannot release contact"):
            await ledger.release(claim.id for claim in claims)
        assert await ledger.claim(9, LATER - 1) == []
        again = await ledger.claim(9, LATER)
        assert again == [claims[0], claims[2]]
        assert [claim.due for claim in again] == [LATER] * 2


async def test_sends_of_another_campaign_to_the_same_conversation_are_known(path):
    """A ledger is shared: what one campaign left in doubt counts for the other."""
    async with await SqliteLedger.open(path, "other") as ledger:
        (claim,) = (await ledger.admit(batch(1), NOW, 1)).claims
        await ledger.intend(intent(claim))
        await ledger.settle(parked(claim, Reason.IN_DOUBT))
    async with await SqliteLedger.open(path, "c") as ledger:
        known = await ledger.known_effects(["conversation-0"], 0.0)
        assert [(item.id, item.step) for item in known.unsettled] == [(claim.id, Step.OPEN)]
        assert await ledger.due_in_doubt(9, LATER) == []


async def test_a_settled_doubt_keeps_the_time_that_the_platform_shows(path):
    """The lineage has the message's own time, not that of the intent."""
    async with await SqliteLedger.open(path, "c") as ledger:
        (claim,) = (await ledger.admit(batch(1), NOW, 1)).claims
        await ledger.intend(intent(claim))
        await ledger.mark_in_doubt(claim.id, NOW, Progress(sends=1))
        await ledger.settle(
            Settlement(
                claim.id, Status.OPENED, Reason.DELIVERED, LATER, Progress(sends=1),
                Relation.LINKED, "new-1", "m-1", "external", sent_at=NOW + 3,
            )
        )  # fmt: skip
        with LedgerReader(path, "c") as reader:
            (row,) = reader.lineage()
    assert (row.sent_at, row.message_id, row.external_contact_id) == (NOW + 3, "m-1", "external")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT look_at FROM contact").fetchone() == (None,)


async def test_what_the_first_version_parked_in_doubt_is_taken_up(path, monkeypatch):
    """It is in doubt again, due for a look at once; other parked contacts stay parked."""
    with monkeypatch.context() as first:
        first.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:1])
        schema.open_for_writing(path).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO campaign (id, name, created_at) VALUES (1, 'c', 0)")
        for number, reason in ((1, "in_doubt"), (2, "exhausted")):
            connection.execute(
                "INSERT INTO contact (id, campaign_id, status, reason, settled_at, intent_step,"
                " intent_at, intent_conversation_id, key, conversation_id, text_sha256, text)"
                " VALUES (?, 1, 'parked', ?, 5, 'notify', 4, 'c-1', ?, 'c-1', x'00', 'Hello')",
                (number, reason, f"key-{number}"),
            )
    async with await SqliteLedger.open(path, "c") as ledger:
        (doubt,) = await ledger.due_in_doubt(9, 0.0)
        assert (doubt.id, doubt.send.at, doubt.contact.text) == (1, 4.0, "Hello")
        assert (await ledger.recover()).in_doubt == 1
