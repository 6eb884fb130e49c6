"""What a run needs of a server and a database, before it sends anything."""

import pkgutil
import time
from contextlib import contextmanager
from dataclasses import replace

import psycopg
import pytest

from dispatcher.domain.contact import Contact
from dispatcher.domain.decision import Notify
from dispatcher.domain.progress import NEW
from dispatcher.domain.status import Reason, Relation, Status, Step
from dispatcher.ledgers.postgres import address as address_module
from dispatcher.ledgers.postgres import migrations
from dispatcher.ledgers.postgres.address import PostgresAddress, connect
from dispatcher.ledgers.postgres.store import PostgresStore
from dispatcher.ledgers.registration import CopiedLedgerError
from dispatcher.ports import (
    Batch,
    CommandError,
    Intent,
    LedgerAwayError,
    LedgerError,
    Settlement,
)
from dispatcher.ports.questions import BEGINNING, LineageRows
from tests.support.postgres_ledger import address_of
from tests.support.servers import pgbouncer
from tests.support.servers.postgres import postgres
from tests.support.servers.shared import on

pytestmark = on("postgres_server")
NOW = 1000.0


@contextmanager
def changed(address, setting):
    """Have another setting for all sessions of the database."""
    with connect(address) as server:
        name = address.url.rpartition("/")[2]
        server.execute(f'ALTER DATABASE "{name}" SET {setting}')
    yield


async def refusal(address, **more):
    with pytest.raises(LedgerError) as error:
        await PostgresStore.open(address, **more)
    assert address.password not in str(error.value)
    return str(error.value)


async def deliver(store, number):
    ledger = await store.campaign("a")
    contact = Contact(f"key-{number}", f"talk-{number}", "Hello")
    (claim,) = (await ledger.admit(Batch([contact]), NOW, 1)).claims
    await ledger.intend(Intent(claim.id, Step.NOTIFY, Notify("c"), NOW, claim.progress))
    await ledger.settle(
        Settlement(claim.id, Status.NOTIFIED, Reason.DELIVERED, NOW, NEW, Relation.NOTIFIED)
    )


async def test_a_server_that_may_lose_what_it_confirms_is_refused(address):
    with postgres(fsync=False) as without:
        unsafe = address_of(without.port, without.database().name)
        assert "fsync = off" in await refusal(replace(unsafe, checks_fsync=True))
    with changed(address, "synchronous_commit = local"):
        assert "synchronous_commit = local" in await refusal(address)


async def test_replication_that_is_asked_for_must_be_there(address):
    assert "no synchronous_standby_names" in await refusal(replace(address, durable="replicated"))


async def test_a_provider_may_replicate_below_the_server():
    """It is not looked at then, nor are whole pages; but that the server writes to its disk is."""
    with postgres("full_page_writes=off", fsync=True) as server:
        address = replace(
            address_of(server.port, server.database().name), checks_fsync=True, durable="managed"
        )
        store = await PostgresStore.open(address)
        await store.close()
        for other in ("single", "replicated"):
            assert "full_page_writes = off" in await refusal(replace(address, durable=other))
    with postgres(fsync=False) as server:
        unsafe = address_of(server.port, server.database().name)
        managed = replace(unsafe, checks_fsync=True, durable="managed")
        assert "fsync = off" in await refusal(managed)


async def test_a_server_that_only_reads(address):
    with changed(address, "default_transaction_read_only = on"):
        assert "no server that can be written" in await refusal(address)


async def test_a_database_of_another_encoding(ledger_databases, address):
    name = f"latin_{time.monotonic_ns()}"
    ledger_databases.server.execute(
        f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"
    )
    latin = replace(address, url=address.url.rpartition("/")[0] + f"/{name}")
    assert "ENCODING 'UTF8'" in await refusal(latin)


async def test_an_old_server(address, monkeypatch):
    monkeypatch.setattr(address_module, "OLDEST_SERVER", 990_000)
    assert "14 or newer is needed" in await refusal(address)


@pytest.mark.parametrize(
    ("version", "words"), [(99, "newer dispatcher"), (-1, "dispatcher ledger migrate")]
)
async def test_another_schema(address, monkeypatch, version, words):
    if version < 0:
        monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, "later.sql"))
    else:
        with connect(address) as server:
            server.execute("UPDATE dispatcher.store SET version = %s", [version])
    assert words in await refusal(address)


async def test_a_wrong_password(address):
    assert "password authentication failed" in await refusal(replace(address, password="wrong-1"))


async def test_no_server(address):
    assert "does not answer" in await refusal(
        replace(address, url="postgresql://dispatcher@127.0.0.1:1/none")
    )


