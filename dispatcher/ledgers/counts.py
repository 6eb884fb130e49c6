"""Totals and backlog from the counts that a ledger has."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from dispatcher.domain.status import Reason, Status
from dispatcher.ports import Backlog, Totals


class CampaignSums(NamedTuple):
    """The sums of a campaign's rows."""

    rows: int
    admitted: int
    duplicates: int
    filtered: int


def totals_of(
    counts: CampaignSums,
    rejected: Mapping[str, int],
    settled: Iterable[tuple[str, str, int]],
    started: Mapping[str, int],
) -> Totals:
    """Return totals; a contact is ready if it is neither settled nor started.

    ``settled`` are statuses, reasons and numbers, ``started`` the numbers of the others by status.
    """
    by_status: dict[tuple[Status, Reason | None], int] = {
        (Status(status), Reason(reason)): count for status, reason, count in settled
    }
    for status, count in started.items():
        by_status[Status(status), None] = count
    by_status[Status.READY, None] = counts.admitted - sum(by_status.values())
    return Totals(
        rows=counts.rows,
        admitted=counts.admitted,
        duplicates=counts.duplicates,
        filtered=counts.filtered,
        rejected=rejected,
        by_status={key: count for key, count in by_status.items() if count},
    )


def backlog_from(
    totals: Totals, due: int, oldest_due: float | None, next_due: float | None
) -> Backlog:
    """Return the backlog; ``totals`` and the other figures are of the same moment."""
    ready = totals.by_status.get((Status.READY, None), 0)
    claimed = totals.by_status.get((Status.CLAIMED, None), 0)
    sending = totals.by_status.get((Status.SENDING, None), 0)
    return Backlog(due, ready - due, claimed + sending, oldest_due, next_due)
