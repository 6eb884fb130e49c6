"""Servers that many tests use: one of each for a whole run of the suite.

A worker starts its own servers, and each of these takes seconds. So the tests that use one are all
given to one worker (`make test` distributes by groups), one after the other: they may stop it.
"""

from collections.abc import Iterator, Sequence

import pytest

from dispatcher.ledgers.postgres.address import PostgresAddress
from tests.support.postgres_ledger import LedgerDatabases
from tests.support.servers.kafka import Broker, kafka
from tests.support.servers.postgres import Postgres, postgres
from tests.support.servers.s3 import S3, s3
from tests.support.servers.snowflake import Snowflake, snowflake


def on(server: str) -> pytest.MarkDecorator:
    """Mark a test, a module or a parameter that uses a fixture of this module by its name."""
    return pytest.mark.xdist_group(server)


def marks_of(fixture: str) -> Sequence[pytest.MarkDecorator]:
    """Return the marks of a parameter that takes this fixture: none if it is not a server."""
    return [on(fixture)] if fixture.endswith("_server") else []


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3]:
    """Buckets, by moto."""
    with s3() as running:
        yield running


@pytest.fixture(scope="session")
def kafka_server() -> Iterator[Broker]:
    """Topics, by tansu."""
    with kafka() as running:
        yield running


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """Databases of PostgreSQL; runs refuse a server without fsync."""
    with postgres(fsync=True) as running:
        yield running


@pytest.fixture(scope="session")
def ledger_databases(postgres_server: Postgres) -> LedgerDatabases:
    """Databases with a ledger, on the server of the databases."""
    return LedgerDatabases(postgres_server)


@pytest.fixture
def address(ledger_databases: LedgerDatabases) -> Iterator[PostgresAddress]:
    """The address of a new database with an empty ledger."""
    address = ledger_databases.create()
    yield address
    ledger_databases.drop(address)


@pytest.fixture(scope="session")
def snowflake_server() -> Iterator[Snowflake]:
    """Databases of Snowflake, by fakesnow."""
    with snowflake() as running:
        yield running
