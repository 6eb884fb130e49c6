"""Staged rows: they are merged while the writer is idle, and are found before and after it."""

import asyncio
import sqlite3
import threading
from contextlib import closing

import pytest

from dispatcher.domain.contact import Contact
from dispatcher.domain.decision import Notify
from dispatcher.domain.progress import NEW
from dispatcher.domain.status import Reason, Relation, SendBlock, Status, Step
from dispatcher.ledgers import schema
from dispatcher.ledgers.codec import person_hash
from dispatcher.ledgers.ledger import SqliteLedger
from dispatcher.ledgers.maintenance.prune import prune
from dispatcher.ledgers.write import admission, index_staging, lookup_ahead
from dispatcher.ledgers.write.admission import LookupResult
from dispatcher.ledgers.write.lookup_ahead import LookupAhead
from dispatcher.ports import Batch, Claim, Intent, LedgerError, Limits, Settlement
from dispatcher.ports.care import PruneOrder

NOW = 1000.0
NOBODY = frozenset[str]()
SIZES = pytest.mark.parametrize("size", ["small", "large"], indirect=True)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.db"


@pytest.fixture
async def ledger(path):
    async with await SqliteLedger.open(path, "c", now=lambda: NOW) as opened:
        yield opened


@pytest.fixture
def size(request, monkeypatch):
    """Whether the ledger counts as large, so that it is looked up ahead."""
    if request.param == "large":
        monkeypatch.setattr(lookup_ahead, "MIN_FILE_BYTES", 0)


@pytest.fixture
def at_once(monkeypatch):
    """Every staged row is to be merged."""
    monkeypatch.setattr(index_staging, "MIN_STAGED", 0)


def contact(key, person=None):
    return Contact(key, f"talk-{key}", "Hello", external_contact_id=person)


async def admit(ledger, *contacts):
    return (await ledger.admit(Batch(contacts), NOW, 9)).claims


async def send(ledger, claim, *, cap=0):
    """Intend a message to the contact's person; return what blocks it."""
    talk, who = claim.contact.conversation_id, claim.contact.external_contact_id
    limits = Limits(one_per_person=not cap, cap=cap, cap_since=0.0)
    return await ledger.intend(Intent(claim.id, Step.NOTIFY, Notify(talk), NOW, NEW, who, limits))


async def deliver(ledger, claim):
    assert await send(ledger, claim) is None
    talk = claim.contact.conversation_id
    await ledger.settle(
        Settlement(
            claim.id, Status.NOTIFIED, Reason.DELIVERED, NOW, NEW, Relation.NOTIFIED, talk,
            f"message-{claim.id}", claim.contact.external_contact_id,
        )
    )  # fmt: skip


def places(path):
    """Count staged rows and merged rows: of contacts, then of people."""
    with closing(sqlite3.connect(path)) as connection:
        return [
            connection.execute(
                f"SELECT COALESCE(SUM(lately), 0), COALESCE(SUM(NOT lately), 0) FROM {table}"
            ).fetchone()
            for table in ("contact", "reached")
        ]


async def until(true):
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - another thread merges, and sends no signal
            await asyncio.sleep(0.005)


async def test_an_idle_writer_merges_rows_until_few_are_staged(ledger, path, monkeypatch):
    """In batches; the last few stay staged."""
    monkeypatch.setattr(index_staging, "MIN_STAGED", 2)
    monkeypatch.setattr(index_staging, "MERGE_BATCH", 3)
    for claim in await admit(ledger, *(contact(f"k{n}", f"p{n}") for n in range(9))):
        await deliver(ledger, claim)
    await until(lambda: places(path)[0][0] <= 2 and places(path)[1][0] <= 2)
    moved = [old for _, old in places(path)]
    await ledger.backlog(NOW)
    await asyncio.sleep(0.05)
    assert [old for _, old in places(path)] == moved


async def test_few_rows_stay_staged(ledger, path):
    """In a small ledger they share pages anyway."""
    await admit(ledger, contact("a", "p"))
    assert await ledger._writer.job(index_staging.merge_staged) is False
    assert places(path)[0] == (1, 0)


@SIZES
async def test_a_key_is_known_before_and_after_the_merge(size, ledger, path, at_once):
    """A row that comes again is a duplicate either way; in another campaign it is new."""
    await admit(ledger, contact("a"))
    other = await ledger.for_campaign("other")
    for _ in range(2):
        again = await ledger.admit(Batch([contact("a"), contact("a")]), NOW, 9)
        assert (again.admitted, again.duplicates) == (0, 2)
        await until(lambda: places(path)[0][0] == 0)
    assert (await other.admit(Batch([contact("a")]), NOW, 9)).admitted == 1


