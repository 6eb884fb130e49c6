"""Copies of ledgers between a file and a real PostgreSQL: kills, refusals, cursors, and back."""

import asyncio
import sqlite3
import time
from contextlib import closing
from dataclasses import replace

import pytest

from dispatcher.domain.contact import Contact
from dispatcher.domain.status import SendBlock
from dispatcher.ledgers.codec import key_hash, person_as_spelled
from dispatcher.ledgers.copying import copy as copying
from dispatcher.ledgers.copying.file_copy_ledger import FileCopyLedger
from dispatcher.ledgers.copying.tables import TABLES
from dispatcher.ledgers.exclusive import ExclusiveLedger
from dispatcher.ledgers.ledger import SqliteLedger
from dispatcher.ledgers.lock import LedgerLock
from dispatcher.ledgers.maintenance.backup import back_up
from dispatcher.ledgers.maintenance.integrity import check_integrity
from dispatcher.ledgers.moves import Move, MovedLedgerError
from dispatcher.ledgers.operator_store import SqliteOperatorStore
from dispatcher.ledgers.postgres import server_copy_ledger
from dispatcher.ledgers.postgres.address import connect
from dispatcher.ledgers.postgres.dry_run_view import PostgresDryRunView
from dispatcher.ledgers.postgres.leases import register
from dispatcher.ledgers.postgres.migrations import check_schema
from dispatcher.ledgers.postgres.operator_lineage import operator_lineage_log
from dispatcher.ledgers.postgres.operator_store import PostgresOperatorStore
from dispatcher.ledgers.postgres.statements import transaction
from dispatcher.ledgers.postgres.store import PostgresStore
from dispatcher.ledgers.registration import CopiedLedgerError
from dispatcher.ledgers.schema import open_for_writing
from dispatcher.ports import Batch, CommandError, LedgerError, LedgerLockedError
from dispatcher.ports.questions import BEGINNING, LineageRows, StatusOf
from dispatcher.ports.sink import SinkError
from dispatcher.sinks.ranges import RangeSender
from dispatcher.sinks.sql_target import SqlTable, SqlTarget
from tests.support import rich_ledger
from tests.support.copy_kills import NOW, STEPS, copy, killed_copy, open_end, small_batches
from tests.support.random_ledgers import whole_content, write_ledger
from tests.support.servers.shared import on

pytestmark = on("postgres_server")
SHORT = {"target.mark.after", "source.mark.after", "target.write.inside 2", "target.arrive.before"}
"""Steps that `make test` plays, too."""


def few_in_short(steps):
    """Return the steps as parameters; those that are not short are long."""
    return [step if step in SHORT else pytest.param(step, marks=pytest.mark.long) for step in steps]


@pytest.fixture
def other(ledger_databases):
    address = ledger_databases.create_empty()
    yield address
    ledger_databases.drop(address)


def contact(id_, status="ready", **more):
    final = status not in ("ready", "claimed", "sending", "in_doubt")
    sent = status in ("sending", "in_doubt")
    return {
        "id": id_,
        "campaign_id": 1,
        "status": status,
        "due": NOW if status == "ready" else None,
        "reason": "delivered" if final else None,
        "settled_at": NOW if final else None,
        "look_at": NOW if status == "in_doubt" else None,
        "intent_step": "open" if sent else None,
        "intent_at": NOW if sent else None,
        "key": f"k{id_}",
        "conversation_id": f"c{id_}",
        "person": f"p{id_}",
        "text_sha256": bytes(32),
        "text": None if final else "Hello",
        **more,
    }


def lineage(id_, contact_id=None):
    return {
        "id": id_,
        "contact_id": contact_id or id_,
        "relation": "notified",
        "message_id": f"m{id_}",
        "sent_at": NOW,
        "correlation_id": "x",
    }


def ledger_tables(*contacts, links=(), sinks=()):
    return {
        "campaign": [
            {"id": 1, "name": "one", "created_at": NOW, "rows_read": 9, "admitted": 9},
            {"id": 2, "name": "two", "created_at": NOW, "paused_at": NOW},
        ],
        "contact": list(contacts),
        "lineage": list(links),
        "reached": [
            {"person": row["person"], "contact_id": row["id"], "campaign_id": 1, "at": NOW}
            for row in contacts
            if row["person"] and row["status"] in ("sending", "in_doubt", "notified")
        ],
        "sink": list(sinks),
        "settled_sum": [
            {"campaign_id": 1, "status": "notified", "reason": "delivered", "contacts": 4}
        ],
        "pruned": [{"campaign_id": 1, "key_hash": "h"}],
    }


