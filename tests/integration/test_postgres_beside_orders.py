"""Orders of an operator beside a transaction that nobody sees yet: nothing is decided twice."""

import threading
import time

import pytest

from dispatcher.ledgers.postgres import erase
from dispatcher.ledgers.postgres.address import connect
from dispatcher.ledgers.postgres.leases import register
from dispatcher.ledgers.postgres.operator_store import PostgresOperatorStore
from dispatcher.ledgers.postgres.statements import MAINTENANCE
from dispatcher.ports.care import ErasureTarget
from dispatcher.ports.orders import ReplayOrder, Selection
from tests.support.servers.shared import on

pytestmark = on("postgres_server")
NOW = 1000.0
RUN_OUT = "UPDATE dispatcher.daemon SET lease_until = clock_timestamp() - interval '1 second'"
RENEWED = "UPDATE dispatcher.daemon SET lease_until = clock_timestamp() + interval '10 seconds'"
DROPPED = "UPDATE dispatcher.contact SET status = 'skipped', reason = 'dropped', kept = NULL"
PRUNED = "DELETE FROM dispatcher.contact"


@pytest.fixture
def store(address):
    return PostgresOperatorStore(address)


@pytest.fixture
def other(address):
    """Another session; nobody sees what it has not committed."""
    with connect(address) as connection:
        connection.execute("INSERT INTO dispatcher.campaign (name, created_at) VALUES ('a', 0)")
        yield connection


def claimed(connection, address):
    """Have a run with one claimed contact, and return its id; its lease has run out."""
    me = register(connection, address, "run")
    connection.execute(
        "INSERT INTO dispatcher.contact"
        " (id, campaign_id, status, key, conversation_id, text_sha256)"
        " SELECT 1, id, 'open', 'key', 'talk', '\\x01' FROM dispatcher.campaign"
    )
    connection.execute(
        "INSERT INTO dispatcher.held SELECT id, campaign_id, %s FROM dispatcher.contact", [me]
    )
    connection.execute(RUN_OUT)
    return me


def parked_in_doubt(connection):
    """Have one contact that is parked in doubt."""
    connection.execute(
        "INSERT INTO dispatcher.contact"
        " (id, campaign_id, status, reason, settled_at, kept, key, conversation_id, text_sha256)"
        " SELECT 1, id, 'parked', 'in_doubt', 1, true, 'key', 'talk', '\\x01'"
        " FROM dispatcher.campaign"
    )


def test_a_contact_of_a_run_that_commits_is_not_erased(store, other, address):
    """Its commit may wait for a replica for longer than its lease; it sends when it has it."""
    claimed(other, address)
    with other.transaction():
        other.execute(RENEWED)
        report = store.tend(ErasureTarget("key"))
        assert report.contacts == 0
        assert "run on" in report.refused[0].why
    assert store.tend(ErasureTarget("key")).refused
    other.execute(RUN_OUT)
    assert store.tend(ErasureTarget("key")).contacts == 1


def waiting(address, work):
    """Begin a thread, and return it when a transaction of its waits for a lock."""
    thread = threading.Thread(target=work)
    thread.start()
    waits = (
        "SELECT 1 FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    limit = time.monotonic() + 5
    with connect(address) as onlooker:
        while onlooker.execute(waits).fetchone() is None:
            assert time.monotonic() < limit
            time.sleep(0.01)
    return thread


def rows_of(connection, table):
    return [id_ for (id_,) in connection.execute(f"SELECT contact_id FROM dispatcher.{table}")]


def test_a_contact_that_is_just_being_claimed_is_not_erased(store, other, address):
    """The order waits for the commit of the claim, and sees it."""
    me, reports = claimed(other, address), []
    other.execute(RENEWED)
    other.execute("SELECT dispatcher.take_up(%s, 1, %s)", [me, NOW])
    assert rows_of(other, "ready") == [1]
    with other.transaction():
        other.execute("SELECT dispatcher.claim(%s, 1, 10, %s, NULL)", [me, NOW])
        order = waiting(address, lambda: reports.append(store.tend(ErasureTarget("key"))))
    order.join()
    assert "run on" in reports[0].refused[0].why
    assert (rows_of(other, "ready"), rows_of(other, "held")) == ([], [1])


def test_a_contact_that_a_run_lets_go_meanwhile_is_erased(store, other, address, monkeypatch):
    """It is ready, and no run can claim it any more."""
    claimed(other, address)
    other.execute(RENEWED)
    whole, released = erase.fetch_all, []

    def fetch_all(connection, statement, values):
        found = whole(connection, statement, values)
        if statement == MAINTENANCE["lock_ready"] and not released:
            released.append(found)
            other.execute("DELETE FROM dispatcher.held")
            other.execute("INSERT INTO dispatcher.ready SELECT 1, id, 0 FROM dispatcher.campaign")
        return found

    monkeypatch.setattr(erase, "fetch_all", fetch_all)
    assert store.tend(ErasureTarget("key")).contacts == 1
    assert released == [[]]
    assert (rows_of(other, "ready"), rows_of(other, "held")) == ([], [])


def test_a_run_takes_up_nothing_that_is_just_being_erased(store, other, address):
    """It waits for the order; a contact that was erased is not ready."""
    me = claimed(other, address)
    second = connect(address)
    with other.transaction():
        other.execute("SELECT 1 FROM dispatcher.contact FOR UPDATE")
        other.execute("DELETE FROM dispatcher.held")
        other.execute(
            "UPDATE dispatcher.contact SET status = 'skipped', reason = 'forgotten',"
            " settled_at = 1, text_sha256 = ''"
        )
        take_up = ("SELECT dispatcher.take_up(%s, 1, %s)", [me, NOW])
        run = waiting(address, lambda: second.execute(*take_up))
    run.join()
    second.close()
    found = other.execute("SELECT status, due FROM dispatcher.contact_now").fetchall()
    assert found == [("skipped", None)]


@pytest.mark.parametrize("change", [DROPPED, PRUNED])
def test_a_contact_that_another_command_has_changed_is_not_replayed(store, other, address, change):
    """It has no message any more, or is not there at all: an unsettled send of it never ends."""
    parked_in_doubt(other)
    answers = []
    order = ReplayOrder(Selection(before=NOW))
    with other.transaction():
        other.execute(change)
        replay = waiting(address, lambda: answers.append(store.order(order)))
    replay.join()
    assert answers == [{"ready": 0, "in_doubt": 0}]
    assert other.execute("SELECT count(*) FROM dispatcher.unsettled").fetchone() == (0,)
