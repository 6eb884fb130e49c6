"""A ledger in PostgreSQL answers as the file does that it was copied from."""

import asyncio
import shutil
from contextlib import closing, nullcontext
from dataclasses import replace

import pytest

from dispatcher.domain.status import Reason, Status
from dispatcher.ledgers.copying.copy import undo
from dispatcher.ledgers.lineage_check import ExclusiveLinkStore
from dispatcher.ledgers.operator_store import SqliteOperatorStore
from dispatcher.ledgers.postgres.address import connect
from dispatcher.ledgers.postgres.dry_run_view import PostgresDryRunView
from dispatcher.ledgers.postgres.lineage_check import PostgresLinkStore
from dispatcher.ledgers.postgres.operator_store import PostgresOperatorStore
from dispatcher.ledgers.postgres.pages import lineage_after, lineage_lag
from dispatcher.ledgers.read.dry_run_view import DryRunView
from dispatcher.ports import CommandError, LedgerError
from dispatcher.ports.care import ErasureTarget, PruneOrder
from dispatcher.ports.orders import (
    ApproveOrder,
    DropOrder,
    PauseOrder,
    ReplayOrder,
    ResumeOrder,
    Selection,
)
from dispatcher.ports.questions import (
    BEGINNING,
    CampaignNames,
    ContactRows,
    DoubtsElsewhere,
    HistoryOf,
    LeasesNow,
    LineageRows,
    ParkedContacts,
    RejectedRows,
    StatusOf,
    UnverifiedLinks,
)
from tests.support import rich_ledger
from tests.support.copy_kills import copy, open_end
from tests.support.discarded_sessions import discarded_sessions
from tests.support.rich_ledger import NOW
from tests.support.servers.shared import on

pytestmark = on("postgres_server")
ALL = Selection(before=2 * NOW)


@pytest.fixture(scope="module", params=["direct", "pooled"])
def pooler(request):
    """Whether a pooler in transaction mode is in between, which keeps nothing of a session."""
    with discarded_sessions() if request.param == "pooled" else nullcontext():
        yield request.param == "pooled"


@pytest.fixture(scope="module")
def made(tmp_path_factory, ledger_databases, pooler):
    """A ledger in a file, and its copy in a database; nothing is changed in them."""
    path = tmp_path_factory.mktemp("made") / "ledger.db"
    asyncio.run(rich_ledger.make(path))
    address = ledger_databases.create_empty(pooler=pooler)
    copy(path, address)
    give_up(path)
    yield path, address
    ledger_databases.drop(address)


@pytest.fixture
def path(made, tmp_path):
    """A ledger in a file of its own."""
    return shutil.copyfile(made[0], tmp_path / "ledger.db")


@pytest.fixture
def address(made, ledger_databases):
    """The same ledger in a database of its own."""
    address = replace(ledger_databases.clone(made[1]), pooler=made[1].pooler)
    yield address
    ledger_databases.drop(address)


@pytest.fixture
def both(path, address):
    """The same ledger in a file and in a database, as a command has it."""
    return SqliteOperatorStore(path), PostgresOperatorStore(address)


@pytest.fixture
def read(made):
    """The same, to be read alone."""
    return SqliteOperatorStore(made[0]), PostgresOperatorStore(made[1])


def give_up(path):
    """Let the file be used, too: each of the two is changed alone."""
    with closing(open_end(path, create=False)) as source:
        undo(source, None)


def plain(contacts):
    """Return histories without what differs in the text of JSON."""
    return [dict(contact) for contact in contacts]


@pytest.mark.parametrize(
    "question",
    [
        CampaignNames(),
        CampaignNames("b"),
        StatusOf(None, NOW + 100),
        StatusOf("a", NOW),
        ParkedContacts(ALL),
        ParkedContacts(replace(ALL, reason=Reason.EXHAUSTED, limit=2)),
        ParkedContacts(replace(ALL, status=Status.REJECTED)),
        ParkedContacts(replace(ALL, names=("key-13", "conversation-14", "external-16"))),
        HistoryOf("key-1"),
        HistoryOf("conversation-2"),
        HistoryOf("external-4"),
        HistoryOf("key-20"),
        HistoryOf("key-24", "a"),
        HistoryOf("key-22", "a"),
        HistoryOf("new-1"),
        DoubtsElsewhere(("b",)),
        DoubtsElsewhere(("a", "b")),
    ],
    ids=str,
)
def test_the_same_answers(read, question):
    file, database = read
    expected = file.look(question)
    assert expected or isinstance(question, DoubtsElsewhere)
    assert database.look(question) == expected


@pytest.mark.parametrize(
    "question",
    [CampaignNames("c"), StatusOf("c", NOW), HistoryOf("nobody"), HistoryOf("key-1", "c")],
    ids=str,
)
def test_the_same_words_for_what_is_not_there(read, question):
    words = []
    for store in read:
        with pytest.raises(CommandError) as caught:
            store.look(question)
        words.append(str(caught.value))
    assert words[0] == words[1]