@pytest.fixture
def file(tmp_path):
    """A ledger with contacts in each status, as a run leaves them that was killed."""
    path = tmp_path / "ledger.db"
    statuses = ["ready", "claimed", "sending", "in_doubt", *["notified"] * 4]
    contacts = [contact(id_, status) for id_, status in enumerate(statuses, 1)]
    write_ledger(path, ledger_tables(*contacts, links=[lineage(id_) for id_ in range(5, 9)]))
    return path


def is_usable(place):
    """Whether a run would accept the ledger."""
    try:
        if hasattr(place, "url"):
            with closing(connect(place)) as connection:
                return check_schema(connection, place)
        if not place.exists():
            return False
        ExclusiveLedger.open(place).close()
    except MovedLedgerError:
        return False
    return True


@pytest.mark.parametrize("step", few_in_short(STEPS))
def test_a_copy_that_is_killed_anywhere_goes_on(tmp_path, file, address, step):
    """Into the database, and back into a file; never can both ledgers be used."""
    assert is_usable(file)
    back = tmp_path / "back.db"
    with small_batches():
        for source, target in ((file, address), (address, back)):
            assert killed_copy(source, target, step)
            is_untouched = step == "target.mark.before"
            assert is_untouched or not (is_usable(source) and is_usable(target))
            copied = copy(source, target)
            assert (is_usable(source), is_usable(target)) == (False, True)
            assert copied.rows["contact"] == 8
            assert copied.was_complete == (step == "target.arrive.after")
            assert copy(source, target).was_complete
    assert whole_content(back) == whole_content(file)


OF_RUNS = {"store", "daemon", "lease", "held", "unsettled", "ready", "move", "moved_cursor"}
"""Tables of a database that are of the place or of runs, or that the contacts fill."""
OF_A_DATABASE = {"contact": {"kept"}, "lineage": {"x"}, "sink": {"daemon_id"}}
OF_SMALL_TABLES = {"contact": {"look_at", "due"}}
"""Columns that the contacts of a file have."""


def test_every_table_and_column_of_a_database_is_copied(address):
    """A new one must be added to tables.py, or here if it belongs to the place."""
    with closing(connect(address)) as connection:
        rows = connection.execute(
            "SELECT table_name, column_name FROM information_schema.columns "
            "INNER JOIN information_schema.tables USING (table_schema, table_name) "
            "WHERE table_schema = 'dispatcher' AND table_type = 'BASE TABLE'"
        ).fetchall()
    found = {}
    for table, column in rows:
        found.setdefault(table, set()).add(column)
    assert set(found) - OF_RUNS == {table.name for table in TABLES}
    for table in TABLES:
        own = OF_A_DATABASE.get(table.name, set())
        moved = OF_SMALL_TABLES.get(table.name, set())
        assert found[table.name] - own == set(table.columns) - moved


def test_what_is_in_flight_is_taken_up_as_the_next_run_would(file, address):
    """Claimed contacts are ready again, sending ones in doubt: nobody gets a second message."""
    prepared = copy(file, address).prepared
    assert (prepared.released, prepared.doubted, prepared.parked) == (1, 1, 0)
    with closing(connect(address)) as connection:
        found = connection.execute(
            "SELECT id, status, look_at FROM dispatcher.contact_now ORDER BY id LIMIT 4"
        ).fetchall()
        held = connection.execute("SELECT count(*) FROM dispatcher.held").fetchone()
        new = connection.execute("SELECT nextval('dispatcher.contact_id_seq')").fetchone()
    assert found == [
        (1, "ready", None),
        (2, "ready", None),
        (3, "in_doubt", NOW),
        (4, "in_doubt", NOW),
    ]
    assert (held, new) == ((0,), (9,))


def test_a_second_doubt_of_a_conversation_or_person_is_parked(tmp_path, address):
    """A database permits one at a time; a parked one waits for a person, and is not sent."""
    path = tmp_path / "ledger.db"
    doubts = [
        contact(1, "in_doubt"),
        contact(2, "in_doubt", conversation_id="c1"),
        contact(3, "in_doubt", person="p1"),
        contact(4, "in_doubt", person=None),
        contact(5, "in_doubt", person=None),
    ]
    write_ledger(path, ledger_tables(*doubts))
    assert copy(path, address).prepared.parked == 2
    with closing(connect(address)) as connection:
        found = connection.execute(
            "SELECT id, status, reason, kept FROM dispatcher.contact_now ORDER BY id"
        ).fetchall()
        sums = connection.execute(
            "SELECT contacts FROM dispatcher.settled_sum WHERE status = 'parked'"
        ).fetchall()
        reached = connection.execute("SELECT count(*) FROM dispatcher.reached").fetchone()
    assert found == [
        (1, "in_doubt", None, None),
        (2, "parked", "in_doubt", True),
        (3, "parked", "in_doubt", True),
        (4, "in_doubt", None, None),
        (5, "in_doubt", None, None),
    ]
    assert (sums, reached) == ([(2,)], (3,))


