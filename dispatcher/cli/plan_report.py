"""The report of a dry run, for people."""

import time
from collections.abc import Iterator
from datetime import datetime

from rich.table import Table

from dispatcher.app import plan_words
from dispatcher.app.plan_figures import Seconds, requests_of
from dispatcher.cli import formatting
from dispatcher.cli.tables import new_table
from dispatcher.domain.forecast import Estimate, Interval
from dispatcher.engine.readonly.dry_run import DryRunReport
from dispatcher.settings import Settings, requests_per_minute


def rows_table(campaign: str, report: DryRunReport) -> Table:
    """Return what the rows of the source are, and how many contacts wait in the ledger."""
    table = new_table(f"Plan of campaign {campaign}: rows", "rows", "reason", "number")
    for part in (plan_words.rows(report), plan_words.in_ledger(report)):
        for what, reason, number in part:
            table.add_row(what, reason, f"{number:,}")
        table.add_section()
    return table


def outcomes_table(estimate: Estimate) -> Table:
    """Return how many contacts would have which status and reason."""
    table = new_table("What a run would do", "would become", "reason", "95% interval", "contacts")
    for becomes, reason, found in plan_words.outcomes(estimate):
        table.add_row(becomes, reason, _interval(found), f"{found.number:,}")
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
    yield from plan_words.remarks(settings, report, ended_after)
    yield _end_remark(settings, seconds)
    yield plan_words.NOTHING_DONE


def _end_remark(settings: Settings, seconds: Seconds) -> str:
    estimate, low, high = seconds
    quota = f"{requests_per_minute(settings):,} requests a minute"
    spread = f" ({formatting.duration(low)} to {formatting.duration(high)})" if low != high else ""
    end = datetime.fromtimestamp(time.time() + estimate).astimezone()
    return (
        f"At {quota} it takes {formatting.duration(estimate)}{spread}: started now, it ends about "
        f"{end:%Y-%m-%d %H:%M}."
    )
