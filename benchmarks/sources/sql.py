"""A table of PostgreSQL, read in pages by its key."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg

from benchmarks.sources.breakable_port import BreakablePort
from benchmarks.sources.kind import COLUMNS, contact_rows
from tests.support.servers.postgres import PASSWORD, PostgresDatabase, postgres

_TYPES = ("bigint PRIMARY KEY", *["text"] * (len(COLUMNS) - 1))


class Table:
    """One table of a database."""

    environment: Mapping[str, str] = {"DATABASE_PASSWORD": PASSWORD}

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        self.breakable = BreakablePort(database.port)

    def fill(self, rows: int) -> None:
        """Create the table and write it."""
        columns = ", ".join(" ".join(pair) for pair in zip(COLUMNS, _TYPES, strict=True))
        url = self._database.url.replace("+psycopg", "")
        with psycopg.connect(url, password=PASSWORD) as connection:
            connection.execute("DROP TABLE IF EXISTS contacts")
            connection.execute(f"CREATE TABLE contacts ({columns})")
            with connection.cursor().copy("COPY contacts FROM STDIN") as copy:
                for row in contact_rows(rows):
                    copy.write_row(row)

    def settings(self, *, breakable: bool) -> Mapping[str, object]:
        """Return the query and where the server is."""
        there = self._database.port
        port = self.breakable.port if breakable else there
        return {
            "source.kind": "sql",
            "source.sql.url": self._database.url.replace(f":{there}/", f":{port}/"),
            "source.sql.query": "SELECT * FROM contacts",
            "source.sql.key": "id",
            "source.sql.password_variable": "DATABASE_PASSWORD",
        }


@contextmanager
def table(folder: Path) -> Iterator[Table]:
    """Run the server for as long as the block lasts."""
    del folder
    with postgres() as server:
        yield Table(server.database())
