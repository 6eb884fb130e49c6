"""Writing to a ledger that no dispatcher works on: with its lock, in one transaction."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from dispatcher.ledgers.errors import ledger_error, translate_error
from dispatcher.ledgers.lock import LedgerLock
from dispatcher.ledgers.schema import open_for_writing


@contextmanager
def exclusive_connection(path: Path) -> Iterator[sqlite3.Connection]:
    """Hold the ledger for one transaction, which is committed at the end of the block.

    Raises:
        HeldError: a dispatcher works on it.
        LedgerError: there is no ledger, or it cannot be written.

    """
    if not path.is_file():
        raise ledger_error(
            path, "there is no such file; check ledger.path, or run a campaign first"
        )
    lock = LedgerLock(path)
    try:
        with closing(open_for_writing(path)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise translate_error(path, error) from None
    finally:
        lock.release()
