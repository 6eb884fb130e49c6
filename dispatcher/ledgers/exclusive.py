"""Exclusive access to a ledger: its lock, and a connection that may write."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from dispatcher.ledgers.errors import translated_errors
from dispatcher.ledgers.lock import LedgerLock
from dispatcher.ledgers.moves import check_file
from dispatcher.ledgers.schema import check_exists, open_for_writing

_CACHE = "PRAGMA cache_size = -200000"  # KiB: long work writes each page of an index less often


@dataclass(frozen=True, slots=True)
class ExclusiveLedger:
    """A ledger that is open for writing, with its lock."""

    path: Path
    lock: LedgerLock
    connection: sqlite3.Connection

    @classmethod
    def open(cls, path: Path, *, moving: bool = False) -> Self:
        """Lock and open a ledger. Create the file if it does not exist.

        ``moving`` also opens one that has moved, or is an unfinished copy.

        Raises:
            LedgerLockedError: another process has locked it.
            MovedLedgerError: it has moved, or is an unfinished copy.
            LedgerError: it cannot be used.

        """
        lock = LedgerLock(path)
        try:
            connection = open_for_writing(path)
            try:
                if not moving:
                    with translated_errors(path):
                        check_file(connection, path)
            except BaseException:
                connection.close()
                raise
            return cls(path, lock, connection)
        except BaseException:
            lock.release()
            raise

    def close(self) -> None:
        """Close the file and release the lock."""
        self.connection.close()
        self.lock.release()


@contextmanager
def exclusive_connection(path: Path) -> Iterator[sqlite3.Connection]:
    """Lock an existing ledger, and open it for an operator's command.

    Raises:
        LedgerLockedError: a dispatcher has locked it.
        LedgerError: there is no ledger, or it cannot be written.

    """
    check_exists(path)
    with closing(ExclusiveLedger.open(path)) as opened, translated_errors(path):
        opened.connection.execute(_CACHE)
        yield opened.connection


@contextmanager
def transaction(connection: sqlite3.Connection, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
    """Commit what the block does, or roll it back if the block raises."""
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
