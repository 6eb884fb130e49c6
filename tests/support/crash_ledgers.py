"""Where the ledger of a world is: in a file, or in a database behind a proxy."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from dispatcher.domain.status import Reason, Relation, Status
from tests.support.lazy_imports import Lazily
from tests.support.ledger_reader import LedgerReader
from tests.support.pg_proxy import PgProxy, pg_proxy
from tests.support.servers.postgres import (
    PASSWORD,
    PASSWORD_VARIABLE,
    USER,
    Cluster,
    Postgres,
    PostgresDatabase,
    cluster_folder,
)
from tests.support.servers.postgres_pair import PostgresPair, postgres_pair

psycopg = Lazily("psycopg")

LEDGERS = ("file", "postgres")
LEASE_SECONDS = 3
AWAY_MINUTES = 1.0


class Contact(Protocol):
    """What a verdict reads of a contact."""

    conversation_id: str
    status: Status
    reason: Reason | None


class Link(Protocol):
    """What a verdict reads of the lineage."""

    campaign: str
    previous_conversation_id: str
    conversation_id: str | None
    message_id: str | None
    relation: Relation
    external_contact_id: str | None


class WorldLedger(Protocol):
    """The ledger of a world."""

    @property
    def kind(self) -> str:
        """One of `LEDGERS`."""
        ...

    @property
    def place(self) -> str:
        """What ``--ledger`` names."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings with which a run uses it."""
        ...

    def contacts(self, campaign: str) -> Sequence[Contact]:
        """Return all contacts of a campaign."""
        ...

    def lineage(self, campaign: str) -> Sequence[Link]:
        """Return the lineage of a campaign."""
        ...

    def run_is_dead(self) -> None:
        """Let the time go by that the next run must wait after a kill."""
        ...

    def heal(self) -> None:
        """End all faults between the runs and the ledger."""
        ...


@dataclass(frozen=True)
class FileLedger:
    """A ledger in a file."""

    path: Path
    kind = "file"

    @property
    def place(self) -> str:
        """The path."""
        return str(self.path)

    @property
    def settings(self) -> Mapping[str, Any]:
        """Nothing more is needed."""
        return {}

    def contacts(self, campaign: str) -> Sequence[Contact]:
        """Return all contacts of a campaign."""
        with LedgerReader(self.path, campaign) as reader:
            return [row for status in Status for row in reader.contacts(status)]

    def lineage(self, campaign: str) -> Sequence[Link]:
        """Return the lineage of a campaign."""
        with LedgerReader(self.path, campaign) as reader:
            return list(reader.lineage())

    def run_is_dead(self) -> None:
        """Do nothing: the lock of a file ends with its process."""

    def heal(self) -> None:
        """Do nothing: there is nothing between."""


@dataclass(frozen=True)
class ReadContact:
    """A contact as the database has it."""

    conversation_id: str
    status: Status
    reason: Reason | None


@dataclass(frozen=True)
class ReadLink:
    """A row of the lineage as the database has it."""

    campaign: str
    previous_conversation_id: str
    conversation_id: str | None
    message_id: str | None
    relation: Relation
    external_contact_id: str | None


