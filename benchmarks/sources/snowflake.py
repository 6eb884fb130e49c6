"""A table of Snowflake on a local server (fakesnow), read in pages by a key, or as one result."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.sources.breakable_port import BreakablePort
from benchmarks.sources.files import write_file
from benchmarks.sources.kind import COLUMNS, Kind
from tests.support.servers.snowflake import PASSPHRASE, SnowflakeDatabase, snowflake


class Table:
    """One table of a database."""

    environment: Mapping[str, str] = {"SNOWFLAKE_PASSPHRASE": PASSPHRASE}

    def __init__(self, database: SnowflakeDatabase, folder: Path, key: str) -> None:
        self._database, self._folder, self._key = database, folder, key
        self._port = BreakablePort(database.server.port)
        self.breakable = self._port if key else None  # this server sends a result in one part

    def fill(self, rows: int) -> None:
        """Create the table and load it from a file."""
        path = self._folder / "rows.csv"
        write_file(path, rows)
        columns = ", ".join(
            f"{name} {'INTEGER' if name == 'id' else 'VARCHAR'}" for name in COLUMNS
        )
        self._database.execute(
            f"CREATE OR REPLACE TABLE contacts ({columns})",
            f"PUT 'file://{path}' @%contacts AUTO_COMPRESS = FALSE OVERWRITE = TRUE",
            "COPY INTO contacts FROM @%contacts/rows.csv "
            "FILE_FORMAT = (TYPE = CSV SKIP_HEADER = 1) FORCE = TRUE",
        )

    def settings(self, *, breakable: bool) -> Mapping[str, object]:
        """Return the query and where the server is."""
        values = {
            **self._database.settings(),
            "source.kind": "snowflake",
            "source.snowflake.query": "SELECT * FROM contacts ORDER BY id",
            "source.snowflake.key": self._key,
            "source.snowflake.passphrase_variable": "SNOWFLAKE_PASSPHRASE",
            "source.snowflake.timeout_seconds": 2 if breakable else 60,
        }
        if breakable:
            values["source.snowflake.port"] = self._port.port
        return values


@contextmanager
def _table(folder: Path, *, key: str) -> Iterator[Table]:
    with snowflake() as server:
        yield Table(server.database(), folder, key)


by_key: Kind = partial(_table, key="id")
result: Kind = partial(_table, key="")
