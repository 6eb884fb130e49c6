"""Opens a ledger's file for writing: checks it, migrates it, and sets its pragmas."""

import os
import sqlite3
from pathlib import Path

from dispatcher.domain.ids import canonical_id
from dispatcher.ledgers.codec import CHANGE_FIELDS, key_hash, person_as_spelled, person_hash
from dispatcher.ledgers.errors import ledger_error, translated_errors
from dispatcher.ledgers.lock import MODE
from dispatcher.ledgers.statements import script, with_positions

APPLICATION_ID = 0x44537061
"""Marks a SQLite file as a ledger of the dispatcher."""

MIGRATIONS = (
    "schema.sql",
    "schema_2.sql",
    "schema_3.sql",
    "schema_4.sql",
    "schema_5.sql",
    "schema_6.sql",
    "schema_7.sql",
    "schema_8.sql",
    "schema_9.sql",
    "schema_10.sql",
    "schema_11.sql",
)
"""Scripts from each version to the next one; the first creates version 1."""

_DERIVED = script("derived.sql")

OLDEST_SQLITE = (3, 38, 0)
"""The first SQLite whose JSON operators the ledger can use."""

_CHECKPOINT_PAGES = 8000
_WAL_LIMIT = 64 << 20
_SETTINGS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA fullfsync = ON",  # macOS: down to the platter; no effect elsewhere
    "PRAGMA secure_delete = ON",
    "PRAGMA cache_size = -8000",  # KiB, negative: memory must not grow with the ledger
    f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}",
    f"PRAGMA journal_size_limit = {_WAL_LIMIT}",
    "PRAGMA analysis_limit = 400",
)
_BUSY_SECONDS = 10.0


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Open a ledger. Create or migrate it if needed.

    Raises:
        LedgerError: the file cannot be opened, is no ledger, or is of a newer version.

    """
    _check_library(path)
    _create(path)
    with translated_errors(path):
        connection = sqlite3.connect(
            path,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
        )
        try:
            _prepare(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def check_exists(path: Path) -> None:
    """Raise `LedgerError` if there is no ledger at ``path``."""
    if not path.is_file():
        raise ledger_error(
            path, "there is no such file; check ledger.path, or run a campaign first"
        )


def read_schema_version(connection: sqlite3.Connection, path: Path) -> int:
    """Return the schema's version, 0 for an empty file.

    Raises:
        LedgerError: the file is a database of something else, or of a newer dispatcher.

    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()
    if application != APPLICATION_ID and (application or version or tables):
        raise ledger_error(
            path, "this database belongs to something else; set ledger.path to another"
        )
    if version > len(MIGRATIONS):
        raise ledger_error(
            path,
            f"it was written by a newer dispatcher (schema {version}, this one knows "
            f"{len(MIGRATIONS)}); install that one, or set ledger.path to another file",
        )
    return int(version)


def _check_library(path: Path) -> None:
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE[:2]))
        raise ledger_error(
            path,
            f"this Python comes with SQLite {sqlite3.sqlite_version}, and {oldest} or newer is "
            "needed; use a newer Python",
        )


def _create(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE))
    except OSError as error:
        reason = error.strerror or str(error)
        raise ledger_error(
            path,
            f"it cannot be opened for writing ({reason}); check that it is a file this user may "
            "write, or set ledger.path to another one",
        ) from None


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    version = read_schema_version(connection, path)
    for setting in _SETTINGS:
        connection.execute(setting).fetchone()
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    if mode != "wal":
        raise ledger_error(
            path, "its file system has no shared memory; put it on a local disk (ledger.path)"
        )
    connection.create_function("person_of", 1, person_hash, deterministic=True)
    connection.create_function("person_as_spelled", 1, person_as_spelled, deterministic=True)
    connection.create_function("canonical_id", 1, canonical_id, deterministic=True)
    connection.create_function("key_hash", 1, key_hash, deterministic=True)
    connection.execute("PRAGMA temp_store = FILE")  # indexes of a large ledger are sorted there
    for number, name in enumerate(MIGRATIONS[version:], version + 1):
        _migrate(connection, name, number)
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.executescript(with_positions(script("transitions.sql"), CHANGE_FIELDS))


def _migrate(connection: sqlite3.Connection, name: str, number: int) -> None:
    derived = _DERIVED if number == len(MIGRATIONS) else ""
    marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {number};"
    connection.executescript(
        "BEGIN IMMEDIATE; DROP VIEW IF EXISTS lineage_row; "
        f"{script(name)} {derived} {marks} COMMIT;"
    )
