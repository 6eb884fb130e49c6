"""Look-ups ahead of the writer: what they return, and that nothing depends on them."""

import asyncio
import sqlite3
import threading

import pytest

from dispatcher.domain.contact import Contact
from dispatcher.domain.decision import Notify
from dispatcher.domain.progress import NEW
from dispatcher.domain.status import Reason, Relation, SendBlock, Status, Step
from dispatcher.ledgers.codec import person_hash
from dispatcher.ledgers.ledger import SqliteLedger
from dispatcher.ledgers.write import index_staging, lookup_ahead
from dispatcher.ledgers.write.lookup_ahead import LookupAhead
from dispatcher.ports import Batch, Intent, LedgerError, Limits, Settlement

NOW = 1000.0
ENDED, SENDING, UNKNOWN = "ended", "sending", "unknown"


@pytest.fixture
def large(monkeypatch):
    """Every file counts as large."""
    monkeypatch.setattr(lookup_ahead, "MIN_FILE_BYTES", 0)


@pytest.fixture
async def ledger(tmp_path):
    """One person was written to, another one's send is on its way."""
    async with await SqliteLedger.open(tmp_path / "ledger.db", "c") as opened:
        claims = (await opened.admit(Batch(people(ENDED, SENDING)), NOW, 2)).claims
        for claim in claims:
            talk, who = claim.contact.conversation_id, claim.contact.external_contact_id
            await opened.intend(Intent(claim.id, Step.NOTIFY, Notify(talk), NOW, NEW, who))
        await opened.settle(
            Settlement(
                claims[0].id, Status.NOTIFIED, Reason.DELIVERED, NOW, NEW, Relation.NOTIFIED, talk
            )
        )
        yield opened


@pytest.fixture
async def reading(tmp_path):
    """What reads ahead in that ledger, by itself."""
    made = LookupAhead(tmp_path / "ledger.db")
    yield made
    await made.close()


def people(*names, prefix="key"):
    return [
        Contact(f"{prefix}-{name}", f"{prefix}-{name}", "Hello", external_contact_id=name)
        for name in names
    ]


async def hints(ledger):
    """Say what hinders the next contacts of the same people."""
    again = people(ENDED, SENDING, UNKNOWN, prefix="again")
    claims = (await ledger.admit(Batch(again), NOW, 9)).claims
    return [claim.block for claim in claims]


async def test_it_finds_the_people_who_got_a_message(large, ledger, reading):
    """Not who a send is on its way to: that one may end without a message."""
    again = people(ENDED, SENDING, UNKNOWN, prefix="again")
    assert (await reading.look_up(1, again)).reached == {person_hash(ENDED)}
    assert (await reading.look_up(2, again)).reached == set()
    assert (await reading.look_up(1, [Contact("k", "c", "Hello")])).reached == set()


async def test_it_finds_merged_keys_and_people(large, ledger, reading, monkeypatch):
    """Whether or not the send has ended; a campaign's keys are its own."""
    again = people(ENDED, SENDING, UNKNOWN)
    reading.merges = 3
    found = await reading.look_up(1, again)
    assert (found.merges, found.person_hashes) == (3, set())
    monkeypatch.setattr(index_staging, "MIN_STAGED", 0)
    await ledger._writer.job(index_staging.merge_staged)
    found = await reading.look_up(1, again)
    assert found.keys == {"key-ended", "key-sending"}
    assert found.person_hashes == {person_hash(ENDED), person_hash(SENDING)}
    assert found.reached == {person_hash(ENDED)}
    assert (await reading.look_up(2, again)).keys == set()


async def test_a_small_ledger_is_not_read_ahead(ledger, reading):
    """The writer asks by itself; no thread is started for it."""
    assert await reading.look_up(1, people(ENDED)) is None
    assert "ledger-ahead" not in " ".join(item.name for item in threading.enumerate())


@pytest.mark.parametrize("size", ["small", "large"])
async def test_an_admission_hints_the_same_with_and_without_it(request, size, ledger):
    """The platform need not be asked about people who got a message in the campaign."""
    if size == "large":
        request.getfixturevalue("large")
    assert await hints(ledger) == [SendBlock.SAME_PERSON, None, None]


