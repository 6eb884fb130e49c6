"""A command that waits because the server does says what the server waits for."""

import logging
import select
import threading
import time
from contextlib import closing, contextmanager

import pytest

from dispatcher.ledgers.postgres import waits, watchdog
from dispatcher.ledgers.postgres.address import connect
from dispatcher.ledgers.postgres.online_check import check_database
from dispatcher.ledgers.postgres.operator_connection import OperatorConnection, migrate_database
from dispatcher.ledgers.postgres.operator_store import PostgresOperatorStore
from dispatcher.ledgers.postgres.store import PostgresStore
from dispatcher.ports import LedgerAwayError, LedgerError
from dispatcher.ports.orders import PauseOrder
from tests.support.forked_process import Forked, clean_environment
from tests.support.servers.postgres import PASSWORD
from tests.support.servers.shared import on

pytestmark = on("postgres_server")
OLD_ENOUGH = "query_start < clock_timestamp() - interval '3 seconds'"
LOCK = "SELECT pg_advisory_lock(hashtextextended('dispatcher.schema', 0))"
"""What a migration takes first."""


@pytest.fixture
def address(ledger_databases):
    """An empty database."""
    address = ledger_databases.create_empty()
    yield address
    ledger_databases.drop(address)


@pytest.fixture
def soon(monkeypatch):
    """A wait is looked at after some tenths of a second."""
    monkeypatch.setattr(waits, "LATE_SECONDS", 0.2)


@contextmanager
def without_standby(server):
    """No commit is confirmed, because a synchronous standby is missing."""
    try:
        server.execute("ALTER SYSTEM SET synchronous_standby_names = 'missing_one'")
        server.execute("SELECT pg_reload_conf()")
        until(lambda: server.value("SHOW synchronous_standby_names") == "missing_one")
        yield
    finally:
        server.execute("ALTER SYSTEM RESET synchronous_standby_names")
        server.execute("SELECT pg_reload_conf()")


def read_line(stream):
    """Return the next line that a process writes, or nothing if none comes in time."""
    return stream.readline() if select.select([stream], [], [], 20)[0] else ""


def until(true):
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def said(caplog):
    return [record.getMessage() for record in caplog.records]


def in_thread(call):
    """Call something that waits; what it returns or raises comes into the list."""
    found = []

    def run():
        try:
            found.append(call())
        except LedgerError as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, found


async def test_a_start_while_commits_wait_is_given_up_and_repeated(
    ledger_databases, postgres_server, monkeypatch
):
    """The first one finds it out by its own commit, which stays on the server; it is the only one.

    The run waits as for a server that is away.
    """
    monkeypatch.setattr(watchdog, "ANSWER_SECONDS", 0.3)
    address = ledger_databases.create()
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    with without_standby(postgres_server):
        with pytest.raises(LedgerAwayError):
            await PostgresStore.open(address)
        until(lambda: postgres_server.value(f"{waiting} AND {OLD_ENOUGH}") == 1)
        for _ in range(3):
            with pytest.raises(LedgerAwayError, match="waits for a synchronous standby"):
                await PostgresStore.open(address)
        with pytest.raises(LedgerAwayError, match="waits for a synchronous standby"):
            check_database(address)
        assert postgres_server.value(waiting) == 1
    until(lambda: not postgres_server.value(waiting))
    store = await PostgresStore.open(address)
    await store.close()
    ledger_databases.drop(address)


def test_a_migration_that_waits_for_a_standby_says_so_at_the_terminal(address, postgres_server):
    """Nothing else would come before the standby is there."""
    environment = {**clean_environment(), "PGPASSWORD": PASSWORD}
    with without_standby(postgres_server):
        command = ["-m", "dispatcher", "ledger", "migrate", "--ledger", address.url]
        running = Forked(command, environment)
        line = read_line(running.stderr)
        assert line.startswith(f"dispatcher: ledger {address.name}: the server waits for a ")
        assert "synchronous standby" in line
        assert "synchronous_standby_names = 'missing_one'" in line
        assert running.poll() is None
    out, more = running.communicate(30)
    assert (running.returncode, more) == (0, "")
    assert "was brought from schema 0 to" in out
    running.close()


def test_a_migration_that_waits_for_a_lock_says_who_has_it(address, soon, caplog):
    with closing(connect(address, application_name="somebody else")) as other:
        other.execute(LOCK)
        pid = other.info.backend_pid
        thread, found = in_thread(lambda: migrate_database(address))
        until(lambda: said(caplog))
    thread.join(20)
    assert found == [(0, 2, True)]
    (line,) = said(caplog)
    assert f"a lock (advisory) that another session has: somebody else (pid {pid}, user" in line
    assert caplog.records[0].levelno == logging.WARNING


def test_an_order_is_not_waited_for_without_an_end(
    ledger_databases, postgres_server, soon, monkeypatch
):
    """A pause in an emergency: its effect is there, but a failover may take it back."""
    monkeypatch.setattr(waits, "GIVE_UP_SECONDS", 0.5)
    address = ledger_databases.create()
    with connect(address) as server:
        server.execute("INSERT INTO dispatcher.campaign (name, created_at) VALUES ('a', 0)")
    with without_standby(postgres_server):
        store = PostgresOperatorStore(address)
        with pytest.raises(LedgerError, match=r"synchronous standby .* may have done") as error:
            store.order(PauseOrder("a"))
        assert "end the dispatchers" in str(error.value)
    paused = "SELECT 1 FROM dispatcher.campaign WHERE paused_at IS NOT NULL"
    with connect(address) as server:
        until(lambda: server.execute(paused).fetchall())
    ledger_databases.drop(address)


def test_a_command_that_waits_for_a_lock_says_who_has_it(address, soon, caplog):
    """It ends after some seconds, and its error does not say that the server is away."""
    migrate_database(address)
    opened = OperatorConnection(address)
    with closing(connect(address)) as other, other.transaction():
        other.execute("LOCK dispatcher.store")
        with pytest.raises(LedgerError, match="kept a lock for too long"), opened.errors() as one:
            one.execute("SELECT * FROM dispatcher.store")
    opened.close()
    assert any(
        "a lock (relation) that another session has: dispatcher (pid" in it for it in said(caplog)
    )


def test_a_statement_that_works_for_long_says_nothing(address, soon, caplog):
    """Only a wait has a cause to name."""
    migrate_database(address)
    opened = OperatorConnection(address)
    with opened.errors() as connection:
        connection.execute("SELECT pg_sleep(1)")
    opened.close()
    assert said(caplog) == []


def test_the_same_wait_is_said_again_after_a_while(address, soon, caplog, monkeypatch):
    monkeypatch.setattr(waits, "REMIND_SECONDS", 0.5)
    with closing(connect(address)) as other:
        other.execute(LOCK)
        thread, _ = in_thread(lambda: migrate_database(address))
        until(lambda: len(said(caplog)) > 1)
    thread.join(20)
    assert len(set(said(caplog))) == 1
