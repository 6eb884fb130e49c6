"""Orders of an operator beside a transaction that nobody sees yet: nothing is decided twice."""

import threading
import time

import pytest

from dispatcher.ledgers.postgres.address import connect
from dispatcher.ledgers.postgres.leases import register
from dispatcher.ledgers.postgres.operator_store import PostgresOperatorStore
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
def address(ledger_databases):
    address = ledger_databases.create()
    yield address
    ledger_databases.drop(address)


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
    """Have a run with one claimed contact; its lease has run out."""
    me = register(connection, address, "run")
    connection.execute(
        "INSERT INTO dispatcher.contact"
        " (id, campaign_id, status, key, conversation_id, text_sha256)"
        " SELECT 1, id, 'claimed', 'key', 'talk', '\\x01' FROM dispatcher.campaign"
    )
    connection.execute(
        "INSERT INTO dispatcher.held SELECT id, campaign_id, %s FROM dispatcher.contact", [me]
    )
    connection.execute(RUN_OUT)


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


@pytest.mark.parametrize("change", [DROPPED, PRUNED])
def test_a_contact_that_another_command_has_changed_is_not_replayed(store, other, address, change):
    """It has no message any more, or is not there at all: an unsettled send of it never ends."""
    parked_in_doubt(other)
    answers = []
    order = ReplayOrder(Selection(before=NOW))
    replay = threading.Thread(target=lambda: answers.append(store.order(order)))
    with connect(address) as onlooker, other.transaction():
        other.execute(change)
        replay.start()
        waits = (
            "SELECT 1 FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        limit = time.monotonic() + 5
        while onlooker.execute(waits).fetchone() is None:
            assert time.monotonic() < limit
            time.sleep(0.01)
    replay.join()
    assert answers == [{"ready": 0, "in_doubt": 0}]
    assert other.execute("SELECT count(*) FROM dispatcher.unsettled").fetchone() == (0,)