class ServerLedger:
    """A ledger in a database of its own; the runs reach it by a proxy, the verdict does not.

    Of a ``pair`` the runs use the primary, also after it was killed and the standby promoted.
    """

    kind = "postgres"

    def __init__(
        self, proxy: PgProxy, cluster: Cluster | None = None, pair: PostgresPair | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.proxy, self.pair = proxy, pair
        self._cluster, self._more = cluster, more or {}
        self._name = self.server.database().name

    @property
    def server(self) -> Postgres:
        """The server that takes writes now."""
        if self.pair:
            return self.pair.primary
        assert self._cluster is not None
        return self._cluster.server

    @property
    def database(self) -> PostgresDatabase:
        """The database, past the proxy."""
        return PostgresDatabase(self.server.port, self._name)

    @property
    def place(self) -> str:
        """The URL."""
        return f"postgresql://{USER}@127.0.0.1:{self.proxy.port}/{self._name}"

    @property
    def settings(self) -> Mapping[str, Any]:
        """The password, and short times."""
        return {
            "ledger.password_variable": PASSWORD_VARIABLE,
            "ledger.lease_seconds": LEASE_SECONDS,
            "ledger.away_minutes": AWAY_MINUTES,
            **self._more,
        }

    def contacts(self, campaign: str) -> Sequence[Contact]:
        """Return all contacts of a campaign, by a query of its own."""
        rows = self.rows(
            "SELECT conversation_id, contact_now.status, reason FROM dispatcher.contact_now"
            " INNER JOIN dispatcher.campaign ON campaign.id = campaign_id WHERE name = %s",
            campaign,
        )
        return [
            ReadContact(conversation, Status(status), Reason(reason) if reason else None)
            for conversation, status, reason in rows
        ]

    def lineage(self, campaign: str) -> Sequence[Link]:
        """Return the lineage of a campaign, by a query of its own."""
        rows = self.rows(
            "SELECT campaign, previous_conversation_id, conversation_id, message_id, relation,"
            " external_contact_id FROM dispatcher.lineage_row WHERE campaign = %s",
            campaign,
        )
        return [ReadLink(*row[:4], Relation(row[4]), row[5]) for row in rows]

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return what a query finds, past the proxy."""
        where = {"host": "127.0.0.1", "port": self.server.port, "dbname": self._name}
        login = {"user": USER, "password": PASSWORD, "autocommit": True}
        with psycopg.connect(**where, **login) as connection:
            return list(connection.execute(query, values))

    def run_is_dead(self) -> None:
        """End the leases of all runs, also while a session of the dead one is about to commit.

        If that session waits for more from the run, the connection is cut.
        """
        if self.rows("SELECT to_regclass('dispatcher.daemon')") == [(None,)]:
            return
        ended = "UPDATE dispatcher.daemon SET lease_until = least(lease_until, clock_timestamp())"
        try:
            self.database.execute(f"SET lock_timeout = 500; {ended}")
        except psycopg.errors.LockNotAvailable:
            self.proxy.cut()
            self.database.execute(ended)

    def kill_server(self) -> None:
        """End the server and all its processes with SIGKILL."""
        if self.pair:
            self.pair.kill()
        else:
            assert self._cluster is not None
            self._cluster.kill()

    def restart_server(self) -> None:
        """Start it again, as it was."""
        if self.pair:
            self.pair.restart()
        else:
            assert self._cluster is not None
            self._cluster.start()

    def heal(self) -> None:
        """Let everything pass, to the server that takes writes."""
        self.proxy.clear()
        self.proxy.flow()
        self.proxy.accept()
        self.proxy.target = self.server.port


@contextmanager
def ledger_for(
    kind: str, folder: Path, *, replicated: bool = False, synchronous: bool = True
) -> Iterator[WorldLedger]:
    """Have a ledger of a kind, with a server of its own; a ``replicated`` one has a standby.

    One that is not ``synchronous`` may be behind.
    """
    if kind == "file":
        yield FileLedger(folder / "ledger.db")
    elif replicated:
        durable = "replicated" if synchronous else "single"
        with (
            postgres_pair(synchronous=synchronous) as pair,
            pg_proxy(pair.primary.port) as proxy,
        ):
            yield ServerLedger(proxy, pair=pair, more={"ledger.durable": durable})
    else:
        with cluster() as running, pg_proxy(running.server.port) as proxy:
            yield ServerLedger(proxy, running)


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Run a server that syncs its log, as a ledger needs it."""
    with cluster_folder() as folder:
        made = Cluster(folder)
        made.create()
        try:
            made.start()
            yield made
        finally:
            made.stop()
