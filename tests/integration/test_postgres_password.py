"""The password of the database changes while a run is on: no connection ends it."""

import asyncio
from dataclasses import replace

import pytest

from dispatcher.app.store import address_of
from dispatcher.ledgers.postgres.address import connect
from dispatcher.ledgers.postgres.store import PostgresStore
from dispatcher.ports.questions import BEGINNING, LineageRows
from dispatcher.settings import load
from tests.support.servers.shared import on

pytestmark = on("postgres_server")
ROLE = "changing"
OLD, NEW = "old-secret-1", "new-secret-2"


@pytest.fixture
def database(ledger_databases):
    database = ledger_databases.create()
    with connect(database) as server:
        server.execute(f"CREATE ROLE {ROLE} SUPERUSER LOGIN PASSWORD '{OLD}'")
    yield database
    ledger_databases.drop(database)
    ledger_databases.server.execute(f"DROP ROLE {ROLE}")


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "password"
    file.write_text(OLD)
    return file


@pytest.fixture
def address(database, file, monkeypatch):
    """The address of a run whose configuration names the file."""
    monkeypatch.chdir(file.parent)
    flags = {
        "ledger.url": database.url.replace("//dispatcher@", f"//{ROLE}@"),
        "ledger.password_file": str(file),
    }
    found = address_of(load(None, env={}, flags=flags, purpose="status").ledger_place)
    assert OLD not in repr(found)
    return replace(found, checks_fsync=False, away_seconds=60.0)


def change_on_server(database):
    """Change the password, and end all connections that were made with the old one."""
    with connect(database) as server:
        server.execute(f"ALTER ROLE {ROLE} PASSWORD '{NEW}'")
        server.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{ROLE}'"
        )


async def test_a_new_password_is_read_when_a_connection_is_made(database, address, file):
    """Of the writer and of the reader. In the moment of the change there may be no file at all."""
    store = await PostgresStore.open(address)
    await store.page(LineageRows(), BEGINNING)
    file.write_text(NEW)
    change_on_server(database)
    await store.campaign("a")
    await store.page(LineageRows(), BEGINNING)
    await store.close()


async def test_a_login_that_is_refused_later_on_is_waited_for(database, address, file):
    """The server has the new password, and the file not yet."""
    store = await PostgresStore.open(address)
    file.unlink()
    change_on_server(database)
    opening = asyncio.ensure_future(store.campaign("a"))
    while "the server refuses the login" not in store.away_reason:  # noqa: ASYNC110 - no event
        await asyncio.sleep(0.01)
    assert OLD not in store.away_reason
    reading = asyncio.ensure_future(store.page(LineageRows(), BEGINNING))
    file.write_text(NEW)
    await opening
    await reading
    assert (store.away_since, store.away_reason) == (None, "")
    await store.close()
