"""A plan in words and numbers, the same for `dispatcher plan` and for the page of a run."""

from collections.abc import Iterator
from typing import NamedTuple

from dispatcher.app.plan_figures import iso, others_done
from dispatcher.domain.figures import OUTCOMES, ROW_REJECTED, contacts, duration, status_name
from dispatcher.domain.forecast import Estimate, Interval
from dispatcher.domain.status import RetryReason
from dispatcher.engine.readonly.dry_run import DryRunReport, ScanProgress
from dispatcher.settings import Settings

NOTHING_DONE = "Nothing was sent, and nothing was written."


class PlannedRows(NamedTuple):
    """So many rows of the source, or contacts of the ledger, are the same."""

    rows: str
    reason: str
    number: int


class PlannedOutcome(NamedTuple):
    """What so many contacts would become, or for what they would be deferred first."""

    becomes: str
    reason: str
    number: Interval


def rows(report: DryRunReport) -> Iterator[PlannedRows]:
    """Yield what the rows of the source are."""
    scan = report.progress
    yield PlannedRows("new contact", "", scan.contacts)
    yield PlannedRows("duplicate", "already in the campaign", scan.duplicates)
    for word, number in sorted(scan.rejected.items()):
        yield PlannedRows(ROW_REJECTED, word, number)
    yield PlannedRows("filtered", "not selected by source.filter", scan.filtered)


def in_ledger(report: DryRunReport) -> Iterator[PlannedRows]:
    """Yield how many contacts wait in the ledger."""
    yield PlannedRows("in the ledger", "not final", report.progress.waiting)
    if report.in_doubt:
        yield PlannedRows("in the ledger", "in doubt, not planned", report.in_doubt)


def outcomes(estimate: Estimate) -> Iterator[PlannedOutcome]:
    """Yield how many contacts would have which status and reason."""
    order = {status: position for position, status in enumerate(OUTCOMES)}
    for (status, reason), found in sorted(
        estimate.outcomes.items(), key=lambda item: (order[item[0][0]], -item[1].number)
    ):
        yield PlannedOutcome(status_name(status), str(reason), found)
    for waits, found in estimate.waits.items():
        yield PlannedOutcome("deferred first", f"{waits}, counted above", found)


def remarks(settings: Settings, report: DryRunReport, ended_after: float) -> Iterator[str]:
    """Yield what the figures are based on; ``ended_after`` is in seconds."""
    scan = report.progress
    yield from _suspected_remark(settings, scan)
    yield from _states_remark(scan)
    yield from _waits_remarks(settings, report, ended_after)
    if scan.later:
        yield f"Due later: {contacts(scan.later)}, the last {iso(scan.last_due)}."


def _suspected_remark(settings: Settings, scan: ScanProgress) -> Iterator[str]:
    if scan.suspected and settings.rules.halt_suspicious:
        yield (
            f"Refused for the same reason in an earlier run: {contacts(scan.suspected)} "
            "of the ledger. A run tests one of them first, and halts again if it is refused."
        )


def _states_remark(scan: ScanProgress) -> Iterator[str]:
    if scan.checked or scan.unread:
        unread = f", {scan.unread:,} without an answer" if scan.unread else ""
        checked = f"{scan.checked:,} of {scan.to_check:,}"
        yield f"States read: {checked} contacts{unread}."
    elif scan.to_check:
        yield "States were not read: a contact takes one request or two, depending on its state."


def _waits_remarks(settings: Settings, report: DryRunReport, ended_after: float) -> Iterator[str]:
    if RetryReason.ENGAGED in report.estimate.waits:
        yield "Open sessions that get no message now are assumed to have ended at the next check."
    if RetryReason.NOT_ENDED in report.estimate.waits:
        yield (
            f"Sessions that have not ended are assumed to end within {ended_after:g} s "
            "(--ended-after)."
        )
    others = others_done(report, settings)
    if others is not None:
        yield (
            "If none of them ends meanwhile, the other contacts are done within "
            f"{duration(others)}: checking them again takes up to "
            f"{settings.retry.waiting_share:.0%} of the quota (retry.waiting_share)."
        )