def test_a_ledger_that_runs_have_written_there_and_back(tmp_path, address):
    """Every row of every table is the same, both are sound, and both give the same answers."""
    path, back = tmp_path / "ledger.db", tmp_path / "back.db"
    asyncio.run(rich_ledger.make(path))
    copied = copy(path, address)
    assert all(copied.rows.values())
    copy(address, back)
    assert whole_content(back) == whole_content(path)
    stores = SqliteOperatorStore(back), PostgresOperatorStore(address)
    for store in stores:
        assert [finding.name for finding in store.verify() if finding.count] == []
    assert stores[0].look(StatusOf(None, NOW)) == stores[1].look(StatusOf(None, NOW))


async def test_a_restored_database_begins_an_era(tmp_path, address):
    """Rows of a server that has counted more transactions are seen at once; sinks go on."""
    path = tmp_path / "ledger.db"
    await rich_ledger.make(path)
    file = SqliteOperatorStore(path)
    rows = file.page(LineageRows(), BEGINNING).rows
    copy(path, address)
    sink = "SELECT cursor FROM dispatcher.sink WHERE name = 'warehouse' AND part = 'rows'"
    with closing(connect(address)) as connection:
        (id_,) = connection.execute(sink).fetchone()
        (era,) = connection.execute("SELECT era FROM dispatcher.store").fetchone()
        moved = f"{era}-4000000000-{id_}"
        connection.execute("UPDATE dispatcher.lineage SET x = '4000000000'")
        connection.execute("UPDATE dispatcher.store SET location = 'restored'")
        connection.execute("UPDATE dispatcher.sink SET cursor = %s WHERE part = 'rows'", (moved,))
    reader = PostgresOperatorStore(address)
    assert reader.page(LineageRows(), BEGINNING).rows == []
    with pytest.raises(LedgerError, match="--adopt"):
        await PostgresStore.open(address)
    store = await PostgresStore.open(address, adopt=True)
    assert "restored" in store.adopted
    assert reader.page(LineageRows(), BEGINNING).rows == rows
    place = await store.lineage_log().sink_place("warehouse", "rows")
    rest = reader.page(LineageRows(), place.cursor).rows
    assert [row.id for row in rest] == [row.id for row in rows if row.id > int(id_)]
    await store.close()
    with pytest.raises(ValueError, match="earlier state of this ledger"):
        reader.page(LineageRows(), moved)


def test_a_file_that_is_a_copy_is_no_source(tmp_path, file, address):
    """A backup is accepted first: what was sent since then is not in it."""
    backup = tmp_path / "backup.db"
    back_up(file, backup)
    with pytest.raises(CopiedLedgerError, match="it is a backup"):
        copy(backup, address)


def test_a_database_that_is_a_copy_is_no_source(tmp_path, file, address, ledger_databases):
    copy(file, address)
    clone = ledger_databases.clone(address)
    with pytest.raises(CopiedLedgerError, match="another database"):
        copy(clone, tmp_path / "back.db")
    ledger_databases.drop(clone)


def test_the_copy_is_a_sound_ledger(tmp_path, file, address):
    """The checks of both kinds of ledgers find nothing that was not there before."""
    before = {finding.name for finding in check_integrity(file) if finding.count}
    copy(file, address)
    there = {it.name for it in PostgresOperatorStore(address).verify() if it.count}
    copy(address, tmp_path / "back.db")
    back = {finding.name for finding in check_integrity(tmp_path / "back.db") if finding.count}
    assert (there, back) == (before, before)


def test_an_empty_database_becomes_a_ledger(file, other):
    """The target needs no schema before."""
    assert copy(file, other).rows["campaign"] == 2
    assert is_usable(other)


def test_a_target_with_rows_is_refused(tmp_path, file, address):
    """Both ledgers stay as they are, and can be used."""
    copy(file, address)
    second = tmp_path / "second.db"
    write_ledger(second, ledger_tables(contact(1)))
    before = whole_content(second)
    with pytest.raises(LedgerError, match="it is not empty"):
        copy(second, address)
    assert is_usable(second)
    assert is_usable(address)
    assert whole_content(second) == before


def test_a_database_of_a_newer_version_is_refused(file, address):
    with closing(connect(address)) as connection:
        connection.execute("UPDATE dispatcher.store SET version = 99")
    with pytest.raises(LedgerError, match="newer dispatcher"):
        copy(file, address)
    assert is_usable(file)


