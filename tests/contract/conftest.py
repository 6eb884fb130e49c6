"""The stores and ledgers that the contract tests run against; new kinds are added here."""

from dataclasses import replace
from pathlib import Path

import pytest

from dispatcher.ledgers.ledger import SqliteLedger
from dispatcher.ledgers.operator_store import SqliteOperatorStore
from dispatcher.ledgers.postgres.operator_store import PostgresOperatorStore
from dispatcher.ledgers.postgres.store import PostgresStore
from dispatcher.ledgers.store import SqliteStore
from tests.support.discarded_sessions import discarded_sessions
from tests.support.memory_ledger import MemoryLedger
from tests.support.postgres_ledger import address_of
from tests.support.servers import pgbouncer
from tests.support.servers.shared import on

NOW = 1000.0


POSTGRES = pytest.param("postgres", marks=on("postgres_server"))
POOLED = pytest.param("pooled", marks=on("postgres_server"))
"""The same through the real pgbouncer, or as if through one: see `discarded_sessions`."""
DATABASES = ("postgres", "pooled")


@pytest.fixture(scope="session")
def pooler(postgres_server):
    """The port of pgbouncer in transaction mode."""
    with pgbouncer.pgbouncer(postgres_server.port) as port:
        yield port


@pytest.fixture
def postgres_address(request):
    """A database with an empty ledger, of this test alone."""
    databases = request.getfixturevalue("ledger_databases")
    address = databases.create()
    yield address
    databases.drop(address)


@pytest.fixture
def pooled_address(request, postgres_address):
    """The same, through the pooler, where each statement may come to another session."""
    if pgbouncer.PROGRAM is None:
        with discarded_sessions():
            yield replace(postgres_address, pooler=True)
        return
    port = request.getfixturevalue("pooler")
    name = postgres_address.url.rpartition("/")[2]
    yield address_of(port, name, pooler=True)


@pytest.fixture(params=["sqlite", "memory", POSTGRES, POOLED])
async def open_ledger(request, tmp_path):
    """Open one and the same ledger again and again, one at a time, for a campaign by name."""
    opened, stores = [], []
    in_database = request.param in DATABASES
    address = request.getfixturevalue(f"{request.param}_address") if in_database else None

    async def open_again(campaign="campaign"):
        if request.param == "memory":
            opened.append(MemoryLedger(0, campaign, beside=opened[-1] if opened else None))
            return opened[-1]
        if in_database:
            if stores:
                await stores[-1].close()
            stores.append(await PostgresStore.open(address, now=lambda: NOW))
            opened.append(await stores[-1].campaign(campaign))
            opened[-1].recover = stores[-1].take_up
            return opened[-1]
        if opened:
            await opened[-1].close()
        path = tmp_path / "ledger.db"
        opened.append(await SqliteLedger.open(path, campaign, now=lambda: NOW))
        return opened[-1]

    yield open_again
    if request.param == "sqlite" and opened:
        await opened[-1].close()
    if stores:
        await stores[-1].close()


@pytest.fixture
async def ledger(open_ledger):
    return await open_ledger()


@pytest.fixture(params=["sqlite", POSTGRES, POOLED])
def store_place(request, tmp_path):
    """The place of a store that is not there yet: a path, or an address."""
    if request.param in DATABASES:
        return request.getfixturevalue(f"{request.param}_address")
    return tmp_path / "ledger.db"


@pytest.fixture
async def open_store(store_place):
    """Open one and the same store again and again, one at a time, with a first campaign."""
    opened = []

    async def open_again(campaign="a"):
        if opened:
            await opened[-1].close()
        if isinstance(store_place, Path):
            opened.append(await SqliteStore.open(store_place, campaign, now=lambda: NOW))
        else:
            opened.append(await PostgresStore.open(store_place, now=lambda: NOW))
            await opened[-1].campaign(campaign)
        return opened[-1]

    yield open_again
    if opened:
        await opened[-1].close()


@pytest.fixture
async def store(open_store):
    return await open_store()


@pytest.fixture(params=["sqlite", POSTGRES])
def operator_of_nothing(request, tmp_path):
    """An operator of a file that is not there, or of a database without a ledger."""
    if request.param == "sqlite":
        return SqliteOperatorStore(tmp_path / "ledger.db")
    databases = request.getfixturevalue("ledger_databases")
    return PostgresOperatorStore(databases.create_empty())


@pytest.fixture
def operator(store_place):
    """The same store for a command of an operator."""
    if isinstance(store_place, Path):
        return SqliteOperatorStore(store_place)
    return PostgresOperatorStore(store_place)
