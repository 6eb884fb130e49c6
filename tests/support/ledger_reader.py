"""What tests read from a ledger's file: all rows of one campaign, and the status of campaigns."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from dispatcher.app.store import pages
from dispatcher.domain.status import Status
from dispatcher.ledgers.operator_store import SqliteOperatorStore
from dispatcher.ports.questions import (
    CampaignStatus,
    ContactRows,
    LineageRows,
    PagedRows,
    RejectedRows,
    StatusOf,
)
from dispatcher.ports.stored_rows import ContactRow, LineageRow, StoredRejectedRow

R = TypeVar("R")


class LedgerReader(SqliteOperatorStore):
    """The ledger at ``path``, as an operator's command reads it. Use it with ``with``."""

    def __init__(self, path: str | Path, campaign: str) -> None:
        super().__init__(Path(path))
        self._campaign = campaign

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
        for page in pages(self, rows, str(after)):
            yield from page.rows


def read_status(
    path: str | Path, campaign: str | None = None, *, now: float
) -> Sequence[CampaignStatus]:
    """Return the status of one campaign, or of all; ``now`` is in seconds since the epoch."""
    return SqliteOperatorStore(Path(path)).look(StatusOf(campaign, now))
