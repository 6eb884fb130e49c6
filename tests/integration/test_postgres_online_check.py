"""`check --online` finds what would end a run: rights that its user lacks, hosts that refuse it."""

from dataclasses import replace

import pytest

from dispatcher.ledgers.postgres.address import PostgresAddress, connect
from dispatcher.ledgers.postgres.hosts import single_hosts
from dispatcher.ledgers.postgres.online_check import check_database
from dispatcher.ports import LedgerError
from tests.support.servers.shared import on

pytestmark = on("postgres_server")
ROLE, PASSWORD = "checked_role", "checked-7"


@pytest.fixture
def owner(ledger_databases):
    """The address of the owner."""
    address = ledger_databases.create()
    yield address
    ledger_databases.drop(address)


@pytest.fixture
def address(owner):
    """A role with the rights of a run."""
    with connect(owner) as server:
        server.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'")
        server.execute(f"GRANT USAGE ON SCHEMA dispatcher TO {ROLE}")
        server.execute("REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA dispatcher FROM PUBLIC")
        for kind in ("TABLES", "SEQUENCES", "FUNCTIONS"):
            server.execute(f"GRANT ALL ON ALL {kind} IN SCHEMA dispatcher TO {ROLE}")
    yield replace(owner, url=owner.url.replace("//dispatcher@", f"//{ROLE}@"), password=PASSWORD)
    with connect(owner) as server:
        server.execute(f"DROP OWNED BY {ROLE}")
        server.execute(f"DROP ROLE {ROLE}")


@pytest.mark.parametrize(
    ("right", "words"),
    [
        ("EXECUTE ON FUNCTION dispatcher.renew", "EXECUTE on function dispatcher.renew"),
        ("USAGE ON SEQUENCE dispatcher.contact_id_seq", "USAGE on sequence dispatcher.contact_id"),
        ("SELECT ON dispatcher.contact_now", "SELECT on dispatcher.contact_now"),
        ("DELETE ON dispatcher.held", "DELETE on dispatcher.held"),
    ],
)
def test_a_right_that_is_missing_is_named(owner, address, right, words):
    """Of tables and views, and of sequences and functions, without which a run fails later."""
    assert "no dispatcher works on it" in check_database(address)
    with connect(owner) as server:
        server.execute(f"REVOKE {right} FROM {ROLE}")
    with pytest.raises(LedgerError, match=f"this user lacks {words}"):
        check_database(address)


def test_each_host_is_tried_alone(owner):
    """The second one is needed after a failover, and no session comes to it before."""
    host, _, rest = owner.url.rpartition("@")[2].partition("/")
    both = replace(owner, url=f"postgresql://dispatcher@{host},{host}/{rest}")
    assert check_database(both).endswith("; all 2 hosts let this user in")
    away = replace(owner, url=f"postgresql://dispatcher@{host},127.0.0.1:1/{rest}")
    with pytest.raises(
        LedgerError, match=r"ledger postgresql://dispatcher@127\.0\.0\.1:1/"
    ) as error:
        check_database(away)
    assert owner.password not in str(error.value)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("postgresql://u@h/d", []),
        ("postgresql://h/d?sslmode=require", []),
        (
            "postgresql://u@h1,h2:7/d?sslmode=verify-full&sslrootcert=/a%20b&target_session_attrs=any",
            [
                "postgresql://u@h1/d?sslmode=verify-full&sslrootcert=%2Fa%20b",
                "postgresql://u@h2:7/d?sslmode=verify-full&sslrootcert=%2Fa%20b",
            ],
        ),
        (
            "postgresql:///d%2Fe?host=/run/pg,::1&port=6",
            ["postgresql://%2Frun%2Fpg:6/d%2Fe", "postgresql://[::1]:6/d%2Fe"],
        ),
    ],
)
def test_an_address_for_each_host(url, found):
    """All else of the URL stays."""
    assert [it.url for it in single_hosts(PostgresAddress(url))] == found
