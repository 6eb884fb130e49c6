"""Links of the lineage that are to be verified, and the verdicts on them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from dispatcher.domain.lineage_check import LineageLink, LinkVerdict
from dispatcher.domain.status import Relation
from dispatcher.ledgers.campaigns import find_campaigns
from dispatcher.ledgers.errors import translated_errors
from dispatcher.ledgers.exclusive import ExclusiveLedger, transaction
from dispatcher.ledgers.read.reader import read_connection
from dispatcher.ledgers.statements import SQL
from dispatcher.ports.questions import UnverifiedLinks


class ExclusiveLinkStore:
    """The links of a ledger, whose lock this object holds. Use it with ``with``.

    Raises:
        LedgerError: another process has locked the ledger, there is none, or no such campaign.

    """

    def __init__(self, path: str | Path, query: UnverifiedLinks) -> None:
        self._path = Path(path)
        self._query = query
        with read_connection(self._path) as connection:  # a mistyped path must not create a file
            find_campaigns(connection, query.campaign, self._path)
        self._ledger = ExclusiveLedger.open(self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ledger.close()

    def page(self, after: int, limit: int) -> Sequence[LineageLink]:
        """Return up to ``limit`` links with ids above ``after``, in the order of their ids."""
        values = (after, self._query.settled_until, self._query.campaign, limit)
        with translated_errors(self._path):
            rows = self._ledger.connection.execute(SQL["unverified_page"], values).fetchall()
        return [LineageLink(row[0], Relation(row[1]), *row[2:]) for row in rows]

    def mark(self, verdicts: Mapping[int, LinkVerdict], at: float) -> None:
        """Store verdicts by the ids of their links, in one transaction.

        ``at`` is in seconds since the epoch.
        """
        rows = [(str(verdict), at, id_) for id_, verdict in verdicts.items()]
        connection = self._ledger.connection
        with translated_errors(self._path), transaction(connection):
            connection.executemany(SQL["mark_verified"], rows)
