"""Staging of new rows, so that large indexes are written at few places.

Keys and people arrive in random order. In a large index each new entry would be on a page of its
own, and each commit and checkpoint would write as many pages as it has contacts. So new rows have
``lately = 1``, the first column of both indexes: there they are next to each other and share
pages. They are merged into the others, ``lately = 0``, while the writer is idle. A daemon that
keeps to a quota has enough idle moments.
"""

import sqlite3

from dispatcher.ledgers.statements import SQL

MIN_STAGED = 1000
"""Rows of each kind are merged only while more than this are staged; fewer share pages anyway."""

MERGE_BATCH = 64
"""Rows of each kind that are merged at once: an operation that arrives meanwhile waits for them."""


def merge_count(connection: sqlite3.Connection) -> int:
    """Return how often rows were merged since the ledger was opened for writing."""
    (times,) = connection.execute(SQL["merges"]).fetchone()
    return int(times)


def merge_staged(connection: sqlite3.Connection) -> bool:
    """Merge some staged rows, all or none; return whether there were any to merge.

    Raises:
        sqlite3.Error: nothing was merged.

    """
    connection.execute("SAVEPOINT merge")
    try:
        limits = (MIN_STAGED, MERGE_BATCH)
        merged = sum(
            connection.execute(SQL[name], limits).rowcount
            for name in ("merge_keys", "merge_people")
        )
        if merged:
            connection.execute(SQL["count_merge"])
        connection.execute("RELEASE merge")
    except BaseException:
        if connection.in_transaction:  # a full disk has rolled it back already
            connection.execute("ROLLBACK TO merge")
            connection.execute("RELEASE merge")
        raise
    return merged > 0
