"""What tests read from a ledger: all rows of one campaign, and the status of campaigns."""

from collections.abc import Iterator, Sequence
from typing import Self, TypeVar

from dispatcher.app.store import pages
from dispatcher.domain.status import Status
from dispatcher.ports.questions import (
    BEGINNING,
    CampaignStatus,
    ContactRows,
    LineageRows,
    PagedRows,
    RejectedRows,
    StatusOf,
)
from dispatcher.ports.stored_rows import ContactRow, LineageRow, StoredRejectedRow
from tests.support.ledgers import AnyLedger, operator_of

R = TypeVar("R")


class LedgerReader:
    """A ledger, as an operator's command reads it. Use it with ``with``."""

    def __init__(self, ledger: AnyLedger | str, campaign: str) -> None:
        self._store = operator_of(ledger)
        self._campaign = campaign

    def __enter__(self) -> Self:
        self._store.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._store.__exit__()

    def lineage(self, after: int = 0) -> Iterator[LineageRow]:
        """Yield the lineage with ids above ``after``."""
        return self._all(LineageRows(self._campaign), after)

    def rejected(self, after: int = 0) -> Iterator[StoredRejectedRow]:
        """Yield the rejected rows with ids above ``after``."""
        return self._all(RejectedRows(self._campaign), after)

    def contacts(self, status: Status, after: int = 0) -> Iterator[ContactRow]:
        """Yield the contacts of one status with ids above ``after``."""
        return self._all(ContactRows(self._campaign, status), after)

    def _all(self, rows: PagedRows[R], after: int) -> Iterator[R]:
        for page in pages(self._store, rows, str(after or BEGINNING)):
            yield from page.rows


def read_status(
    ledger: AnyLedger | str, campaign: str | None = None, *, now: float
) -> Sequence[CampaignStatus]:
    """Return the status of one campaign, or of all; ``now`` is in seconds since the epoch."""
    return operator_of(ledger).look(StatusOf(campaign, now))
