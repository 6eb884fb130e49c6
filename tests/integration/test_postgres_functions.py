"""The functions of a ledger in PostgreSQL get newer although the version of its schema stays."""

from dataclasses import replace

import pytest

from dispatcher.ledgers.postgres import migrations
from dispatcher.ledgers.postgres.address import connect
from dispatcher.ledgers.postgres.migrations import migrate
from dispatcher.ledgers.postgres.online_check import check_database
from dispatcher.ledgers.postgres.operator_store import PostgresOperatorStore
from dispatcher.ledgers.postgres.store import PostgresStore
from dispatcher.ports import LedgerError
from dispatcher.ports.orders import PauseOrder
from tests.support.servers.shared import on

pytestmark = on("postgres_server")
OLD_RENEW = """
    CREATE OR REPLACE FUNCTION dispatcher.renew(p_me bigint, p_seconds double precision)
    RETURNS bigint LANGUAGE sql AS $$ SELECT 0::bigint $$
"""
RENEW = "SELECT prosrc FROM pg_proc WHERE proname = 'renew'"
ROLE, PASSWORD = "no_owner", "no-owner-9"


@pytest.fixture
def of_a_run(address):
    """A role that reads and writes, and owns nothing."""
    with connect(address) as server:
        server.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'")
        server.execute(f"GRANT USAGE ON SCHEMA dispatcher TO {ROLE}")
        for kind in ("TABLES", "SEQUENCES", "FUNCTIONS"):
            server.execute(f"GRANT ALL ON ALL {kind} IN SCHEMA dispatcher TO {ROLE}")
    yield replace(
        address, url=address.url.replace("//dispatcher@", f"//{ROLE}@"), password=PASSWORD
    )
    with connect(address) as server:
        server.execute(f"DROP OWNED BY {ROLE}")
        server.execute(f"DROP ROLE {ROLE}")


def become_older(address, recorded=None):
    """Have the functions of another version."""
    with connect(address) as server:
        server.execute(OLD_RENEW)
        server.execute("DROP FUNCTION dispatcher.functions_version()")
        if recorded is not None:
            server.execute(
                "CREATE FUNCTION dispatcher.functions_version() RETURNS text LANGUAGE sql AS "
                f"$$ SELECT '{recorded}' $$"
            )


def is_old(address):
    with connect(address) as server:
        return "0::bigint" in server.execute(RENEW).fetchone()[0]


NEWER = f"{migrations.FUNCTIONS_VERSION + 1} 0123"
OTHER = f"{migrations.FUNCTIONS_VERSION} 0123"


@pytest.mark.parametrize("recorded", [None, "0 0123", OTHER])
async def test_a_run_replaces_older_functions_if_it_may(address, recorded):
    """Also those that were made before versions were recorded, and those of the same version."""
    become_older(address, recorded)
    store = await PostgresStore.open(address)
    await store.close()
    assert not is_old(address)
    assert not store.created


async def test_a_run_leaves_newer_functions_as_they_are(address):
    """Those of a daemon that is newer: the two work side by side, and do not take turns."""
    become_older(address, NEWER)
    store = await PostgresStore.open(address)
    await store.close()
    assert is_old(address)


async def test_who_may_not_replace_functions_refuses_older_ones(address, of_a_run):
    """A run, a command that writes, and a check; the message has what to do."""
    store = await PostgresStore.open(of_a_run)
    await store.close()
    become_older(address)
    for refused in (
        lambda: PostgresOperatorStore(of_a_run).order(PauseOrder(None)),
        lambda: check_database(of_a_run),
    ):
        with pytest.raises(LedgerError, match=r"older than this dispatcher.* ledger migrate"):
            refused()
    with pytest.raises(LedgerError, match=r"older than this dispatcher.* ledger migrate"):
        await PostgresStore.open(of_a_run)
    assert is_old(address)


async def test_a_migration_replaces_functions_alone(address, of_a_run):
    """The schema has its version already; a run may be on. What runs had signed stays signed."""
    store = await PostgresStore.open(of_a_run)
    become_older(address)
    with connect(address) as server:
        assert migrate(server, address) == (2, 2, True)
        assert migrate(server, address) == (2, 2, False)
    assert not is_old(address)
    await store.close()
    store = await PostgresStore.open(of_a_run)
    assert store.adopted is None
    await store.close()


async def test_a_ledger_is_no_copy_after_a_migration_of_its_schema(address, monkeypatch):
    """The row of the store names the transaction that has written it: the migration has."""
    store = await PostgresStore.open(address)
    await store.close()
    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, "leases.sql"))
    with connect(address) as server:
        assert migrate(server, address) == (2, 3, True)
    store = await PostgresStore.open(address)
    assert store.adopted is None
    await store.close()


def test_the_version_of_the_functions_grows_with_them():
    """If this fails, raise `FUNCTIONS_VERSION`, and write the new hash beside it."""
    recorded = migrations.FUNCTIONS_VERSION, migrations.functions_digest()
    assert recorded == (4, "776e9551405c3bdd")