@pytest.mark.parametrize("content", [None, b"no database at all" * 100])
async def test_a_file_that_cannot_be_read_is_left_to_the_writer(large, tmp_path, content):
    """The writer meets the fault, and reports it."""
    path = tmp_path / "other.db"
    if content:
        path.write_bytes(content)
    reading = LookupAhead(path)
    assert await reading.look_up(1, people(ENDED)) is None
    await reading.close()


async def test_one_reader_that_fails_leaves_the_asking_to_the_writer(
    large, ledger, reading, monkeypatch
):
    """Half an answer would be taken for the whole."""
    turns = iter([False, True])

    def look_up(*_, **named):
        if next(turns):
            raise sqlite3.OperationalError("disk I/O error")
        return frozenset(), frozenset(), frozenset({person_hash(ENDED)})

    monkeypatch.setattr(lookup_ahead, "_look_up", look_up)
    assert await reading.look_up(1, people(ENDED, SENDING)) is None


async def test_an_admission_that_is_cancelled_while_it_is_read_ahead(large, ledger, monkeypatch):
    """Nothing of it is written; the next one works, and so does the end."""
    entered, left, real = threading.Event(), threading.Event(), lookup_ahead._look_up

    def look_up(*arguments, **named):
        entered.set()
        left.wait(10)
        return real(*arguments, **named)

    monkeypatch.setattr(lookup_ahead, "_look_up", look_up)
    admitting = asyncio.ensure_future(ledger.admit(Batch(people(UNKNOWN)), NOW, 1))
    await asyncio.to_thread(entered.wait, 10)
    admitting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await admitting
    left.set()
    assert (await ledger.totals()).admitted == 2
    assert await hints(ledger) == [SendBlock.SAME_PERSON, None, None]


async def test_closing_ends_threads_and_leaves_no_log_behind(large, ledger, tmp_path):
    """As if nobody had read along; and what comes later is refused in plain words."""
    await hints(ledger)
    await ledger.close()
    await ledger.close()
    assert "ledger-ahead" not in " ".join(item.name for item in threading.enumerate())
    assert not (tmp_path / "ledger.db-wal").exists()
    with pytest.raises(LedgerError, match="it is closed"):
        await ledger.admit(Batch(people(UNKNOWN)), NOW, 1)


@pytest.mark.parametrize("size", ["small", "large"])
async def test_a_claim_hints_at_what_its_people_were_sent(request, size, ledger):
    """Written to in the campaign, a send on its way, and nothing; a claim is one of many."""
    if size == "large":
        request.getfixturevalue("large")
    again = people(ENDED, SENDING, UNKNOWN, prefix="again")
    await ledger.admit(Batch([*again, Contact("k", "c", "Hello")]), NOW, 0)
    claims = await ledger.claim(9, NOW)
    assert [claim.contact.key for claim in claims] == [*(item.key for item in again), "k"]
    hints = [claim.block for claim in claims]
    assert hints == [SendBlock.SAME_PERSON, SendBlock.BUSY, None, None]


async def test_a_claim_whose_people_cannot_be_looked_up_has_no_hints(ledger, monkeypatch):
    """It is answered all the same: the intents will ask again."""

    def hindered(*_):
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(lookup_ahead.claims, "blocked_by", hindered)
    await ledger.admit(Batch(people(ENDED, SENDING, prefix="again")), NOW, 0)
    claims = await ledger.claim(9, NOW)
    assert [claim.block for claim in claims] == [None, None]
    answers = await asyncio.gather(
        *(
            ledger.intend(
                Intent(
                    item.id, Step.NOTIFY, Notify(item.contact.conversation_id), NOW, NEW,
                    item.contact.external_contact_id, Limits(one_per_person=True),
                )
            )
            for item in claims
        )
    )  # fmt: skip
    assert answers == [SendBlock.SAME_PERSON, SendBlock.BUSY]
