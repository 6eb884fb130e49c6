"""Where a test's ledger is: in a file, or with ``LEDGER=postgres`` in a database of its own.

One server serves all tests of a process. Commands find its password in their environment.
"""

import asyncio
import atexit
import os
import sqlite3
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from dispatcher.ledgers.lineage_log import SqliteLineageLog
from dispatcher.ledgers.operator_store import SqliteOperatorStore
from dispatcher.ledgers.postgres.address import PostgresAddress, connect
from dispatcher.ledgers.postgres.lineage_log import PostgresLineageLog
from dispatcher.ledgers.postgres.migrations import schema_version
from dispatcher.ledgers.postgres.operator_store import PostgresOperatorStore
from dispatcher.ledgers.postgres.store import PostgresStore
from dispatcher.ledgers.store import SqliteStore
from dispatcher.ports import Lease, LeaseKind, OperatorStore, Store
from dispatcher.settings import LedgerPlace
from dispatcher.settings.ledger import LedgerSettings
from tests.support.servers.postgres import PASSWORD, USER, Postgres, postgres

KIND = os.environ.get("LEDGER", "file")
"""The kind of all ledgers of this run of the suites: "file" or "postgres"."""
if KIND == "postgres":
    os.environ["PGPASSWORD"] = PASSWORD
LEASE_SECONDS = 3
"""How long a run that was killed keeps its campaigns."""


@dataclass(frozen=True)
class ServerLedger:
    """A database; as text it is the URL, without the password."""

    address: PostgresAddress

    def __str__(self) -> str:
        return self.address.url

    @property
    def name(self) -> str:
        """The ledger in messages."""
        return self.address.name

    def exists(self) -> bool:
        """Return whether a run has made a ledger of the database."""
        with closing(connect(self.address)) as connection:
            return schema_version(connection) > 0

    def execute(self, statement: str) -> int:
        """Execute a statement; return the number of rows that it concerned."""
        with closing(connect(self.address)) as connection:
            return connection.execute(statement.encode()).rowcount


AnyLedger = Path | ServerLedger
LINEAGE_LOG: Any = SqliteLineageLog if KIND == "file" else PostgresLineageLog
"""What sends the lineage of a ledger to sinks."""


def of_a_file(reason: str) -> pytest.MarkDecorator:
    """Mark tests of what only a ledger in a file has, or what is made otherwise in a database."""
    return pytest.mark.skipif(KIND != "file", reason=reason)


_databases: dict[Path, ServerLedger] = {}


def ledger_in(folder: Path) -> AnyLedger:
    """Return the ledger of a folder: a path in it, or a database, which is empty at first."""
    if KIND == "file":
        return folder / "ledger.db"
    if folder not in _databases:
        _databases[folder] = new_database()
    return _databases[folder]


def forget_ledgers(tree: Path) -> None:
    """Forget the ledgers in a folder and below it, which is removed: a later one has its name.

    What runs have kept beside a ledger in a database, they have kept where they were started.
    """
    for folder in [*_databases]:
        if folder.is_relative_to(tree):
            database = _databases.pop(folder).address.url.rpartition("/")[2]
            for kept in Path().glob(f"ledger-{database}-*.json"):
                kept.unlink(missing_ok=True)


def new_database() -> ServerLedger:
    """Return an empty database."""
    server = _server()
    url = f"postgresql://{USER}@127.0.0.1:{server.port}/{server.database().name}"
    return ServerLedger(PostgresAddress(url, PASSWORD, lease_seconds=LEASE_SECONDS))


@cache
def _server() -> Postgres:
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(postgres(fsync=True))


def settings_of(ledger: AnyLedger) -> dict[str, object]:
    """Return the settings with which runs use a ledger, but for its place."""
    if isinstance(ledger, Path):
        return {}
    return {"ledger.lease_seconds": LEASE_SECONDS, "ledger.state_file": "off"}


def place_setting(ledger: AnyLedger) -> dict[str, object]:
    """Return the setting that says where a ledger is."""
    return {"ledger.path" if isinstance(ledger, Path) else "ledger.url": str(ledger)}


def toml_of(ledger: AnyLedger) -> str:
    """Return the section of a configuration with a ledger."""
    if isinstance(ledger, Path):
        return f'[ledger]\npath = "{ledger}"\n'
    return f'[ledger]\nurl = "{ledger}"\nlease_seconds = {LEASE_SECONDS}\nstate_file = "off"\n'


def operator_of(ledger: AnyLedger | str) -> OperatorStore:
    """Return a ledger as a command of an operator has it."""
    if isinstance(ledger, ServerLedger):
        return PostgresOperatorStore(ledger.address)
    return SqliteOperatorStore(Path(ledger))


def place_of(ledger: AnyLedger) -> LedgerPlace:
    """Return where a ledger is, as commands have it."""
    if isinstance(ledger, Path):
        return LedgerPlace.of_file(ledger)
    return LedgerPlace(LedgerSettings(url=str(ledger)))


def fetch(ledger: AnyLedger, statement: str) -> list[tuple[object, ...]]:
    """Return what a statement selects from ``{}table``."""
    if isinstance(ledger, ServerLedger):
        with closing(connect(ledger.address)) as connection:
            return connection.execute(statement.replace("{}", "dispatcher.").encode()).fetchall()
    with closing(sqlite3.connect(ledger)) as file:
        return file.execute(statement.replace("{}", "")).fetchall()


def change(ledger: AnyLedger, statement: str) -> int:
    """Execute a statement on ``{}table``; return the number of rows that it concerned."""
    if isinstance(ledger, ServerLedger):
        return ledger.execute(statement.replace("{}", "dispatcher."))
    with closing(sqlite3.connect(ledger)) as file, file:
        return file.execute(statement.replace("{}", "")).rowcount


async def open_store(ledger: AnyLedger, campaign: str) -> Store:
    """Open a ledger as a run has it, also after one that was killed; close it afterwards."""
    if isinstance(ledger, ServerLedger):
        store = await PostgresStore.open(ledger.address)
        leases = [Lease(LeaseKind.CAMPAIGN, campaign)]
        while await store.try_take(leases):  # noqa: ASYNC110 - another process ends its lease
            await asyncio.sleep(0.1)
        return store
    return await SqliteStore.open(ledger, campaign)
