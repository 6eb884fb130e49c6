"""Which links wait to be verified, and writing down what the platform said of them.

Plain functions on a connection: for a command that holds the ledger, and for a daemon that does
it on a command's behalf.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from dispatcher.domain.lineage_check import LineageLink, LinkVerdict
from dispatcher.domain.status import Relation
from dispatcher.ledgers.errors import translate_error
from dispatcher.ledgers.lock import LedgerLock
from dispatcher.ledgers.read.reader import check_campaign
from dispatcher.ledgers.schema import open_for_writing
from dispatcher.ledgers.statements import SQL


@dataclass(frozen=True, slots=True)
class UnverifiedQuery:
    """Which links to ask about: not confirmed yet, and old enough to be shown.

    ``settled_until`` is in seconds since the epoch; no ``campaign`` means all of them.
    """

    settled_until: float
    campaign: str | None = None


def unverified(
    connection: sqlite3.Connection, which: UnverifiedQuery, after: int, limit: int
) -> list[LineageLink]:
    """Return up to ``limit`` links with ids above ``after``, in the order of their ids."""
    values = (after, which.settled_until, which.campaign, which.campaign, limit)
    cursor = connection.execute(SQL["unverified_page"], values)
    return [
        LineageLink(id_, Relation(relation), previous, conversation, message, external, sent_at)
        for id_, relation, previous, conversation, message, external, sent_at in cursor
    ]


def mark(connection: sqlite3.Connection, found: Mapping[int, LinkVerdict], at: float) -> None:
    """Write what was found into the lineage, by its ids; ``at`` is seconds since the epoch.

    To be called inside of a transaction, or for one link.
    """
    rows = [(str(verified), at, id_) for id_, verified in found.items()]
    connection.executemany(SQL["mark_verified"], rows)


class ExclusiveLinkStore:
    """The links of a ledger that no daemon works on: it holds the ledger's lock. Use ``with``.

    Raises:
        LedgerError: another process holds the ledger, there is none, or no such campaign.

    """

    def __init__(self, path: str | Path, which: UnverifiedQuery) -> None:
        self._path = Path(path)
        self._which = which
        check_campaign(self._path, which.campaign)
        self._lock = LedgerLock(self._path)
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

    def page(self, after: int, limit: int) -> Sequence[LineageLink]:
        """Return up to ``limit`` links with ids above ``after``."""
        try:
            return unverified(self._connection, self._which, after, limit)
        except sqlite3.Error as error:
            raise translate_error(self._path, error) from None

    def mark(self, found: Mapping[int, LinkVerdict], at: float) -> None:
        """Write down, in one transaction, what was found."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            mark(self._connection, found, at)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise translate_error(self._path, error) from None
