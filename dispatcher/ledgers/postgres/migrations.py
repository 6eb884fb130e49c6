"""The schema of the database: whether it is there, of which version, and how it gets newer.

Tables and functions have versions of their own. Functions of a newer version serve daemons of older
ones, as long as the version of the schema is the same: so of several daemons the newest one brings
its functions along, and the others go on. A change of a function that an older daemon cannot work
with needs a new version of the schema.
"""

import hashlib
import secrets
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

from dispatcher.ledgers.postgres.address import (
    PostgresAddress,
    ledger_error,
    load_psycopg,
    translate_error,
)
from dispatcher.ledgers.postgres.moves import check_moved
from dispatcher.ports import LedgerLockedError

if TYPE_CHECKING:
    from psycopg import Connection

MIGRATIONS = ("schema.sql", "schema_2.sql")
"""Scripts from each version to the next one; the first creates version 1."""
FUNCTIONS = ("leases.sql", "apply.sql", "admit.sql", "claims.sql", "copy.sql")
"""Scripts with functions of the newest version, which replace those of earlier ones."""
FUNCTIONS_VERSION = 4
"""The version of the functions. It grows with each change of a script of `FUNCTIONS`."""
_RECORDED = "to_regprocedure('dispatcher.functions_version()')"
_RECORD = """
    CREATE OR REPLACE FUNCTION dispatcher.functions_version()
    RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT '{version} {digest}' $$
"""
"""A function has the version: a user who may replace the others may replace it, too."""
_SET_VERSION = """
    UPDATE dispatcher.store
    SET
        version = %s,
        written_in = CASE
            WHEN written_in = xmin::text THEN pg_current_xact_id()::xid::text ELSE written_in
        END
"""
"""The row that a run has signed stays signed; see registration.py."""
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('dispatcher.schema', 0))"
_RUN = """
    SELECT name || ' on ' || host FROM dispatcher.daemon
    WHERE NOT fenced AND lease_until > clock_timestamp() ORDER BY id LIMIT 1
"""
_TABLES = """
    SELECT oid::regclass::text FROM pg_class
    WHERE relnamespace = 'dispatcher'::regnamespace AND relkind = 'r' ORDER BY 1
"""
_FENCE = "UPDATE dispatcher.daemon SET fenced = true WHERE NOT fenced"
_NEEDED_BY_OTHERS = ("2BP01", "0A000")
"""SQLSTATEs if a view of somebody else reads a table or a view of the ledger."""
_BECOME_OWNER = """
    SELECT set_config('role', pg_get_userbyid(relowner), true) FROM pg_class
    WHERE oid = to_regclass('dispatcher.store') AND pg_get_userbyid(relowner) <> current_user
"""
"""What an administrator makes belongs to the owner, with the rights that these give by default."""
_LONG = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '60s'"


class Migrated(NamedTuple):
    """The versions of the schema before and after, and whether functions were replaced."""

    before: int
    after: int
    has_new_functions: bool


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


def has_older_functions(connection: "Connection[Any]") -> bool:
    """Return whether the functions are to be replaced by those of this version.

    Newer ones are not. Other ones of the same version are: such builds are between two versions.
    """
    there = connection.execute(f"SELECT {_RECORDED} IS NOT NULL").fetchone()
    if not (there and there[0]):
        return True
    row = connection.execute("SELECT dispatcher.functions_version()").fetchone()
    version, _, digest = str(row[0] if row else "").partition(" ")
    newest = int(version) if version.isdigit() else 0
    return newest < FUNCTIONS_VERSION or (
        newest == FUNCTIONS_VERSION and digest != functions_digest()
    )


def check_functions(connection: "Connection[Any]", address: PostgresAddress) -> None:
    """Check that the functions are not older than this version.

    Raises:
        LedgerError: they are.

    """
    if has_older_functions(connection):
        raise ledger_error(
            address,
            "its functions are older than this dispatcher; run `dispatcher ledger migrate` as the "
            "role that owns them (docs/ledger-postgres.md)",
        )


@cache
def functions_digest() -> str:
    """Return a hash of all scripts of functions."""
    return hashlib.sha256("".join(map(script, FUNCTIONS)).encode()).hexdigest()[:16]


def migrate(connection: "Connection[Any]", address: PostgresAddress) -> Migrated:
    """Bring the schema and its functions to the newest version.

    Only one process does it at a time; all others wait, and find nothing left to do.

    Raises:
        LedgerLockedError: the schema is older, and a run uses it.
        LedgerError: it is newer than this dispatcher, or it cannot be changed.

    """
    psycopg = load_psycopg()
    try:
        with connection.transaction():
            connection.execute(_LONG, prepare=False)
            connection.execute(_LOCK)
            return _migrate(connection, address)
    except psycopg.errors.InsufficientPrivilege:
        raise ledger_error(
            address,
            "its tables are missing, or they or its functions are older than this dispatcher, and "
            "this user may not change that; run `dispatcher ledger migrate` as the role that owns "
            "them (docs/ledger-postgres.md)",
        ) from None
    except psycopg.Error as error:
        if error.sqlstate in _NEEDED_BY_OTHERS and error.diag.message_detail:
            needed = f"a view of your own needs what it replaces: {error.diag.message_detail}"
            words = f"{needed}. Drop it, migrate, and create it again"
            raise ledger_error(address, words) from None
        raise translate_error(address, error) from None


def _migrate(connection: "Connection[Any]", address: PostgresAddress) -> Migrated:
    before, newest = schema_version(connection), len(MIGRATIONS)
    if before > newest:
        check_schema(connection, address)
    replaces = before < newest or has_older_functions(connection)
    if replaces:
        connection.execute(_BECOME_OWNER)
    if before < newest:
        _migrate_tables(connection, address, before)
    if replaces:
        for name in FUNCTIONS:
            connection.execute(script(name), prepare=False)
        record = _RECORD.format(version=FUNCTIONS_VERSION, digest=functions_digest())
        connection.execute(record, prepare=False)
    return Migrated(before, newest, replaces)


def _migrate_tables(connection: "Connection[Any]", address: PostgresAddress, before: int) -> None:
    newest = len(MIGRATIONS)
    if before > 0:
        _end_runs(connection, address)
    for name in MIGRATIONS[before:]:
        connection.execute(script(name), prepare=False)
    if before == 0:
        connection.execute(
            "INSERT INTO dispatcher.store (version, era) VALUES (%s, %s)",
            (newest, secrets.token_hex(8)),
        )
        return
    connection.execute(_SET_VERSION, (newest,))
    for (table,) in connection.execute(_TABLES).fetchall():
        connection.execute(f"ANALYZE {table}")  # the planner knows nothing of new columns


def _end_runs(connection: "Connection[Any]", address: PostgresAddress) -> None:
    """Let no run commit anything from now on: it does not know the newer schema."""
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('dispatcher.lease', 0))")
    if row := connection.execute(_RUN).fetchone():
        raise LedgerLockedError(
            f"ledger {address.name}: {row[0]} uses it; end all runs on it, also those that wait as "
            "standby, and run this command again",
            str(row[0]),
            "",
        )
    connection.execute(_FENCE)
