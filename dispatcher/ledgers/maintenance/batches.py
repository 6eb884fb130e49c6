"""Long work on a ledger, cut into jobs that are short enough to be done while a daemon runs."""

import sqlite3
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from dispatcher.ledgers.errors import ledger_error, translate_error
from dispatcher.ledgers.lock import LedgerLock
from dispatcher.ledgers.schema import open_for_writing

T = TypeVar("T")

BatchJob = Callable[[sqlite3.Connection], Any]
"""One short piece of work, in a transaction of its own; after a rollback it is called again."""

BatchGenerator = Generator[BatchJob, Any, T]
"""Yields one job after the other, is sent the answer of each, and returns what came of it all."""

ReportProgress = Callable[[int, int], None]
"""Is told how far work has come: done, of how much."""

SPAN = 2_000
"""Ids that one job looks at, so that a daemon's writes wait for moments alone."""

LONG_SPAN = 50_000
"""Ids that one job looks at where nobody waits: each page of an index is written less often."""

_CACHE = "PRAGMA cache_size = -200000"  # KiB: as above


def quietly(_done: int, _whole: int) -> None:
    """Tell nobody."""


def spans(first: int, last: int, length: int = 0) -> Iterator[tuple[int, int]]:
    """Cut the ids from ``first`` to ``last`` into spans: above the one, up to the other."""
    length = length or SPAN
    for after in range(first - 1, last, length):
        yield after, min(after + length, last)


@contextmanager
def exclusive_batches(path: Path) -> Iterator[sqlite3.Connection]:
    """Hold the ledger at ``path`` as a daemon would, for as long as the block lasts.

    Raises:
        LedgerError: there is none, another process holds it, or it cannot be used.

    """
    if not path.is_file():
        raise ledger_error(
            path, "there is no such file; check ledger.path, or run a campaign first"
        )
    lock = LedgerLock(path)
    try:
        with closing(open_for_writing(path)) as connection:
            connection.execute(_CACHE)
            yield connection
    finally:
        lock.release()


def run_batches(
    connection: sqlite3.Connection,
    path: Path,
    work: BatchGenerator[T],
    *,
    begin: str = "BEGIN IMMEDIATE",
) -> T:
    """Do all of ``work``, each of its jobs in a transaction of its own.

    Raises:
        LedgerError: the ledger cannot be read or written; what was committed stays.

    """
    answer = None
    try:
        while True:
            answer = _committed(connection, work.send(answer), begin)
    except StopIteration as end:
        result: T = end.value
        return result
    except sqlite3.Error as error:
        raise translate_error(path, error) from None


def truncate_wal(path: Path) -> bool:
    """Move the write-ahead log into the ledger and cut it to nothing; False if it is being read.

    Raises:
        LedgerError: the ledger cannot be written.

    """
    try:
        with closing(sqlite3.connect(path, timeout=5.0, isolation_level=None)) as connection:
            (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error as error:
        raise translate_error(path, error) from None
    return not busy


def _committed(connection: sqlite3.Connection, job: BatchJob, begin: str) -> Any:
    connection.execute(begin)
    try:
        answer = job(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return answer
