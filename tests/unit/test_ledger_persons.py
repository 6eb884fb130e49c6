"""People in the SQLite ledger: one group of changes, and ledgers of the first version."""

import asyncio
import sqlite3

import pytest

from dispatcher.domain.contact import Contact
from dispatcher.domain.decision import Notify
from dispatcher.domain.progress import NEW
from dispatcher.domain.status import Reason, Relation, SendBlock, Status, Step
from dispatcher.ledgers.codec import person_hash
from dispatcher.ledgers.ledger import SqliteLedger
from dispatcher.ledgers.schema import APPLICATION_ID
from dispatcher.ledgers.statements import script
from dispatcher.ports import Batch, Intent, LedgerError, Limits, Settlement

NOW = 1000.0


@pytest.fixture
async def ledger(tmp_path):
    async with await SqliteLedger.open(tmp_path / "ledger.db", "c") as opened:
        yield opened


def intent(claim):
    who, decision = claim.contact.external_contact_id, Notify(claim.contact.conversation_id)
    return Intent(claim.id, Step.NOTIFY, decision, NOW, NEW, who, Limits(one_per_person=True))


def notified(claim):
    return Settlement(
        claim.id, Status.NOTIFIED, Reason.DELIVERED, NOW, NEW, relation=Relation.NOTIFIED
    )


def people(*names):
    return [
        Contact(f"key-{n}", f"talk-{n}", "Hello", external_contact_id=name)
        for n, name in enumerate(names)
    ]


@pytest.mark.parametrize("spoilt", [False, True])
async def test_intents_of_one_group_block_one_another(ledger, spoilt):
    """Of ten intents at once for five people one each begins, also where a change is refused."""
    names = [f"person-{n % 5}" for n in range(10)]
    claims = (await ledger.admit(Batch(people(*names)), NOW, 10)).claims
    wrong = [ledger.retract(99)] if spoilt else []
    answers = await asyncio.gather(
        *(ledger.intend(intent(claim)) for claim in claims), *wrong, return_exceptions=True
    )
    assert answers[:10] == [None] * 5 + [SendBlock.BUSY] * 5
    assert all(isinstance(answer, LedgerError) for answer in answers[10:])
    await asyncio.gather(*(ledger.settle(notified(claim)) for claim in claims[:5]))
    again = await asyncio.gather(*(ledger.intend(intent(claim)) for claim in claims[5:]))
    assert again == [SendBlock.SAME_PERSON] * 5


async def test_a_settlement_before_the_intent_in_the_same_group(ledger):
    """The changes of a group are judged in their order: what is settled is waited for no more."""
    first, second = (await ledger.admit(Batch(people("a", "a")), NOW, 2)).claims
    await ledger.intend(intent(first))
    answers = await asyncio.gather(ledger.settle(notified(first)), ledger.intend(intent(second)))
    assert answers == [None, SendBlock.SAME_PERSON]


async def test_the_first_versions_doubts_hold_their_people(tmp_path):
    """A contact that an old ledger parked in doubt blocks the person's other contacts."""
    path = tmp_path / "ledger.db"
    old = sqlite3.connect(path)
    old.executescript(script("schema.sql"))
    old.executescript(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 1;")
    old.execute("INSERT INTO campaign (name, created_at) VALUES ('old', 0)")
    old.execute(
        "INSERT INTO contact (campaign_id, status, reason, intent_at, key, conversation_id,"
        " external_contact_id, text_sha256)"
        " VALUES (1, 'parked', 'in_doubt', 5, 'k', 'talk', 'a', x'')"
    )
    old.execute(
        "INSERT INTO contact (campaign_id, status, due, key, conversation_id,"
        " external_contact_id, text_sha256, text)"
        " VALUES (1, 'ready', 1, 'k2', 'talk-2', 'b', x'', 'Hello')"
    )
    old.commit()
    old.close()
    async with await SqliteLedger.open(path, "new") as ledger:
        same, other = (await ledger.admit(Batch(people("a", "b")), NOW, 2)).claims
        assert await ledger.intend(intent(same)) is SendBlock.BUSY
        assert await ledger.intend(intent(other)) is None
    with sqlite3.connect(path) as after:
        persons = [person for (person,) in after.execute("SELECT person FROM contact ORDER BY id")]
    after.close()
    assert persons[:2] == [person_hash("a"), person_hash("b")]
