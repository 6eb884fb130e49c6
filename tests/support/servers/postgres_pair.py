"""Two servers of PostgreSQL: a primary, and a physical standby that streams from it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.lazy_imports import Lazily
from tests.support.servers.postgres import (
    PASSWORD,
    USER,
    Cluster,
    Postgres,
    PostgresDatabase,
    cluster_folder,
)

psutil, psycopg = Lazily("psutil"), Lazily("psycopg")
SECONDS = 20.0


class PostgresPair:
    """A primary and its standby, which change their parts when the standby is promoted.

    If it is ``synchronous``, a commit is answered once the standby has it on its disk. If not, the
    standby may be behind; `hold_back` sees to it.
    """

    def __init__(self, folder: Path, *, synchronous: bool, settings: tuple[str, ...] = ()) -> None:
        self._folder, self._synchronous, self._settings = folder, synchronous, settings
        self._number = 0
        self._primary = self._cluster()
        self._primary.create()
        self._primary.start()
        self._standby: Cluster | None = None
        self.join()

    @property
    def primary(self) -> Postgres:
        """The server that takes writes, or took them until it was killed."""
        return self._primary.server

    @property
    def standby(self) -> Postgres:
        """The server that only reads."""
        assert self._standby is not None
        return self._standby.server

    def url(self, database: PostgresDatabase) -> str:
        """Return the URL of a database with both servers as its hosts, without the password."""
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in (self.primary, self.standby))
        return f"postgresql://{USER}@{hosts}/{database.name}"

    def kill(self) -> None:
        """End the primary and all its processes with SIGKILL."""
        self._primary.kill()

    def restart(self) -> None:
        """Start the primary again, which was killed: it recovers from its own log."""
        self._primary.start()

    def promote(self) -> Postgres:
        """Make the standby the primary, which has none of its own then; return it."""
        assert self._standby is not None
        self._primary, self._standby = self._standby, None
        self._primary.server.execute("SELECT pg_promote(true, 30)")
        return self.primary

    def join(self) -> None:
        """Make a new standby out of the primary, and wait until it streams."""
        self._standby = self._cluster()
        source = ["-h", "127.0.0.1", "-p", self.primary.port, "-U", USER]
        options = ["-R", "-X", "stream", "--checkpoint=fast", "--no-sync"]
        self._standby.run("pg_basebackup", "-D", self._standby.data, *source, *options)
        self._standby.start()
        self._walsender()
        if self._synchronous:
            self.primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            self.primary.execute("SELECT pg_reload_conf()")
            self._until("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'")

    def hold_back(self) -> None:
        """Let nothing more reach the standby, until `let_go`."""
        psutil.Process(self._walsender()).suspend()

    def let_go(self) -> None:
        """Let the standby get what it has missed, and wait until it has it all."""
        psutil.Process(self._walsender()).resume()
        self._until(
            "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_lsn()"
        )

    def stop(self) -> None:
        """End both."""
        for cluster in (self._standby, self._primary):
            if cluster is not None:
                cluster.stop()

    def _cluster(self) -> Cluster:
        self._number += 1
        folder = self._folder / str(self._number)
        folder.mkdir()
        return Cluster(folder, *self._settings)

    def _walsender(self) -> int:
        streams = "SELECT pid FROM pg_stat_replication WHERE state = 'streaming'"
        return int(self._until(streams))

    def _until(self, query: str) -> Any:
        """Wait until a query returns a row with a value that is not 0; return the value."""
        where = {"host": "127.0.0.1", "port": self.primary.port, "user": USER}
        end = time.monotonic() + SECONDS
        with psycopg.connect(
            **where, password=PASSWORD, dbname="postgres", autocommit=True
        ) as connection:
            while True:
                row = connection.execute(query).fetchone()
                if row and row[0]:
                    return row[0]
                assert time.monotonic() < end, f"never true: {query}"
                time.sleep(0.02)


@contextmanager
def postgres_pair(*settings: str, synchronous: bool = True) -> Iterator[PostgresPair]:
    """Run a primary with its standby for as long as the block lasts."""
    with cluster_folder() as folder:
        pair = PostgresPair(folder, synchronous=synchronous, settings=settings)
        try:
            yield pair
        finally:
            pair.stop()