@SIZES
async def test_a_person_is_known_before_and_after_the_merge(size, ledger, path, at_once):
    """For contacts admitted before the message, before the merge, and after it."""
    first, before, between = await admit(ledger, *(contact(key, "p") for key in "abc"))
    await deliver(ledger, first)
    assert await send(ledger, before) is SendBlock.SAME_PERSON
    await ledger._writer.job(index_staging.merge_staged)
    assert places(path) == [(0, 3), (0, 1)]
    assert await send(ledger, between) is SendBlock.SAME_PERSON
    (after,) = await admit(ledger, contact("d", "p"))
    assert after.block is SendBlock.SAME_PERSON
    assert await send(ledger, after) is SendBlock.SAME_PERSON


@SIZES
async def test_a_cap_counts_staged_and_merged_rows(size, ledger, at_once):
    """One message is merged, one is staged."""
    first, second, third = await admit(ledger, *(contact(key, key) for key in "abc"))
    claims = await admit(ledger, *(contact(f"{n}", "p") for n in range(4)))
    for number, claim in enumerate(claims[:2]):
        assert await send(ledger, claim, cap=2) is None
        await ledger.settle(
            Settlement(claim.id, Status.NOTIFIED, Reason.DELIVERED, NOW, NEW, Relation.NOTIFIED)
        )
        if not number:
            await ledger._writer.job(index_staging.merge_staged)
    assert await send(ledger, claims[2], cap=2) is SendBlock.CAPPED
    assert await send(ledger, claims[3], cap=3) is None
    assert [await send(ledger, claim) for claim in (first, second, third)] == [None, None, None]


async def test_a_send_that_ends_without_a_message_frees_its_person_after_a_merge(ledger, at_once):
    """The merged row is removed, too."""
    first, second = await admit(ledger, contact("a", "p"), contact("b", "p"))
    assert await send(ledger, first) is None
    await ledger._writer.job(index_staging.merge_staged)
    assert await send(ledger, second) is SendBlock.BUSY
    await ledger.retract(first.id)
    assert await send(ledger, second) is None


async def test_pruning_keeps_one_row_of_a_merged_person(ledger, path, at_once):
    """A staged one beside it would be counted twice by a cap."""
    first, newest = await admit(ledger, contact("a", "p"), contact("b", "q"))
    await deliver(ledger, first)
    await deliver(ledger, newest)
    await ledger._writer.job(index_staging.merge_staged)
    with closing(schema.open_for_writing(path)) as connection:
        assert prune(connection, PruneOrder(NOW + 1)).contacts == 1
    assert places(path)[1] == (0, 2)


async def test_a_merge_that_fails_changes_nothing(ledger, path, at_once, monkeypatch):
    """The next operation that meets the fault reports it."""
    wrong = (
        "INSERT INTO reached (lately, person, contact_id, campaign_id, at) VALUES (7, ?, ?, 1, 1)"
    )
    monkeypatch.setitem(index_staging.SQL, "merge_people", wrong)
    (claim,) = await admit(ledger, contact("a", "p"))
    await deliver(ledger, claim)
    with pytest.raises(LedgerError, match="CHECK constraint failed"):
        await ledger._writer.job(index_staging.merge_staged)
    await asyncio.sleep(0.05)  # the idle writer tries it, too
    assert places(path) == [(1, 0), (1, 0)]
    assert (await ledger.backlog(NOW)).claimed_or_sending == 0


@pytest.fixture
def slow_look(monkeypatch):
    """A look-up that has read, and waits for an event before it returns."""
    read, released, real = threading.Event(), threading.Event(), lookup_ahead._look_up

    def look_up(*arguments, **named):
        result = real(*arguments, **named)
        read.set()
        released.wait(10)
        return result

    monkeypatch.setattr(lookup_ahead, "MIN_FILE_BYTES", 0)
    monkeypatch.setattr(lookup_ahead, "_look_up", look_up)
    return read, released


async def test_a_look_up_from_before_a_merge_is_not_trusted(ledger, path, at_once, slow_look):
    """Its key and its person were merged meanwhile."""
    read, released = slow_look
    again = asyncio.ensure_future(ledger.admit(Batch([contact("a"), contact("b", "p")]), NOW, 9))
    await asyncio.to_thread(read.wait, 10)
    # as another campaign's or an earlier batch's admission does, which looked before this one
    claiming = admission.ClaimOptions(NOW, 9)
    batch = Batch([contact("a"), contact("c", "p")])
    first = await ledger._writer.job(
        lambda connection: admission.admit(connection, 1, iter((101, 102)), batch, claiming)
    )
    await deliver(ledger, first.claims[1])
    await until(lambda: places(path) == [(0, 2), (0, 1)])
    released.set()
    admitted = await again
    assert (admitted.admitted, admitted.duplicates) == (1, 1)
    assert await send(ledger, admitted.claims[0]) is SendBlock.SAME_PERSON


