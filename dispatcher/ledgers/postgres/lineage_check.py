"""Links of the lineage that are to be verified, and the verdicts on them, also beside runs."""

from collections.abc import Mapping, Sequence
from typing import Self

from dispatcher.domain.lineage_check import LineageLink, LinkVerdict
from dispatcher.domain.status import Relation
from dispatcher.ledgers.postgres.address import PostgresAddress
from dispatcher.ledgers.postgres.campaigns import find_campaigns
from dispatcher.ledgers.postgres.operator_connection import OperatorConnection
from dispatcher.ledgers.postgres.statements import (
    ORDERS,
    QUESTIONS,
    execute,
    fetch_all,
    fetch_row,
    transaction,
)
from dispatcher.ports.questions import UnverifiedLinks


class PostgresLinkStore:
    """The links of a ledger. Use it with ``with``.

    Raises:
        LedgerError: there is no ledger, or no such campaign.

    """

    def __init__(self, address: PostgresAddress, query: UnverifiedLinks) -> None:
        self._query = query
        self._opened = OperatorConnection(address)
        try:
            with self._opened.errors() as connection:
                find_campaigns(connection, query.campaign, address)
        except BaseException:
            self._opened.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def page(self, after: int, limit: int) -> Sequence[LineageLink]:
        """Return up to ``limit`` links with ids above ``after``, in the order of their ids."""
        values = {
            "after": after,
            "settled_until": self._query.settled_until,
            "campaign": self._query.campaign,
            "limit": limit,
        }
        with self._opened.errors() as connection:
            rows = fetch_all(connection, QUESTIONS["unverified_page"], values)
        return [LineageLink(row[0], Relation(row[1]), *row[2:]) for row in rows]

    def mark(self, verdicts: Mapping[int, LinkVerdict], at: float) -> None:
        """Store verdicts by the ids of their links, in one transaction.

        ``at`` is in seconds since the epoch.
        """
        with self._opened.errors() as connection, transaction(connection):
            (later,) = fetch_row(connection, ORDERS["verdict_time"], {"at": at})
            values = {
                "ids": list(verdicts),
                "verdicts": [str(verdict) for verdict in verdicts.values()],
                "at": later,
            }
            execute(connection, ORDERS["mark_verified"], values)
