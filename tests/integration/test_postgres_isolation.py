"""Every transaction of a ledger is READ COMMITTED, whatever the server has as its default.

The guard of a person is a lock, and the look at the person follows in a later statement: with a
snapshot of the whole transaction it would not see what the run committed that had the lock before.
"""

import threading
import time
from contextlib import closing
from dataclasses import replace

import psycopg
import pytest

from dispatcher.ledgers.postgres.address import connect
from dispatcher.ledgers.postgres.operator_connection import OperatorConnection
from dispatcher.ledgers.postgres.statements import snapshot, transaction
from tests.support.servers import pgbouncer
from tests.support.servers.shared import on

pytestmark = on("postgres_server")
ISOLATION = "SELECT current_setting('transaction_isolation')"
DEFAULTS = ["serializable", "repeatable read"]
GUARDED = """
CREATE TABLE public.reached (person text);
CREATE TABLE public.guard (person text PRIMARY KEY);
INSERT INTO public.guard VALUES ('ada');
CREATE FUNCTION public.reach() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM public.guard WHERE person = 'ada' FOR NO KEY UPDATE;
    IF EXISTS (SELECT FROM public.reached WHERE person = 'ada') THEN RETURN FALSE; END IF;
    INSERT INTO public.reached VALUES ('ada');
    RETURN TRUE;
END $$
"""
"""As the functions of the ledger do it: the guard, then a look in a statement of its own."""


@pytest.fixture(params=DEFAULTS)
def address(request, ledger_databases):
    """A ledger in a database with another default."""
    address = ledger_databases.create()
    name = address.url.rpartition("/")[2]
    ledger_databases.server.execute(
        f"ALTER DATABASE \"{name}\" SET default_transaction_isolation = '{request.param}'"
    )
    yield address
    ledger_databases.drop(address)


@pytest.fixture(params=["directly", "as through a pooler", "through a pooler"])
def way(request, address, postgres_server):
    """The address by which connections are made."""
    if request.param == "directly":
        yield address
    elif request.param == "as through a pooler":  # no setting of the session is sent
        yield replace(address, pooler=True)
    elif pgbouncer.PROGRAM is None:
        pytest.skip(pgbouncer.MISSING)
    else:
        with pgbouncer.pgbouncer(postgres_server.port) as port:
            url = address.url.replace(f":{postgres_server.port}/", f":{port}/")
            yield replace(address, url=url, pooler=True)


def isolation(connection):
    (found,) = connection.execute(ISOLATION).fetchone()
    return found


@pytest.mark.parametrize("more", [{}, {"read_only": True}, {"of_a_run": True}], ids=str)
def test_each_kind_of_connection_is_read_committed(way, more):
    """A statement alone, and one in a transaction, also after an error."""
    with closing(connect(way, **more)) as connection:
        assert isolation(connection) == "read committed"
        with connection.transaction():
            assert isolation(connection) == "read committed"
            assert isolation(connection) == "read committed"
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.execute("SELECT 1 / 0")
        assert isolation(connection) == "read committed"
        with snapshot(connection):
            assert isolation(connection) == "repeatable read"
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


@pytest.mark.parametrize("url", ["client_encoding=LATIN1", "application_name=x"])
def test_text_goes_to_the_server_as_utf_8(way, url):
    """Whatever the URL, the user or the database has: a group of changes is sent as bytes."""
    mark = "&" if "?" in way.url else "?"
    with closing(connect(replace(way, url=f"{way.url}{mark}{url}"))) as connection:
        assert connection.execute("SHOW client_encoding").fetchone() == ("UTF8",)


def test_the_connection_of_a_command_is_read_committed(way):
    """Orders of an operator take guards, too."""
    opened = OperatorConnection(way)
    try:
        with opened.errors() as connection:
            assert isolation(connection) == "read committed"
            with transaction(connection):
                assert isolation(connection) == "read committed"
            connection.execute("VACUUM dispatcher.campaign")  # it cannot be in a transaction
    finally:
        opened.close()


def test_a_look_after_the_guard_has_what_was_committed_before_it(way, address):
    """Two sessions reach for one person at a time: one of them does."""
    with closing(connect(way)) as first, closing(connect(way)) as second:
        for statement in GUARDED.split(";\n", 3):
            first.execute(statement)
        found = []
        with first.transaction():
            assert first.execute("SELECT public.reach()").fetchone() == (True,)
            other = threading.Thread(
                target=lambda: found.append(second.execute("SELECT public.reach()").fetchone())
            )
            other.start()
            wait_for_lock(address)
        other.join(10)
    assert found == [(False,)]


def wait_for_lock(address):
    """Return when a session waits for the guard, without the few sessions of the pooler."""
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with closing(connect(address)) as watcher:
        while watcher.execute(f"{waits} AND datname = current_database()").fetchone() == (0,):
            time.sleep(0.01)