def test_a_database_of_something_else_is_no_source(tmp_path, other):
    with pytest.raises(LedgerError, match="there is no ledger in this database"):
        copy(other, tmp_path / "ledger.db")


def test_a_file_that_a_run_uses_is_refused(file, address):
    with (
        closing(closing_lock(file)),
        pytest.raises(LedgerLockedError, match="another dispatcher"),
    ):
        copy(file, address)
    with closing(closing_lock(file)), pytest.raises(LedgerLockedError):
        copy(address, file)


def closing_lock(path):
    lock = LedgerLock(path)
    lock.close = lock.release
    return lock


def test_a_database_that_a_run_uses_is_refused_at_once(file, address):
    """The run has renewed its lease meanwhile; its name and host are told."""
    with closing(connect(address)) as connection:
        me = register(connection, address, "the-run")

        def renewing(seconds):
            connection.execute("SELECT dispatcher.renew(%s, 10)", (me,))
            sleep(seconds)

        sleep, server_copy_ledger.time.sleep = time.sleep, renewing
        try:
            began = time.monotonic()
            with pytest.raises(LedgerLockedError, match=r"the-run on .* uses it; stop all runs"):
                copy(file, address)
        finally:
            server_copy_ledger.time.sleep = sleep
        assert time.monotonic() - began < 5
    assert is_usable(file)


def test_a_run_that_ended_without_a_word_is_waited_for_and_fenced(file, address):
    """It cannot go on afterwards, not even with a lease that nobody else wanted."""
    short = replace(address, lease_seconds=1.0)
    with closing(connect(address)) as connection:
        me = register(connection, short, "gone")
        copy(file, address)
        (resumed,) = connection.execute("SELECT dispatcher.resume(%s, 10)", (me,)).fetchone()
        _, _, fenced = resumed
        assert fenced
        with pytest.raises(Exception, match="another run has taken over"):
            connection.execute("SELECT dispatcher.begin_group(%s, 1, 10)", (me,))


def test_no_run_begins_while_a_copy_is_under_way(file, address):
    """Not even one that has looked at the mark before it was there."""
    with small_batches():
        assert killed_copy(file, address, "target.write.after 2")
    with (
        closing(connect(address)) as connection,
        pytest.raises(Exception, match="has moved, or is an unfinished copy"),
    ):
        register(connection, address)
    for place in (file, address):
        with pytest.raises(MovedLedgerError) as refused:
            open_store(place)
        assert "Run the same `dispatcher ledger copy` again" in str(refused.value)
    copy(file, address)
    with pytest.raises(MovedLedgerError, match=f"it has moved to {address.name}"):
        open_store(file)


def open_store(place):
    if hasattr(place, "url"):
        with closing(connect(place)) as connection:
            check_schema(connection, place)
        return

    async def opened():
        await (await SqliteLedger.open(place, "one")).close()

    asyncio.run(opened())


def test_a_run_that_begins_before_the_mark_stops_the_copy(file, address):
    """It is there when the ledger is to be marked, so nothing is copied."""
    with (
        closing(open_end(file, create=False)) as old,
        closing(open_end(address, create=True)) as new,
        closing(connect(address)) as connection,
    ):
        register(connection, address, "late")
        with pytest.raises(LedgerLockedError, match="a run has just begun on it"):
            copying.Copier(old, new).copy()
    assert is_usable(file)
    assert is_usable(address)


def test_a_command_that_is_under_way_is_waited_for(address, monkeypatch):
    """It may still write, so the mark comes after its transaction."""
    monkeypatch.setattr(server_copy_ledger, "_LONG", "SET LOCAL lock_timeout = '100ms'")
    mark = Move("leaving", "id", "place", NOW)
    with closing(open_end(address, create=True)) as end, closing(connect(address)) as command:
        with transaction(command), pytest.raises(LedgerError, match="kept a lock for too long"):
            end.mark(mark)
        end.mark(mark)
        with (
            pytest.raises(Exception, match="has moved, or is an unfinished copy"),
            transaction(command),
        ):
            pytest.fail("it begins")


def test_an_unfinished_copy_cannot_even_be_read(tmp_path, file, address):
    """What has moved can be read, but not changed."""
    with small_batches():
        assert killed_copy(file, address, "target.write.after 2")
    with pytest.raises(MovedLedgerError, match="unfinished copy of"):
        PostgresOperatorStore(address).page(LineageRows("one"), "")
    assert SqliteOperatorStore(file).page(LineageRows("one"), "").rows
    copy(file, address)
    back = tmp_path / "back.db"
    with small_batches():
        assert killed_copy(address, back, "target.write.after 2")
    with pytest.raises(MovedLedgerError, match="unfinished copy of"):
        SqliteOperatorStore(back).page(LineageRows("one"), "")