@pytest.mark.parametrize(
    "rows",
    [
        LineageRows(),
        LineageRows("a"),
        RejectedRows("a"),
        *(ContactRows("a", status) for status in Status),
    ],
    ids=str,
)
def test_the_same_pages(read, rows, monkeypatch):
    """Also in small pages, one after the other."""
    monkeypatch.setattr("dispatcher.ledgers.postgres.pages.PAGE_ROWS", 4)
    file, database = read
    found, cursor, more = [], BEGINNING, True
    with database:
        while more:
            page = database.page(rows, cursor)
            found, cursor, more = [*found, *page.rows], page.cursor, page.more
            assert len(page.rows) <= 4
        assert database.page(rows, cursor).rows == []
    assert found == list(file.page(rows, BEGINNING).rows)


@pytest.mark.parametrize(
    "order",
    [
        ReplayOrder(ALL),
        ReplayOrder(replace(ALL, reason=Reason.IN_DOUBT)),
        ReplayOrder(replace(ALL, status=Status.REJECTED)),
        DropOrder(ALL),
        DropOrder(replace(ALL, names=("key-13",))),
        PauseOrder(None),
        PauseOrder("b"),
        ResumeOrder(None),
    ],
    ids=str,
)
def test_the_same_orders(both, order, monkeypatch):
    """The answer is the same, and so is what the ledger has then, in the history too."""
    monkeypatch.setattr("time.time", lambda: NOW + 1000)
    file, database = both
    assert database.order(order) == file.order(order)
    for question in (StatusOf(None, NOW + 2000), ParkedContacts(ALL)):
        assert database.look(question) == file.look(question)
    for number in (12, 13, 18, 21):
        history = HistoryOf(f"key-{number}", "a")
        assert plain(database.look(history)) == plain(file.look(history))
    assert broken(file) == broken(database) == []


def broken(store):
    return [finding.name for finding in store.verify() if finding.count]


def test_a_copy_has_no_leases(read):
    assert list(read[1].look(LeasesNow())) == []


def test_an_order_that_only_a_run_can_carry_out(both):
    for store in both:
        with pytest.raises(CommandError, match="no dispatcher is running"):
            store.order(ApproveOrder(None))


@pytest.mark.parametrize(
    "care",
    [
        PruneOrder(NOW + 5),
        PruneOrder(NOW + 5, dry=True),
        PruneOrder(NOW + 50, campaign="a", parked=True),
        ErasureTarget("key-3"),
        ErasureTarget("key-20"),
        ErasureTarget("external-25", is_external=True),
        ErasureTarget("key-50", campaign="a"),
        ErasureTarget("key-13"),
        ErasureTarget("key-11"),
        ErasureTarget("nobody"),
    ],
    ids=str,
)
def test_the_same_care(both, care, monkeypatch):
    monkeypatch.setattr("time.time", lambda: NOW + 1000)
    file, database = both
    expected, found = file.tend(care), database.tend(care)
    assert (found[0] if isinstance(care, PruneOrder) else found) == (
        expected[0] if isinstance(care, PruneOrder) else expected
    )
    status = StatusOf(None, NOW + 2000)
    assert database.look(status) == file.look(status)
    assert database.page(LineageRows(), BEGINNING).rows == file.page(LineageRows(), BEGINNING).rows
    assert broken(file) == broken(database) == []


def test_what_a_database_does_not_prune(both):
    with pytest.raises(CommandError, match="VACUUM FULL"):
        both[1].tend(PruneOrder(NOW, vacuum=True))
    with pytest.raises(LedgerError, match="campaign 'c' is not in it; it holds: a, b"):
        both[1].tend(PruneOrder(NOW, campaign="c"))


@pytest.mark.parametrize(
    "damage",
    [
        ("UPDATE dispatcher.contact SET status = 'odd' WHERE id = 1", "status_unknown"),
        ("UPDATE dispatcher.contact SET text = 'x' WHERE id = 1", "text_kept"),
        ("DELETE FROM dispatcher.lineage WHERE contact_id = 2", "lineage_missing"),
        ("DELETE FROM dispatcher.ready", "neither_ready_nor_claimed"),
        ("UPDATE dispatcher.ready SET contact_id = contact_id + 1000", "ready_in_error"),
        (
            "INSERT INTO dispatcher.held SELECT contact_id, campaign_id, 0 FROM dispatcher.ready",
            "ready_in_error",
        ),
        ("INSERT INTO dispatcher.ready VALUES (1, 1, 0)", "final_with_due"),
        ("INSERT INTO dispatcher.held VALUES (1, 1, 0)", "claimed_in_error"),
        ("UPDATE dispatcher.unsettled SET contact_id = contact_id + 1000", "unsettled_alone"),
        ("UPDATE dispatcher.contact SET campaign_id = 99 WHERE id = 1", "campaign_unknown"),
        ("UPDATE dispatcher.unsettled SET look_at = NULL", "doubt_without_look_at"),
        ("UPDATE dispatcher.campaign SET admitted = admitted + 1", "admitted_differs"),
        ("UPDATE dispatcher.settled_sum SET contacts = contacts + 1", "settled_sums_differ"),
        ("UPDATE dispatcher.contact SET attributes = '{' WHERE id = 2", "json_unreadable"),
        ("DELETE FROM dispatcher.reached", "person_not_reached"),
    ],
    ids=lambda case: case[1],
)
def test_damage_is_found(both, address, damage):
    statement, name = damage
    assert broken(both[1]) == []
    with closing(connect(address)) as connection:
        connection.execute(statement)
    assert name in broken(both[1])


