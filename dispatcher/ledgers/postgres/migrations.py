"""The schema of the database: whether it is there, of which version, and how it gets newer."""

import secrets
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from dispatcher.ledgers.postgres.address import (
    PostgresAddress,
    ledger_error,
    load_psycopg,
    translate_error,
)
from dispatcher.ledgers.postgres.moves import check_moved

if TYPE_CHECKING:
    from psycopg import Connection

MIGRATIONS = ("schema.sql",)
"""Scripts from each version to the next one; the first creates version 1."""
FUNCTIONS = ("leases.sql", "apply.sql", "admit.sql", "claims.sql", "copy.sql")
"""Scripts with functions of the newest version, which replace those of earlier ones."""
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('dispatcher.schema', 0))"
_LONG = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '60s'"


def script(name: str) -> str:
    """Return the whole text of one SQL file of this package."""
    return files(__package__).joinpath("sql", name).read_text("utf-8")


def schema_version(connection: "Connection[Any]") -> int:
    """Return the version of the schema; 0 if there is none."""
    there = connection.execute("SELECT to_regclass('dispatcher.store') IS NOT NULL").fetchone()
    if not (there and there[0]):
        return 0
    row = connection.execute("SELECT version FROM dispatcher.store").fetchone()
    return int(row[0]) if row else 0


def check_schema(
    connection: "Connection[Any]",
    address: PostgresAddress,
    *,
    reads: bool = False,
    moving: bool = False,
) -> bool:
    """Check that the ledger can be used by this version; return False if there is none at all.

    With ``reads`` nothing is going to be written. ``moving`` is for the copy of the ledger.

    Raises:
        MovedLedgerError: it has moved, or is an unfinished copy.
        LedgerError: its schema is older or newer.

    """
    version = schema_version(connection)
    if version > len(MIGRATIONS):
        raise ledger_error(
            address,
            f"it was written by a newer dispatcher (schema {version}, this one knows "
            f"{len(MIGRATIONS)}); install that one, or set ledger.url to another database",
        )
    if 0 < version < len(MIGRATIONS):
        raise ledger_error(
            address,
            f"its schema is older ({version}, this dispatcher needs {len(MIGRATIONS)}); end all "
            "runs on it, then run `dispatcher ledger migrate`",
        )
    if version > 0 and not moving:
        check_moved(connection, address, reads=reads)
    return version > 0


def migrate(connection: "Connection[Any]", address: PostgresAddress) -> tuple[int, int]:
    """Bring the schema to the newest version; return the version before and after.

    Only one process does it at a time; all others wait, and find nothing left to do.

    Raises:
        LedgerError: it is newer than this dispatcher, or it cannot be changed.

    """
    psycopg = load_psycopg()
    try:
        with connection.transaction():
            connection.execute(_LONG, prepare=False)
            connection.execute(_LOCK)
            before = schema_version(connection)
            if before > len(MIGRATIONS):
                check_schema(connection, address)
            for name in MIGRATIONS[before:]:
                connection.execute(script(name), prepare=False)
            if before == 0:
                connection.execute(
                    "INSERT INTO dispatcher.store (version, era) VALUES (%s, %s)",
                    (len(MIGRATIONS), secrets.token_hex(8)),
                )
            else:
                connection.execute("UPDATE dispatcher.store SET version = %s", (len(MIGRATIONS),))
            if before < len(MIGRATIONS):
                for name in FUNCTIONS:
                    connection.execute(script(name), prepare=False)
    except psycopg.errors.InsufficientPrivilege:
        raise ledger_error(
            address,
            "its tables are missing or old, and this user may not change that; run `dispatcher "
            "ledger migrate` as the role that owns them (docs/high-availability.md)",
        ) from None
    except psycopg.Error as error:
        raise translate_error(address, error) from None
    return before, len(MIGRATIONS)