def test_two_copies_into_one_database_do_not_mix(tmp_path, file, address):
    second = tmp_path / "second.db"
    write_ledger(second, ledger_tables(contact(1)))
    with small_batches():
        assert killed_copy(file, address, "target.write.after 2")
    with pytest.raises(MovedLedgerError, match=r"unfinished copy of .*ledger\.db"):
        copy(second, address)
    with pytest.raises(MovedLedgerError, match="it is being copied to"):
        copy(file, tmp_path / "elsewhere.db")


def test_a_copy_that_goes_on_is_not_replaced(file, address, monkeypatch):
    """Its lease has not run out yet when the second one has waited for as long as it waits."""
    with closing(open_end(address, create=True)):
        monkeypatch.setattr(server_copy_ledger, "_LEASE_SECONDS", -0.9)
        with pytest.raises(LedgerLockedError, match=r"ledger copy .* uses it"):
            copy(file, address)


def test_a_copy_that_was_replaced_writes_nothing_more(address, monkeypatch):
    """Its process was stopped for longer than its lease."""
    monkeypatch.setattr(server_copy_ledger, "_LEASE_SECONDS", -1.0)
    with closing(open_end(address, create=True)) as stopped:
        monkeypatch.undo()
        with (
            closing(open_end(address, create=True)),
            pytest.raises(LedgerError, match="did not renew its lease in time"),
        ):
            stopped.clear()


def undo(source, target):
    with closing(open_end(source, create=False)) as old:
        if target is None:
            copying.undo(old, None)
            return
        with closing(open_end(target, create=True)) as new:
            copying.undo(old, new)


@pytest.mark.parametrize("step", ["target.write.after 2", "source.mark.after 2", None])
def test_a_copy_is_given_up_at_any_time_before_its_first_run(file, address, step):
    """The old ledger is as it was, the new one empty; then it can be copied again."""
    if step is None:
        copy(file, address)
    else:
        with small_batches():
            assert killed_copy(file, address, step)
    undo(file, address)
    assert is_usable(file)
    assert is_usable(address)
    assert copy(file, address).rows["contact"] == 8


def test_a_copy_that_a_run_has_used_is_not_given_up(tmp_path, file, address):
    """Its messages are not in the old ledger."""
    copy(file, address)
    with closing(connect(address)) as connection:
        me = register(connection, address, "a-run")
        connection.execute("SELECT dispatcher.leave(%s)", (me,))
    with pytest.raises(LedgerError, match="was used since"):
        undo(file, address)
    assert not is_usable(file)
    back = tmp_path / "back.db"
    copy(address, back)
    open_store(back)
    with pytest.raises(LedgerError, match="was used since"):
        undo(address, back)


def test_without_the_new_ledger_a_copy_is_given_up_by_word(file, address):
    copy(file, address)
    undo(file, None)
    assert is_usable(file)
    with pytest.raises(LedgerError, match="no copy of it was begun"):
        undo(file, None)


def test_an_old_ledger_that_was_used_again_is_copied_anew(file, address):
    """What the unfinished copy had is removed: the old ledger went on without it."""
    with small_batches():
        assert killed_copy(file, address, "target.write.after 2")
    undo(file, None)
    assert is_usable(file)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("DELETE FROM contact WHERE id = 1")
    assert copy(file, address).rows["contact"] == 7
    undo(file, address)


def test_a_row_that_differs_at_the_end_stops_the_copy(file, address, monkeypatch):
    """Neither ledger can be used, until the copy is given up."""
    finish = server_copy_ledger.ServerCopyLedger.finish

    def falsified(self, *arguments):
        finish(self, *arguments)
        self._connection.execute("UPDATE dispatcher.contact SET text = 'Other' WHERE id = 1")

    monkeypatch.setattr(server_copy_ledger.ServerCopyLedger, "finish", falsified)
    with pytest.raises(LedgerError, match=r"differs from .* in contact \(8 and 8 rows\)"):
        copy(file, address)
    assert not is_usable(file)
    assert not is_usable(address)
    monkeypatch.undo()
    undo(file, address)
    copy(file, address)


def test_a_target_that_is_not_there_changes_nothing(file, address):
    """Neither a server that does not answer, nor a password that is wrong."""
    for wrong in (
        replace(address, url="postgresql://me@127.0.0.1:1/x"),
        replace(address, password="x"),
    ):
        with pytest.raises(LedgerError, match=r"does not answer|refuses the login"):
            copy(file, wrong)
    assert is_usable(file)


