"""Reading a ledger from outside: right, short, and in nobody's way."""

import asyncio
import sqlite3
from contextlib import closing

import pytest

from dispatcher.domain.contact import Contact, RejectedRow
from dispatcher.domain.conversation import Target
from dispatcher.domain.decision import Notify, Open
from dispatcher.domain.progress import Progress
from dispatcher.domain.status import Reason, Relation, Status, Step
from dispatcher.ledgers.ledger import SqliteLedger
from dispatcher.ledgers.read import pages
from dispatcher.ledgers.read import reader as reader_module
from dispatcher.ports import Batch, CommandError, Intent, LedgerError, Settlement, Stream
from tests.support.ledger_reader import LedgerReader, read_status

NOW = 1000.0


def contacts(count, start=0):
    numbers = range(start, start + count)
    return [
        Contact(f"key-{n}", f"conversation-{n}", "Hello", attributes={"cart": str(n)})
        for n in numbers
    ]


async def deliver(ledger, claim):
    decision = Open(Target("guest", is_guest_id=True), "external", claim.contact.conversation_id)
    progress = Progress(attempts=2, sends=3)
    await ledger.intend(Intent(claim.id, Step.OPEN, decision, NOW + 1, progress))
    await ledger.settle(
        Settlement(
            claim.id,
            Status.OPENED,
            Reason.DELIVERED,
            NOW + 2,
            progress,
            relation=Relation.LINKED,
            conversation_id=f"new-{claim.id}",
            message_id=f"message-{claim.id}",
            external_contact_id="external",
            state_seen="ended",
            state_at=NOW + 0.5,
            correlation_id="correlation",
        )
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.db"


async def test_status_while_a_daemon_runs_and_when_none_does(path):
    """The same answer from the running ledger, from outside, and from the closed file."""
    stream = Stream("file", "fingerprint", "10", 3, done=True)
    async with await SqliteLedger.open(path, "c") as ledger:
        claims = (await ledger.admit(Batch(contacts(5), stream=stream), NOW, 2)).claims
        await deliver(ledger, claims[0])
        inside = (await ledger.totals(), await ledger.backlog(NOW), await ledger.streams())
        (running,) = read_status(path, now=NOW)
    (closed,) = read_status(path, "c", now=NOW)
    assert running == closed
    assert (running.totals, running.backlog, running.streams) == inside
    assert running.campaign == "c"


async def test_status_of_several_campaigns(path):
    """Without a name all are returned, in the order in which they were added."""
    for name, count in (("one", 1), ("two", 2)):
        async with await SqliteLedger.open(path, name) as ledger:
            await ledger.admit(Batch(contacts(count)), NOW, 0)
    statuses = read_status(path, now=NOW)
    assert [(item.campaign, item.totals.admitted) for item in statuses] == [("one", 1), ("two", 2)]
    with pytest.raises(CommandError, match="'three' is not in the ledger; it holds: one, two"):
        read_status(path, "three", now=NOW)


async def test_a_closed_ledger_in_a_directory_that_is_read_only(path, monkeypatch):
    """Where the shared memory cannot be made, a ledger at rest is read as it lies there."""
    await (await SqliteLedger.open(path, "c")).close()
    real = sqlite3.connect

    def connect(name, **more):
        if "immutable" not in name:
            raise sqlite3.OperationalError("unable to open database file")
        return real(name, **more)

    monkeypatch.setattr(reader_module.sqlite3, "connect", connect)
    (status,) = read_status(path, now=NOW)
    assert status.totals.rows == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there is no such file"),
        (b"", "older version or empty"),
        (b"not a database" * 500, "not a SQLite database"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(path, content, words):
    """No ledger, an empty file, another kind of file: words, and nothing is made."""
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LedgerError, match=words):
        read_status(path, now=NOW)
    assert path.exists() == (content is not None)


async def test_lineage_in_the_order_of_the_commits(path, monkeypatch):
    """Each message once with all it continues, in pages, and from a cursor on."""
    monkeypatch.setattr(pages, "PAGE_ROWS", 2)
    async with await SqliteLedger.open(path, "c") as ledger:
        claims = (await ledger.admit(Batch(contacts(5)), NOW, 5)).claims
        for claim in reversed(claims):
            await deliver(ledger, claim)
    with LedgerReader(path, "c") as reader:
        rows = list(reader.lineage())
        assert [item.contact_key for item in rows] == [f"key-{n}" for n in (4, 3, 2, 1, 0)]
        assert list(reader.lineage(after=rows[2].id)) == rows[3:]
    row = rows[0]
    assert (row.campaign, row.previous_conversation_id) == ("c", "conversation-4")
    assert (row.conversation_id, row.message_id) == ("new-5", "message-5")
    assert (row.relation, row.reason) == (Relation.LINKED, Reason.DELIVERED)
    assert (row.state_seen, row.state_at) == ("ended", NOW + 0.5)
    assert (row.sent_at, row.settled_at) == (NOW + 1, NOW + 2)
    assert (row.attempts, row.sends, row.external_contact_id) == (2, 3, "external")
    assert (row.correlation_id, row.attributes) == ("correlation", {"cart": "4"})


async def test_rejected_rows_are_kept_as_they_came(path):
    """File, line, reason and the raw bytes, also those that are not UTF-8."""
    bad = [
        RejectedRow("f.csv", n, "bad_date", "detail", b"\xff\x00;\n" + bytes([n]))
        for n in range(200)
    ]
    async with await SqliteLedger.open(path, "c") as ledger:
        await ledger.admit(Batch([], bad), NOW, 0)
    with LedgerReader(path, "c") as reader:
        rows = list(reader.rejected())
    assert [RejectedRow(r.file, r.line, r.reason, r.detail, r.raw) for r in rows] == bad
    assert {item.at for item in rows} == {NOW}


async def test_contacts_by_status(path):
    """Each status has its contacts, with what an operator asks for."""
    async with await SqliteLedger.open(path, "c") as ledger:
        claims = (await ledger.admit(Batch(contacts(4)), NOW, 3)).claims
        await deliver(ledger, claims[0])
        notify = Notify("conversation-1")
        await ledger.intend(Intent(claims[1].id, Step.NOTIFY, notify, NOW, Progress(sends=1)))
    with LedgerReader(path, "c") as reader:
        found = {status: [item.key for item in reader.contacts(status)] for status in Status}
        (sending,) = reader.contacts(Status.SENDING)
    assert {status: keys for status, keys in found.items() if keys} == {
        Status.OPENED: ["key-0"],
        Status.SENDING: ["key-1"],
        Status.CLAIMED: ["key-2"],
        Status.READY: ["key-3"],
    }
    assert (sending.intent_step, sending.intent_conversation_id) == (Step.NOTIFY, "conversation-1")
    assert (sending.intent_target, sending.progress) == (None, Progress(sends=1))


async def test_readers_see_sums_that_add_up_during_writes(path):
    """Whenever it is read, the status is that of one moment, and the writer goes on."""
    async with await SqliteLedger.open(path, "c") as ledger:
        writing = asyncio.ensure_future(keep_writing(ledger))
        statuses = []
        while not writing.done():
            statuses += await asyncio.to_thread(read_status, path, now=NOW)
        await writing
        statuses += read_status(path, now=NOW)
    for status in statuses:
        totals, backlog = status.totals, status.backlog
        assert totals.rows == totals.admitted == sum(totals.by_status.values())
        assert totals.by_status.get((Status.READY, None), 0) == backlog.due + backlog.later
    assert statuses[-1].totals.by_status == {(Status.OPENED, Reason.DELIVERED): 400}


async def keep_writing(ledger):
    for start in range(0, 400, 40):
        claims = (await ledger.admit(Batch(contacts(40, start)), NOW, 40)).claims
        await asyncio.gather(*(deliver(ledger, claim) for claim in claims))


async def test_a_reader_does_not_hold_up_the_checkpoint(path):
    """With a reader open and idle, the whole log can be carried over and cut."""
    async with await SqliteLedger.open(path, "c") as ledger:
        await ledger.admit(Batch(contacts(200)), NOW, 0)
        with LedgerReader(path, "c") as reader, closing(sqlite3.connect(path)) as other:
            assert len(list(reader.contacts(Status.READY))) == 200
            result = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            assert result == (0, 0, 0)