def test_a_quick_check_finds_what_no_index_guarantees(both, address):
    """Two contacts with one message: no unique index forbids them."""
    with closing(connect(address)) as connection:
        connection.execute(
            "UPDATE dispatcher.lineage SET message_id = 'same' WHERE id IN "
            "(SELECT id FROM dispatcher.lineage ORDER BY id LIMIT 2)"
        )
    found = [finding.name for finding in both[1].verify(quick=True) if finding.count]
    assert found == ["message_twice"]


def test_the_same_view_of_a_dry_run(both, path, address):
    """What is known, reached and waiting; and what was passed before."""
    new = [*rich_ledger.contacts(0, 4), *rich_ledger.contacts(70, 72)]
    views = []
    for view in (DryRunView(path, "a"), PostgresDryRunView(address, "a")):
        with view:
            views.append(
                (
                    view.in_doubt,
                    view.has_contacts,
                    view.streams(),
                    [contact.key for contact in view.take_new(new)],
                    view.take_new(new),
                    [view.mark_reached(f"external-{n}") for n in (1, 30, 30)],
                    [view.plan_message(f"external-{n}", 2, NOW) for n in (1, 1, 30, 30, 30)],
                    [view.plan_message("external-1", 1, NOW + 1000), view.plan_message("x", 0, 0)],
                    sorted(view.waiting(), key=lambda claim: claim.id),
                )
            )
    assert views[0] == views[1]
    assert views[0][3] == ["key-70", "key-71"]
    assert views[0][6:8] == ([True, False, True, True, False], [False, False])


def test_the_lineage_for_sinks(made, monkeypatch):
    """Both parts in ranges, and how many rows wait; of many the ids tell."""
    with closing(connect(made[1])) as connection:
        first = lineage_after(connection, "rows", "", 5)
        rest = lineage_after(connection, "rows", first[-1][0], 100)
        assert [row.id for _, row in first] == sorted(row.id for _, row in first)
        assert lineage_lag(connection, "") == len(first) + len(rest)
        assert lineage_lag(connection, first[-1][0]) == len(rest)
        assert lineage_lag(connection, rest[-1][0]) == 0
        monkeypatch.setattr("dispatcher.ledgers.postgres.pages.COUNTED", 3)
        assert lineage_lag(connection, first[-1][0]) >= len(rest)
        assert lineage_after(connection, "verdicts", "", 5) == []


def test_links_are_verified(both, path, address):
    """Verdicts go into the lineage; a later one has a later time, whatever the clock says."""
    query = UnverifiedLinks(NOW + 1000)
    with ExclusiveLinkStore(path, query) as file, PostgresLinkStore(address, query) as database:
        links = database.page(0, 5)
        assert links == file.page(0, 5)
        database.mark({links[0].id: "confirmed", links[1].id: "missing"}, NOW + 50)
        database.mark({links[2].id: "confirmed"}, NOW + 40)
        assert [link.id for link in database.page(0, 5)][:2] == [links[1].id, links[3].id]
    rows = both[1].page(LineageRows(), BEGINNING).rows
    times = [row.verified_at for row in rows[:3]]
    assert times[0] == times[1] == NOW + 50
    assert times[2] > NOW + 50


def test_a_database_without_a_ledger(ledger_databases):
    address = ledger_databases.create_empty()
    store = PostgresOperatorStore(address)
    with pytest.raises(LedgerError, match="there is no ledger in this database"):
        store.look(CampaignNames())
    with pytest.raises(LedgerError, match="there is no ledger in this database"):
        store.order(PauseOrder(None))
    with PostgresDryRunView(address, "a") as view:
        assert (view.in_doubt, view.has_contacts, list(view.waiting())) == (0, False, [])
    ledger_databases.drop(address)


def test_a_session_behind_a_pooler_keeps_nothing(made, pooler):
    """The tests above would find what depends on one: a setting, a lock, a statement, a table."""
    with closing(connect(made[1])) as connection:
        connection.execute("SET work_mem = '7MB'")
        connection.execute("SELECT pg_advisory_lock(77)")
        connection.execute("CREATE TEMPORARY TABLE kept (id integer)")
        connection.execute("PREPARE kept AS SELECT 1")
        left = connection.execute(
            "SELECT current_setting('work_mem') = '7MB', to_regclass('pg_temp.kept') IS NOT NULL, "
            "EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 77), "
            "EXISTS (SELECT 1 FROM pg_prepared_statements WHERE name = 'kept')"
        ).fetchone()
    assert left == (not pooler,) * 4
