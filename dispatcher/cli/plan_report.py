"""The report of a dry run, for people."""

import time
from collections.abc import Iterator
from datetime import datetime

from rich.table import Table

from dispatcher.app.plan_figures import Seconds, iso, others_done, requests_of
from dispatcher.cli import formatting
from dispatcher.cli.tables import new_table
from dispatcher.domain.forecast import Estimate, Interval
from dispatcher.domain.status import RetryReason
from dispatcher.engine.readonly.dry_run import DryRunReport, ScanProgress
from dispatcher.settings import Settings, requests_per_minute


def rows_table(campaign: str, report: DryRunReport) -> Table:
    """Return what the rows of the source are, and how many contacts wait in the ledger."""
    scan = report.progress
    table = new_table(f"Plan of campaign {campaign}: rows", "rows", "reason", "number")
    table.add_row("new contact", "", f"{scan.contacts:,}")
    table.add_row("duplicate", "already in the campaign", f"{scan.duplicates:,}")
    for word, number in sorted(scan.rejected.items()):
        table.add_row(formatting.ROW_REJECTED, word, f"{number:,}")
    table.add_row("filtered", "not selected by source.filter", f"{scan.filtered:,}")
    table.add_section()
    table.add_row("in the ledger", "not final", f"{scan.waiting:,}")
    if report.in_doubt:
        table.add_row("in the ledger", "in doubt, not planned", f"{report.in_doubt:,}")
    return table


def outcomes_table(estimate: Estimate) -> Table:
    """Return how many contacts would have which status and reason."""
    table = new_table("What a run would do", "would become", "reason", "95% interval", "contacts")
    order = {status: position for position, status in enumerate(formatting.OUTCOMES)}
    for (status, reason), found in sorted(
        estimate.outcomes.items(), key=lambda item: (order[item[0][0]], -item[1].number)
    ):
        table.add_row(
            formatting.status_name(status), str(reason), _interval(found), f"{found.number:,}"
        )
    for waits, found in estimate.waits.items():
        words = f"{waits}, counted above"
        table.add_row("deferred first", words, _interval(found), f"{found.number:,}")
    return table


def requests_table(estimate: Estimate) -> Table:
    """Return how many requests a run would make."""
    table = new_table("Requests", "requests", "95% interval", "number")
    for name, found in requests_of(estimate).items():
        table.add_row(name, _interval(found), f"{found.number:,}")
    return table


def _interval(interval: Interval) -> str:
    if interval.low == interval.high:
        return "exact"
    return f"{interval.low:,} to {interval.high:,}"


def remarks(
    settings: Settings, report: DryRunReport, seconds: Seconds, ended_after: float
) -> Iterator[str]:
    """Yield what the figures are based on, and when the run would end."""
    scan = report.progress
    yield from _suspected_remark(settings, scan)
    yield from _states_remark(scan)
    yield from _waits_remarks(settings, report, ended_after)
    if scan.later:
        yield f"Due later: {formatting.contacts(scan.later)}, the last {iso(scan.last_due)}."
    yield _end_remark(settings, seconds)
    yield "Nothing was sent, and nothing was written."


def _suspected_remark(settings: Settings, scan: ScanProgress) -> Iterator[str]:
    if scan.suspected and settings.rules.halt_suspicious:
        yield (
            f"Refused for the same reason in an earlier run: {formatting.contacts(scan.suspected)} "
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
            f"{formatting.duration(others)}: checking them again takes up to "
            f"{settings.retry.waiting_share:.0%} of the quota (retry.waiting_share)."
        )


def _end_remark(settings: Settings, seconds: Seconds) -> str:
    estimate, low, high = seconds
    quota = f"{requests_per_minute(settings):,} requests a minute"
    spread = f" ({formatting.duration(low)} to {formatting.duration(high)})" if low != high else ""
    end = datetime.fromtimestamp(time.time() + estimate).astimezone()
    return (
        f"At {quota} it takes {formatting.duration(estimate)}{spread}: started now, it ends about "
        f"{end:%Y-%m-%d %H:%M}."
    )
