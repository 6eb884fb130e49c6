"""Read-only access to a ledger, which never delays the daemon that writes to it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from dispatcher.ledgers.errors import ledger_error, translated_errors
from dispatcher.ledgers.moves import check_file
from dispatcher.ledgers.schema import MIGRATIONS, check_exists, read_schema_version


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open a ledger of this version's schema, without ever writing to it.

    Raises:
        LedgerError: there is no ledger, or it cannot be read.

    """
    check_exists(path)
    with translated_errors(path):
        try:
            return connect(path)
        except sqlite3.OperationalError:
            if path.with_name(path.name + "-wal").exists():
                raise
        # closed cleanly, in a directory that this user may not write to: nothing changes the file
        return connect(path, "mode=ro&immutable=1")


def connect(path: Path, options: str = "mode=ro") -> sqlite3.Connection:
    """Open a ledger of this version's schema; `open_for_reading` translates the errors.

    Raises:
        LedgerError: it is of another version, or no ledger.
        sqlite3.Error: it cannot be read.

    """
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?{options}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        _check_version(connection, path)
    except BaseException:
        connection.close()
        raise
    connection.row_factory = sqlite3.Row
    return connection


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    if read_schema_version(connection, path) < len(MIGRATIONS):
        raise ledger_error(path, "it is of an older version or empty; a run migrates it")
    check_file(connection, path, reads=True)


@contextmanager
def read_connection(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a ledger for reads that each see their own moment.

    Raises:
        LedgerError: there is no ledger, or it cannot be read.

    """
    with closing(open_for_reading(path)) as connection, translated_errors(path):
        yield connection


@contextmanager
def snapshot_connection(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a ledger for reads that all see the same moment.

    Raises:
        LedgerError: there is no ledger, or it cannot be read.

    """
    with read_connection(path) as connection:
        connection.execute("BEGIN")
        yield connection