@SIZES
async def test_a_key_of_any_characters_is_known_again(size, ledger, path, at_once):
    """One that a string of SQLite's functions would end in among them."""
    await admit(ledger, contact("a\0b"))
    await until(lambda: places(path)[0][0] == 0)
    assert (await ledger.admit(Batch([contact("a\0b")]), NOW, 9)).duplicates == 1


async def test_a_merge_that_stays_open_fails_the_ledger(ledger, path, at_once, monkeypatch):
    """Else the next group would be taken for committed inside of what stayed open."""
    admitted, opened = threading.Event(), threading.Event()

    def move(connection):
        if not admitted.is_set():
            return True
        connection.execute("BEGIN IMMEDIATE")
        opened.set()
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(index_staging, "merge_staged", move)
    (claim,) = await admit(ledger, contact("a", "p"))
    admitted.set()
    assert await asyncio.to_thread(opened.wait, 30)
    with pytest.raises(LedgerError, match="disk I/O error"):
        await send(ledger, claim)
    with pytest.raises(LedgerError):
        await ledger.backlog(NOW)


def lookup(*people, merges=3):
    return LookupResult(merges, NOBODY, frozenset(map(person_hash, people)), NOBODY)


def absent_after(large, id_, person):
    return large.pop_absence(Intent(id_, Step.NOTIFY, Notify("talk"), NOW, NEW, person))


def test_a_person_is_absent_if_it_was_looked_up_and_not_found(path):
    """Under the same id: the platform may have named another one since."""
    large = LookupAhead(path)
    claims = [Claim(1, contact("a", "p")), Claim(2, contact("b", "q")), Claim(3, contact("c"))]
    large.remember_absent(claims, lookup("q"))
    assert absent_after(large, 1, "p") == 3
    assert absent_after(large, 1, "p") is None, "once"
    others = [(2, "q"), (3, None), (4, "p")]
    assert [absent_after(large, *other) for other in others] == [None] * 3
    large.remember_absent(claims, lookup())
    assert absent_after(large, 1, "another") is None


def test_absent_people_without_an_intent_are_forgotten(path, monkeypatch):
    """They would accumulate for as long as the daemon runs."""
    monkeypatch.setattr(lookup_ahead, "MAX_ABSENT", 2)
    large = LookupAhead(path)
    for number in range(5):
        large.remember_absent([Claim(number, contact(f"{number}", "p"))], lookup())
    after = [absent_after(large, number, "p") for number in range(5)]
    assert after == [None, None, None, 3, 3]


COLUMNS = {
    "campaign_id": 1, "key": "k", "conversation_id": "talk", "external_contact_id": "p",
    "person": person_hash("p"), "not_before": 1.0, "expires_at": 9e9, "progress": '{"sends":1}',
    "intent_step": "notify", "intent_at": 5.0, "intent_conversation_id": "talk",
    "intent_external_contact_id": "p", "intent_target": "guest", "intent_target_is_guest_id": 1,
    "correlation_id": "c-1", "words": "words", "text_sha256": b"\x01", "attributes": "{}",
    "subject": "subject", "address": "address", "text": "text", "story": "[1]",
}  # fmt: skip
"""What a contact of the version before had, in whatever status."""


async def test_a_ledger_of_the_version_before_is_carried_over_whole(path, monkeypatch):
    """All its rows count as merged; contacts in doubt and reached people stay so."""
    with monkeypatch.context() as before:
        before.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:2])
        with closing(schema.open_for_writing(path)) as connection:
            connection.execute("INSERT INTO campaign (name, created_at, admitted) VALUES ('c',0,2)")
            insert(connection, id=1, status="in_doubt", look_at=7.0)
            insert(connection, id=2, key="l", status="notified", reason="delivered", settled_at=8.0)
            connection.execute("INSERT INTO reached SELECT person, id, 1, 5.0 FROM contact")
            connection.execute(
                "INSERT INTO lineage (contact_id, relation, sent_at, correlation_id)"
                " VALUES (2, 'notified', 5.0, '')"
            )
            columns = [name for _, name, *_ in connection.execute("PRAGMA table_info (contact)")]
            listed = f"SELECT {','.join(columns)} FROM contact"
            held = connection.execute(listed).fetchall()
    with closing(schema.open_for_writing(path)) as connection:
        assert connection.execute(listed).fetchall() == held
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("SELECT contact_key FROM lineage_row").fetchall() == [("l",)]
    assert places(path) == [(0, 2), (0, 2)]
    async with await SqliteLedger.open(path, "c", now=lambda: NOW) as ledger:
        assert (await ledger.recover()).in_doubt == 1
        assert (await ledger.admit(Batch([contact("k")]), NOW, 9)).duplicates == 1
        (claim,) = await admit(ledger, contact("m", "p"))
        assert await send(ledger, claim) is SendBlock.BUSY


def insert(connection, **values):
    row = {**COLUMNS, **values}
    marks = ",".join("?" * len(row))
    connection.execute(f"INSERT INTO contact ({','.join(row)}) VALUES ({marks})", [*row.values()])
