"""Shared by long work on a ledger: spans of ids, and emptying the write-ahead log."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from dispatcher.ledgers.errors import translated_errors

SPAN = 50_000
"""Ids that one transaction covers: each page of an index is written once or twice in it."""


def spans(first: int, last: int) -> Iterator[tuple[int, int]]:
    """Divide the ids from ``first`` to ``last`` into spans: (above this id, up to that id)."""
    for after in range(first - 1, last, SPAN):
        yield after, min(after + SPAN, last)


def truncate_wal(path: Path) -> bool:
    """Copy the write-ahead log into the ledger and empty it. Return False if it is being read.

    Raises:
        LedgerError: the ledger cannot be written.

    """
    with (
        translated_errors(path),
        closing(sqlite3.connect(path, timeout=5.0, isolation_level=None)) as connection,
    ):
        (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy
