"""Which links wait to be verified, and writing down what the platform said of them.

Plain functions on a connection: for a command that holds the ledger, and for a daemon that does
it on a command's behalf.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from dispatcher.domain.lineage_check import Link, Verified
from dispatcher.domain.status import Relation
from dispatcher.ledgers.errors import explain
from dispatcher.ledgers.lock import Lock
from dispatcher.ledgers.read.reader import check_campaign
from dispatcher.ledgers.schema import open_for_writing
from dispatcher.ledgers.statements import SQL


@dataclass(frozen=True, slots=True)
class Unverified:
    """Which links to ask about: not confirmed yet, and old enough to be shown.

    ``settled_until`` is in seconds since the epoch; no ``campaign`` means all of them.
    """

    settled_until: float
    campaign: str | None = None


def unverified(
    connection: sqlite3.Connection, which: Unverified, after: int, limit: int
) -> list[Link]:
    """Return up to ``limit`` links with ids above ``after``, in the order of their ids."""
    values = (after, which.settled_until, which.campaign, which.campaign, limit)
    cursor = connection.execute(SQL["unverified_page"], values)
    return [
        Link(id_, Relation(relation), previous, conversation, message, external, sent_at)
        for id_, relation, previous, conversation, message, external, sent_at in cursor
    ]


def mark(connection: sqlite3.Connection, found: Mapping[int, Verified], at: float) -> None:
    """Write what was found into the lineage, by its ids; ``at`` is seconds since the epoch.

    To be called inside of a transaction, or for one link.
    """
    rows = [(str(verified), at, id_) for id_, verified in found.items()]
    connection.executemany(SQL["mark_verified"], rows)


class HeldLinks:
    """The links of a ledger that no daemon works on: it holds the ledger's lock. Use ``with``.

    Raises:
        LedgerError: another process holds the ledger, there is none, or no such campaign.

    """

    def __init__(self, path: str | Path, which: Unverified) -> None:
        self._path = Path(path)
        self._which = which
        check_campaign(self._path, which.campaign)
        self._lock = Lock(self._path)
        try:
            self._connection = open_for_writing(self._path)
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._lock.release()

    def page(self, after: int, limit: int) -> Sequence[Link]:
        """Return up to ``limit`` links with ids above ``after``."""
        try:
            return unverified(self._connection, self._which, after, limit)
        except sqlite3.Error as error:
            raise explain(self._path, error) from None

    def mark(self, found: Mapping[int, Verified], at: float) -> None:
        """Write down, in one transaction, what was found."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            mark(self._connection, found, at)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise explain(self._path, error) from None
