"""Errors of the ledger in words: which file, what is wrong, what to do."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from dispatcher.ports import LedgerError

_MESSAGES = {
    sqlite3.SQLITE_FULL: "the disk is full; free some space and start again",
    sqlite3.SQLITE_READONLY: "the file or its directory is read-only; make both writable for "
    "this user, or set ledger.path to a place that is",
    sqlite3.SQLITE_PERM: "permission denied; make the file readable and writable for this user",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened; check that its directory exists and is "
    "writable for this user",
    sqlite3.SQLITE_IOERR: "the disk refuses to read or write; check its space, its limits and "
    "its health, and start again",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; keep a copy of it, and restore the last backup",
    sqlite3.SQLITE_NOTADB: "this is not a SQLite database; set ledger.path to another file",
    sqlite3.SQLITE_BUSY: "another program holds the file; close it and start again",
    sqlite3.SQLITE_LOCKED: "another program holds the file; close it and start again",
}
_PRIMARY = 0xFF  # the low byte of an extended result code names the kind of error

_OF_ONE_OPERATION = (
    sqlite3.IntegrityError,
    sqlite3.ProgrammingError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
)


@contextmanager
def translated_errors(path: Path) -> Iterator[None]:
    """Translate the database errors of the block.

    Raises:
        LedgerError: the database failed.

    """
    try:
        yield
    except sqlite3.Error as error:
        raise translate_error(path, error) from None


def translate_error(path: Path, error: sqlite3.Error) -> LedgerError:
    """Return the error that says in words what failed in the database."""
    code = getattr(error, "sqlite_errorcode", None)
    known = _MESSAGES.get(code & _PRIMARY) if code is not None else None
    return ledger_error(path, known or f"the database says: {error}; start again, and report this")


def ledger_error(path: Path, what: str) -> LedgerError:
    """Return the error that says what is wrong with the ledger at ``path`` and what to do."""
    return LedgerError(f"ledger {path}: {what}")


def is_fatal(error: Exception) -> bool:
    """Return whether ``error`` means that the database failed, not only one operation."""
    return isinstance(error, sqlite3.Error) and not isinstance(error, _OF_ONE_OPERATION)


def utc(seconds: float) -> str:
    """Return a time, in seconds since the epoch, as people read it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(sep=" ", timespec="seconds")[:-6] + " UTC"
