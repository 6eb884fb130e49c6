"""Long work on a ledger, as a series of short jobs, each in its own transaction."""

import sqlite3
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from dispatcher.ledgers.errors import translated_errors
from dispatcher.ledgers.exclusive import transaction

T = TypeVar("T")

BatchJob = Callable[[sqlite3.Connection], Any]
"""One short piece of work, in a transaction of its own."""

BatchGenerator = Generator[BatchJob, Any, T]
"""Yields one job after the other, is sent the result of each, and returns the overall result."""

ReportProgress = Callable[[int, int], None]
"""Called with the amount of work that is done, and with the whole amount."""

SPAN = 2_000
"""Ids that one job covers while other processes may use the ledger."""

LONG_SPAN = 50_000
"""Ids that one job covers in exclusive use: each page of an index is written less often."""


def ignore_progress(_done: int, _whole: int) -> None:
    """Report nothing."""


def spans(first: int, last: int, length: int = 0) -> Iterator[tuple[int, int]]:
    """Divide the ids from ``first`` to ``last`` into spans: (above this id, up to that id)."""
    length = length or SPAN
    for after in range(first - 1, last, length):
        yield after, min(after + length, last)


def run_batches(
    connection: sqlite3.Connection, work: BatchGenerator[T], *, begin: str = "BEGIN IMMEDIATE"
) -> T:
    """Run all jobs of ``work``. If one fails, what the earlier ones committed stays."""
    answer = None
    while True:
        try:
            job = work.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result
        with transaction(connection, begin):
            answer = job(connection)


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