@pytest.mark.parametrize(
    "step", ["check_server", "check_schema", "migrate", "register_location", "reads.last_id"]
)
async def test_a_server_that_goes_away_in_a_start_may_come_back(
    ledger_databases, monkeypatch, step
):
    """Whatever step a failover interrupts: the start can be repeated, and nothing is lost."""
    address, ends = ledger_databases.create_empty(), iter([True])
    target = "dispatcher.ledgers.postgres.store." + step
    whole = pkgutil.resolve_name(target)

    def cut(connection, *arguments, **more):
        found = whole(connection, *arguments, **more)
        if next(ends, False):
            connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return found

    monkeypatch.setattr(target, cut)
    with pytest.raises(LedgerAwayError):
        await PostgresStore.open(address)
    store = await PostgresStore.open(address)
    await deliver(store, 1)
    await store.close()
    ledger_databases.drop(address)


async def test_a_server_that_is_full_may_have_room_later(postgres_server, address):
    """Connections of others end."""
    postgres_server.execute("CREATE ROLE full_up LOGIN PASSWORD 'p-1' CONNECTION LIMIT 0")
    url = address.url.replace("//dispatcher@", "//full_up@")
    with pytest.raises(LedgerAwayError, match="too many connections"):
        await PostgresStore.open(replace(address, url=url, password="p-1"))
    postgres_server.execute("DROP ROLE full_up")


async def test_a_server_that_recovers_will_be_written_later():
    """It says so before it takes connections, and a standby until it is promoted."""
    for words in ("starting up", "in recovery mode", "not yet accepting connections"):
        said = psycopg.OperationalError(f"failed: FATAL:  the database system is {words}")
        found = address_module.translate_error(PostgresAddress("postgresql://r@db/x"), said)
        assert isinstance(found, LedgerAwayError)


@pytest.mark.parametrize(
    "words",
    [
        'FATAL:  password authentication failed for user "r"',
        'FATAL:  Peer authentication failed for user "r"',
        'FATAL:  database "x" does not exist',
        'FATAL:  permission denied for database "x"',
        'FATAL:  pg_hba.conf rejects connection for host "h"',
        'FATAL:  unrecognized configuration parameter "foo"',
        "FATAL:  no such database: x",
        'invalid sslmode value: "foo"',
        'invalid integer value "a" for connection option "keepalives_idle"',
        "channel binding required, but SSL not in use",
        'private key file "k" has group or world access',
    ],
)
def test_what_no_wait_cures_is_no_absence(words):
    said = psycopg.OperationalError(f"connection failed: {words}")
    found = address_module.translate_error(PostgresAddress("postgresql://r@db/x"), said)
    assert not isinstance(found, LedgerAwayError)
    assert "the server says" not in str(found)  # it says what to do


async def test_a_server_that_is_silent_in_a_start_is_away(address, postgres_server, monkeypatch):
    """A frozen server still acknowledges, so no error comes by itself."""
    monkeypatch.setattr("dispatcher.ledgers.postgres.watchdog.ANSWER_SECONDS", 0.3)

    def freeze(*_):
        postgres_server.freeze()

    monkeypatch.setattr("dispatcher.ledgers.postgres.store.check_server", freeze)
    try:
        with pytest.raises(LedgerAwayError):
            await PostgresStore.open(address)
    finally:
        postgres_server.thaw()


async def test_an_empty_database_becomes_a_ledger(ledger_databases):
    address = ledger_databases.create_empty()
    for created in (True, False):
        store = await PostgresStore.open(address)
        assert (store.created, store.adopted) == (created, None)
        await deliver(store, created)
        await store.close()
    ledger_databases.drop(address)


async def test_a_copy_is_refused_until_it_is_adopted(ledger_databases, address):
    """Then it is another ledger: cursors of the other one are not its own."""
    store = await PostgresStore.open(address)
    await deliver(store, 1)
    page = await store.page(LineageRows(), BEGINNING)
    await store.close()
    name, copied = address.url.rpartition("/")[2], f"copy_{time.monotonic_ns()}"
    ledger_databases.server.execute(f'CREATE DATABASE {copied} TEMPLATE "{name}"')
    copy = replace(address, url=address.url.rpartition("/")[0] + f"/{copied}")
    with pytest.raises(CopiedLedgerError, match="this is a copy"):
        await PostgresStore.open(copy)
    store = await PostgresStore.open(copy, adopt=True)
    assert "another database" in store.adopted
    with pytest.raises(CommandError, match="cursor"):
        await store.page(LineageRows(), page.cursor)
    await store.close()
    store = await PostgresStore.open(copy)
    assert store.adopted is None
    await store.close()
    ledger_databases.drop(copy)


@pytest.mark.skipif(pgbouncer.PROGRAM is None, reason=pgbouncer.MISSING)
async def test_a_run_through_a_pooler(address, postgres_server):
    """In transaction mode, where each statement may come to another session."""
    with pgbouncer.pgbouncer(postgres_server.port) as port:
        url = address.url.replace(f":{postgres_server.port}/", f":{port}/")
        store = await PostgresStore.open(replace(address, url=url, pooler=True))
        for number in range(20):
            await deliver(store, number)
        assert (await (await store.campaign("a")).totals()).admitted == 20
        assert len((await store.page(LineageRows(), BEGINNING)).rows) == 20
        await store.close()
