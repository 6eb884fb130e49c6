"""The proxy that breaks connections to PostgreSQL at chosen messages."""

import socket
import threading
import time

import psycopg
import pytest

from tests.support.pg_messages import Back, Front, steps
from tests.support.pg_proxy import Does, Rule, pg_proxy
from tests.support.servers.postgres import PASSWORD, USER
from tests.support.servers.shared import on

pytestmark = on("postgres_server")
INSERT = "INSERT INTO number VALUES (%s) RETURNING n"


@pytest.fixture
def database(postgres_server):
    """A database with one empty table."""
    made = postgres_server.database()
    made.execute("CREATE TABLE number (n integer)")
    return made


@pytest.fixture
def proxy(database):
    """A proxy in front of it."""
    with pg_proxy(database.port) as running:
        yield running


@pytest.fixture
def connect(database, proxy):
    """Connects through the proxy; each statement commits."""
    opened = []

    def connected(port=None, **more):
        where = {"host": "127.0.0.1", "port": port or proxy.port, "dbname": database.name}
        login = {"user": USER, "password": PASSWORD, "autocommit": True, "connect_timeout": 2}
        opened.append(psycopg.connect(**where, **login, **more))
        return opened[-1]

    yield connected
    for connection in opened:
        connection.close()


@pytest.fixture
def numbers(database, connect):
    """Reads the table past the proxy, once no other session is in the middle of a statement."""
    direct = connect(database.port)
    busy = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
        " AND state = 'active'"
    )

    def read():
        while direct.execute(busy, [database.name]).fetchone() != (0,):
            time.sleep(0.01)
        return [n for (n,) in direct.execute("SELECT n FROM number ORDER BY n")]

    return read


def broken(connection, value=1):
    """Execute the statement, which is to fail with the connection."""
    with pytest.raises(psycopg.OperationalError):
        connection.execute(INSERT, [value])


def test_without_a_rule_all_passes_and_every_message_is_known(proxy, connect, numbers):
    """Also one that was prepared, a pipeline, and a large answer."""
    seen = proxy.record()
    connection = connect(prepare_threshold=0)
    for n in range(3):
        assert connection.execute(INSERT, [n]).fetchone() == (n,)
    with connection.pipeline():
        connection.execute(INSERT, [3])
        connection.execute("SELECT repeat('x', 100000)")
    connect().execute("SELECT n FROM number; SELECT 1")
    assert numbers() == [0, 1, 2, 3]
    assert steps(seen, "INSERT")[:2] == [Front.PARSE, Front.SYNC]
    own = [Front.BIND, Front.EXECUTE, Back.BOUND, Back.ROW, Back.COMPLETE, Back.READY]
    assert set(own) <= set(steps(seen, "INSERT"))
    assert all(message.kind for message in seen)


@pytest.mark.parametrize(
    ("kind", "does", "is_there"),
    [
        (Front.EXECUTE, Does.CUT, False),
        (Front.EXECUTE, Does.CUT_AFTER, False),  # without Sync there is no commit
        (Front.SYNC, Does.CUT, False),
        (Front.SYNC, Does.CUT_AFTER, True),
        (Back.READY, Does.CUT, True),
        (Back.COMPLETE, Does.CUT, True),
        (Back.READY, Does.CUT_AFTER, True),
    ],
)
def test_a_connection_is_cut_at_a_message(proxy, connect, numbers, kind, does, is_there):
    """Before or after it arrives; only the chosen statement is hit, and new connections live."""
    rule = proxy.add(Rule(kind, does, sql="INSERT INTO number"))
    connection = connect()
    connection.execute("SELECT 1")
    if (kind, does) == (Back.READY, Does.CUT_AFTER):
        connection.execute(INSERT, [1])
    else:
        broken(connection)
    assert rule.fired.wait(5)
    assert numbers() == [1] * is_there
    again = connect()
    again.execute(INSERT, [2])
    assert numbers() == [*[1] * is_there, 2]


def test_a_rule_waits_for_its_match_and_is_spent(proxy, connect, numbers):
    """The second statement is hit, the third is not."""
    proxy.add(Rule(Front.SYNC, sql="INSERT", nth=2))
    first = connect()
    first.execute(INSERT, [1])
    broken(first, 2)
    connect().execute(INSERT, [3])
    assert numbers() == [1, 3]


def test_a_half_open_connection_keeps_its_session(proxy, connect, numbers, database):
    """The answer does not come, the client gives up, and the server still has the session."""
    rule = proxy.add(Rule(Back.READY, Does.HALF_OPEN, sql="INSERT"))
    connection = connect(application_name="half-open")
    thread = threading.Thread(target=broken, args=[connection])
    thread.start()
    assert rule.fired.wait(5)
    assert thread.is_alive()
    assert numbers() == [1]
    number = connection.fileno()
    with socket.fromfd(number, socket.AF_INET, socket.SOCK_STREAM) as raw:
        raw.shutdown(socket.SHUT_RDWR)
    thread.join(5)
    assert not thread.is_alive()
    with connect(database.port) as direct:
        left = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'half-open'"
        assert direct.execute(left).fetchone() == (1,)
        proxy.cut()
        while direct.execute(left).fetchone() != (0,):
            time.sleep(0.01)


def test_a_message_is_late(proxy, connect, numbers):
    """And what follows it."""
    proxy.add(Rule(Front.EXECUTE, Does.DELAY, sql="INSERT", seconds=0.3))
    connection, began = connect(), time.monotonic()
    connection.execute(INSERT, [1])
    assert time.monotonic() - began >= 0.3
    assert numbers() == [1]


def test_new_connections_are_refused_and_open_ones_go_on(proxy, connect, numbers):
    """Until they are accepted again."""
    connection = connect()
    connection.execute("SELECT 1")
    for _ in range(3):
        proxy.refuse()
        with pytest.raises(psycopg.OperationalError, match="refused"):
            connect()
        connection.execute(INSERT, [1])
        proxy.accept()
        connect().execute("SELECT 1")


def test_nothing_passes_until_it_flows(proxy, connect, numbers):
    """In an open connection and in a new one; a new one that waits too long gives up."""
    connection = connect()
    connection.execute("SELECT 1")
    proxy.stall()
    with pytest.raises(psycopg.errors.ConnectionTimeout):
        connect()
    thread = threading.Thread(target=connection.execute, args=[INSERT, [1]])
    thread.start()
    time.sleep(0.1)
    assert numbers() == []
    proxy.flow()
    thread.join(5)
    assert numbers() == [1]


def test_a_failover_leads_to_another_server(proxy, connect):
    """Open connections are cut, new ones go to the other port."""
    connection = connect()
    connection.execute("SELECT 1")
    with pg_proxy(proxy.target) as other:
        proxy.fail_over(other.port)
        broken(connection)
        connect().execute("SELECT 1")
        assert other.connections == 1
