"""A primary with a standby, which tests kill and promote."""

import threading
import time

import psycopg
import pytest

from dispatcher.ledgers.postgres.availability import Availability
from dispatcher.ledgers.postgres.leases import LeaseTenure
from dispatcher.ledgers.postgres.migrations import migrate
from dispatcher.ledgers.postgres.session import Session
from tests.support.postgres_ledger import address_of
from tests.support.servers.postgres import PASSWORD, USER
from tests.support.servers.postgres_pair import postgres_pair
from tests.support.servers.shared import on

pytestmark = on("postgres_server")
LOGIN = {"user": USER, "password": PASSWORD, "autocommit": True}


def numbers(pair, database):
    """Read what the primary has."""
    url = pair.url(database) + "?target_session_attrs=read-write"
    with psycopg.connect(url, **LOGIN) as connection:
        return [n for (n,) in connection.execute("SELECT n FROM number ORDER BY n")]


@pytest.mark.long
@pytest.mark.parametrize("synchronous", [True, False])
def test_a_standby_is_promoted_with_what_it_has(synchronous):
    """A synchronous one has all; another one lacks what was held back."""
    with postgres_pair("fsync=off", synchronous=synchronous) as pair:
        database = pair.primary.database()
        database.execute("CREATE TABLE number (n integer); INSERT INTO number VALUES (1)")
        if not synchronous:
            pair.hold_back()
            database.execute("INSERT INTO number VALUES (2)")
            pair.let_go()
            pair.hold_back()
        database.execute("INSERT INTO number VALUES (3)")
        pair.kill()
        with pytest.raises(psycopg.OperationalError):
            database.execute("INSERT INTO number VALUES (4)")
        pair.promote()
        pair.join()
        assert numbers(pair, database) == ([1, 3] if synchronous else [1, 2])
        pair.kill()
        pair.restart()
        assert numbers(pair, database) == ([1, 3] if synchronous else [1, 2])


@pytest.mark.long
def test_a_synchronous_commit_waits_for_the_standby():
    """It is not answered while the standby gets nothing."""
    with postgres_pair("fsync=off") as pair:
        database = pair.primary.database()
        database.execute("CREATE TABLE number (n integer)")
        pair.hold_back()
        insert = "INSERT INTO number VALUES (1)"
        thread = threading.Thread(target=database.execute, args=[insert])
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()
        assert numbers(pair, database) == []
        pair.let_go()
        thread.join(10)
        assert numbers(pair, database) == [1]


def test_a_run_waits_for_the_standby_though_its_commit_is_cancelled():
    """The server answers it as committed then, with a warning; the standby has it before a send."""
    with postgres_pair("fsync=off") as pair:
        name = pair.primary.database().name
        address = address_of(pair.primary.port, name, lease_seconds=60.0, durable="replicated")
        session = Session(address, LeaseTenure(60.0), Availability(address), lambda _: None)
        session.open("run", lambda connection: migrate(connection, address))
        pair.hold_back()
        thread = threading.Thread(target=session.apply, args=[b"{}", [], lambda: None])
        thread.start()
        waits = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        for _ in range(3):  # the commit, and what is committed after it
            while not (pid := pair.primary.value(f"{waits} UNION ALL SELECT 0 LIMIT 1")):
                time.sleep(0.01)
            pair.primary.execute(f"SELECT pg_cancel_backend({pid})")
            thread.join(0.3)
            assert thread.is_alive()
        pair.let_go()
        thread.join(10)
        assert not thread.is_alive()
        session.close()