def test_a_target_that_goes_away_is_gone_on_with(file, address, postgres_server):
    """A connection that the server ends is an error of the ledger; nothing is lost."""
    write = server_copy_ledger.ServerCopyLedger.write
    calls = []

    def cut_off(self, *arguments):
        calls.append(1)
        if len(calls) == 3:
            postgres_server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'dispatcher copy'"
            )
        write(self, *arguments)

    server_copy_ledger.ServerCopyLedger.write = cut_off
    server_copy_ledger._LEASE_SECONDS, before = 0.4, server_copy_ledger._LEASE_SECONDS
    try:
        with small_batches(), pytest.raises(LedgerError, match="does not answer"):
            copy(file, address)
    finally:
        server_copy_ledger.ServerCopyLedger.write, server_copy_ledger._LEASE_SECONDS = write, before
    assert copy(file, address).rows["contact"] == 8


def test_a_full_disk_under_the_file_is_gone_on_with(tmp_path, file, address):
    """The file is limited in its pages, as a full disk would."""
    copy(file, address)
    back = tmp_path / "back.db"
    with closing(FileCopyLedger.open(back, create=True, now=NOW)):
        pass
    opened = FileCopyLedger.__init__

    def limited(self, path, exclusive):
        opened(self, path, exclusive)
        (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
        self._connection.execute(f"PRAGMA max_page_count = {pages}")

    FileCopyLedger.__init__ = limited
    with closing(sqlite3.connect(back)) as connection:
        connection.execute("PRAGMA page_size").fetchone()
    try:
        with closing(connect(address)) as connection:
            connection.execute("UPDATE dispatcher.contact SET story = repeat('[1,\"a\"],', 9000)")
        with pytest.raises(LedgerError, match="the disk is full"):
            copy(address, back)
    finally:
        FileCopyLedger.__init__ = opened
    assert not is_usable(back)
    assert copy(address, back).rows["contact"] == 8


SINKS = [
    {"name": "lake", "part": "rows", "token": "0a", "cursor": "6", "sending_to": "7"},
    {"name": "lake", "part": "verdicts", "token": "0b", "cursor": "1.5 6", "sending_to": None},
    {"name": "new", "part": "rows", "token": "0c", "cursor": "", "sending_to": None},
]


def test_sinks_and_readers_go_on_from_their_cursors(tmp_path, address):
    """A sink may have kept the text of its cursor, so it stays; also of a range that goes out."""
    path = tmp_path / "ledger.db"
    contacts = [contact(id_, "notified") for id_ in range(5, 9)]
    links = [lineage(id_) for id_ in range(5, 9)]
    write_ledger(path, ledger_tables(*contacts, links=links, sinks=SINKS))
    copied = copy(path, address)
    assert copied.last_cursor == "8"
    store = PostgresOperatorStore(address)

    def ids(cursor):
        return [row.id for row in store.page(LineageRows("one"), cursor).rows]

    assert (ids(""), ids("6"), ids("8")) == ([5, 6, 7, 8], [7, 8], [])
    with closing(connect(address)) as connection:
        stored = connection.execute(
            "SELECT name, part, token, cursor, sending_to FROM dispatcher.sink ORDER BY name, part"
        ).fetchall()
        assert stored == [tuple(row.values()) for row in SINKS]
        connection.execute(
            "INSERT INTO dispatcher.lineage (contact_id, relation, correlation_id) "
            "VALUES (99, 'notified', 'x')"
        )
        connection.execute(
            "INSERT INTO dispatcher.contact "
            "(id, campaign_id, status, reason, settled_at, key, conversation_id, text_sha256) "
            "VALUES (99, 1, 'notified', 'delivered', 0, 'k99', 'c99', '')"
        )
    assert ids("8") == [9]
    last = store.page(LineageRows("one"), "8").cursor
    assert last.count("-") == 2
    assert ids(last) == []


class CountingTable(SqlTarget):
    """A table with a cursor of its own, as SQL sinks have it; it counts what is written."""

    def __init__(self, path):
        super().__init__("lake", SqlTable(f"sqlite:///{path}"), "")
        self.written, self.dies = [], False

    def _upsert(self, connection, lineage):
        super()._upsert(connection, lineage)
        self.written += [row.id for row in lineage.rows]

    async def write(self, lineage):
        await super().write(lineage)
        if self.dies:
            raise SinkError("the run is killed when the rows are there")


async def send(log, target, *, ranges=9, dies=False):
    """Send ranges of two rows, as a run does; with ``dies`` the last arrival is not recorded."""
    sender = RangeSender("lake", log, target, rows_per_range=2)
    for number in range(1, ranges + 1):
        target.dies = dies and number == ranges
        if target.dies:
            with pytest.raises(SinkError):
                await sender.send_next("rows")
        elif await sender.send_next("rows") is None:
            return


async def send_from_file(path, target, **more):
    ledger = await SqliteLedger.open(path, "one")
    try:
        await send(ledger.lineage_log(), target, **more)
    finally:
        await ledger.close()


async def send_from_database(address, target, **more):
    async with operator_lineage_log(address) as log:
        await send(log, target, **more)


def test_a_sink_gets_each_row_once_from_all_three_ledgers(tmp_path, address):
    """Also the rows that were on their way when the ledger moved."""
    path, back = tmp_path / "ledger.db", tmp_path / "back.db"
    contacts = [contact(id_, "notified") for id_ in range(1, 8)]
    write_ledger(path, ledger_tables(*contacts, links=[lineage(id_) for id_ in range(1, 8)]))
    target = CountingTable(tmp_path / "table.db")
    asyncio.run(send_from_file(path, target, ranges=2, dies=True))
    assert target.written == [1, 2, 3, 4]
    copy(path, address)
    asyncio.run(send_from_database(address, target, ranges=2))
    assert target.written == [1, 2, 3, 4, 5, 6]
    with closing(connect(address)) as connection:
        add_lineage(connection, 8, 9)
    asyncio.run(send_from_database(address, target))
    assert target.written == list(range(1, 10))
    with closing(connect(address)) as connection:
        add_lineage(connection, 10, 11, 12)
    asyncio.run(send_from_database(address, target, ranges=1))
    copy(address, back)
    asyncio.run(send_from_file(back, target))
    assert target.written == list(range(1, 13))
    asyncio.run(target.close())


def test_a_ledger_that_was_not_copied_refuses_cursors_of_files(address):
    """A number would begin at the first row."""
    write = "INSERT INTO dispatcher.campaign (name, created_at) VALUES ('one', 0)"
    with closing(connect(address)) as connection:
        connection.execute(write)
    with pytest.raises(CommandError, match="is not one of this ledger"):
        PostgresOperatorStore(address).page(LineageRows("one"), "6")


def add_lineage(connection, *ids):
    """Write rows as a run does, in one transaction each."""
    for id_ in ids:
        connection.execute(
            "INSERT INTO dispatcher.contact "
            "(id, campaign_id, status, reason, settled_at, key, conversation_id, text_sha256) "
            "VALUES (%s, 1, 'notified', 'delivered', 0, %s, %s, '')",
            (id_, f"k{id_}", f"c{id_}"),
        )
        connection.execute(
            "INSERT INTO dispatcher.lineage (id, contact_id, relation, correlation_id) "
            "OVERRIDING SYSTEM VALUE VALUES (%s, %s, 'notified', 'x')",
            (id_, id_),
        )


def set_sink(connection, cursor, sending_to=None):
    connection.execute("DELETE FROM dispatcher.sink")
    connection.execute(
        "INSERT INTO dispatcher.sink VALUES ('lake', 'rows', '0a', %s, %s)", (cursor, sending_to)
    )


@pytest.fixture
def two_runs(address):
    """A database whose rows 10 to 13 were committed in the order 10, 12, 11, 13."""
    with closing(connect(address)) as connection:
        connection.execute("INSERT INTO dispatcher.campaign (name, created_at) VALUES ('one', 0)")
        add_lineage(connection, 10, 12, 11, 13)
        yield connection


def cursor_after(address, number):
    """The cursor after so many rows."""
    with closing(connect(address)) as connection:
        row = connection.execute(
            "SELECT era || '-' || x || '-' || id FROM dispatcher.store, dispatcher.lineage "
            "ORDER BY x, id OFFSET %s LIMIT 1",
            (number - 1,),
        ).fetchone()
    return row[0]


@pytest.mark.parametrize(("sent", "last"), [(1, "10"), (3, "12"), (4, "13")])
def test_cursors_of_a_database_mean_the_same_in_a_file(tmp_path, address, two_runs, sent, last):
    """And in the database that the file is copied to later."""
    text = cursor_after(address, sent)
    set_sink(two_runs, text)
    back = tmp_path / "back.db"
    assert copy(address, back).last_cursor == "13"

    async def after():
        ledger = await SqliteLedger.open(back, "one")
        try:
            log = ledger.lineage_log()
            place = await log.sink_place("lake", "rows")
            rows = await log.lineage_after("rows", place.cursor, 10)
            return place.cursor, [row.id for _, row in rows], await log.lineage_lag(place.cursor)
        finally:
            await ledger.close()

    left = [id_ for id_ in range(10, 14) if id_ > int(last)]
    assert asyncio.run(after()) == (text, left, len(left))


def test_a_file_with_cursors_of_a_database_is_copied_to_another_one(
    tmp_path, address, other, two_runs
):
    text = cursor_after(address, 3)
    set_sink(two_runs, text)
    copy(address, tmp_path / "back.db")
    copy(tmp_path / "back.db", other)
    page = PostgresOperatorStore(other).page(LineageRows("one"), text)
    assert [row.id for row in page.rows] == [13]


@pytest.mark.parametrize("case", ["amid", "going out"])
def test_a_sink_goes_on_first_where_a_file_cannot_say_how_far_it_is(
    tmp_path, address, two_runs, case
):
    """Row 12 has gone out and 11 not, or a range is going out."""
    if case == "amid":
        set_sink(two_runs, cursor_after(address, 2))
    else:
        set_sink(two_runs, cursor_after(address, 1), cursor_after(address, 4))
    with pytest.raises(LedgerError, match="dispatcher lineage export --to lake"):
        copy(address, tmp_path / "back.db")
    undo(address, tmp_path / "back.db")
    set_sink(two_runs, cursor_after(address, 4))
    assert copy(address, tmp_path / "back.db").rows["lineage"] == 4


def test_ids_of_pruned_contacts_are_not_used_again(tmp_path, address):
    """The people whom they reached would not be known any more."""
    with closing(connect(address)) as connection:
        connection.execute("INSERT INTO dispatcher.campaign (name, created_at) VALUES ('one', 0)")
        connection.execute("INSERT INTO dispatcher.reached VALUES ('p', 500, 1, 0)")
    back = tmp_path / "back.db"
    copy(address, back)

    async def last_id():
        ledger = await SqliteLedger.open(back, "one")
        try:
            return next(ledger._ids)
        finally:
            await ledger.close()

    assert asyncio.run(last_id()) == 501


UPPER = "0123ABCD-0123-0123-0123-0123456789AB"


@pytest.mark.parametrize("known_as", ["key", "pruned"])
async def test_ids_in_upper_case_of_an_older_version_are_known_in_a_database(
    tmp_path, address, known_as
):
    """In lower case they are the same contacts; and so is the ledger that is copied back."""
    path, back = tmp_path / "ledger.db", tmp_path / "back.db"
    tables = ledger_tables(contact(1, key=UPPER if known_as == "key" else "k"))
    if known_as == "pruned":
        tables["pruned"] = [{"campaign_id": 1, "key_hash": key_hash(UPPER)}]
    write_ledger(path, tables)
    with closing(open_for_writing(path)) as connection:
        connection.execute("UPDATE campaign SET has_upper_case = 1 WHERE id = 1")
    copy(path, address)
    batch = Batch([Contact(key, key, "Hello") for key in (UPPER.lower(), "new")])
    with PostgresDryRunView(address, "one") as view:
        assert [new.key for new in view.take_new(batch.contacts)] == ["new"]
    store = await PostgresStore.open(address)
    admitted = await (await store.campaign("one")).admit(batch, NOW, 9)
    assert (admitted.admitted, admitted.duplicates) == (1, 1)
    admitted = await (await store.campaign("two")).admit(batch, NOW, 9)
    assert (admitted.admitted, admitted.duplicates) == (2, 0)
    await store.close()
    copy(address, back)
    with closing(open_for_writing(back)) as connection:
        flags = connection.execute("SELECT has_upper_case FROM campaign ORDER BY id").fetchall()
    assert flags == [(1,), (0,)]


async def test_people_in_upper_case_of_an_older_version_are_known_in_a_database(tmp_path, address):
    """Who is known by the hash of such an id alone gets no second message in the campaign."""
    path, person = tmp_path / "ledger.db", person_as_spelled(UPPER)
    tables = ledger_tables()
    tables["reached"] = [{"person": person, "contact_id": 77, "campaign_id": 1, "at": 0.0}]
    write_ledger(path, tables)
    with closing(open_for_writing(path)) as connection:
        connection.execute("UPDATE campaign SET has_upper_case = 1 WHERE id = 1")
    copy(path, address)
    with PostgresDryRunView(address, "one") as view:
        assert view.mark_reached(UPPER.lower())
    store = await PostgresStore.open(address)
    known = Contact("new", "c", "Hello", external_contact_id=UPPER.lower())
    (claim,) = (await (await store.campaign("one")).admit(Batch([known]), NOW, 9)).claims
    assert claim.block == SendBlock.SAME_PERSON
    await store.close()
