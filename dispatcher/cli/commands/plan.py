"""``dispatcher plan``: what a run would do, for people and as JSON."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NamedTuple

import click
from rich.table import Table

from dispatcher.app import dry_run
from dispatcher.cli import foreseen_halt, formatting
from dispatcher.cli.config import SettingsOptions, settings_options
from dispatcher.cli.consoles import OutputConsole
from dispatcher.cli.exit_codes import EPILOG
from dispatcher.cli.options import debug_option, json_option, progress_option
from dispatcher.cli.progress import show_counts
from dispatcher.cli.tables import new_table
from dispatcher.domain.errors import ExitCode
from dispatcher.domain.forecast import Estimate, Interval
from dispatcher.domain.look_schedule import LEAST_PART
from dispatcher.domain.status import RetryReason
from dispatcher.engine.readonly.dry_run import DryRunReport, ScanProgress
from dispatcher.settings import Settings, requests_per_minute

WAITS = (RetryReason.ENGAGED, RetryReason.NOT_ENDED)
"""Deferrals until a session is in another state."""
QUOTA_SHARE = 0.98
"""Share of the quota that a run uses; see docs/architecture.md, pacing."""


@click.command(epilog=EPILOG)
@settings_options
@click.option(
    "--sample",
    type=click.IntRange(min=1),
    default=400,
    show_default=True,
    help="Ask the platform for the states of so many contacts, picked at random.",
)
@click.option("--all", "all_", is_flag=True, help="Ask for the state of every contact.")
@click.option("--no-checks", is_flag=True, help="Ask for no state: only the source is read.")
@click.option(
    "--ended-after",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a closed session is assumed to take until it is ended.",
)
@click.option("--seed", type=int, help="Pick the same contacts of the same source again.")
@json_option
@progress_option
@debug_option
def plan(  # noqa: PLR0913 - one parameter for each option
    options: SettingsOptions,
    *,
    sample: int,
    all_: bool,
    no_checks: bool,
    ended_after: float,
    seed: int | None,
    as_json: bool,
    progress: bool | None,
) -> int:
    """Report what a run that starts now would do. Nothing is sent, and nothing is written.

    The source is read to its end, from the position that the ledger has, and the states of a
    random sample of the contacts are read, within the quota. Every figure that is estimated from
    a sample has its 95% interval. A running dispatcher is not disturbed, but it shares the quota.

    \b
    Examples:
      dispatcher plan --config dispatcher.toml
      dispatcher plan --config dispatcher.toml --sample 2000 --json
      dispatcher plan --config dispatcher.toml --no-checks
    """
    if all_ and no_checks:
        raise click.UsageError("--all and --no-checks exclude each other.")
    settings = options.load_settings()
    if len(settings.campaigns) > 1:
        raise click.UsageError(f"plan one campaign at a time: --campaign, one of {settings.title}")
    to_read = None if all_ else 0 if no_checks else sample
    with _show_scan(to_read, progress=progress) as show:
        report = dry_run.plan(settings, show, sample=to_read, ended_after=ended_after, seed=seed)
    seconds = duration(report, settings)
    if as_json:
        click.echo(json.dumps(report_as_json(settings, report, seconds, time.time()), indent=2))
        return ExitCode.DONE
    console = OutputConsole()
    console.print(_rows(settings.campaign, report))
    console.print(_outcomes(report.estimate))
    console.print(_requests_table(report.estimate))
    if report.halt is not None:
        console.print(foreseen_halt.sentence(report.halt), highlight=False, soft_wrap=True)
    for line in _remarks(settings, report, seconds, ended_after):
        console.print(line, highlight=False, soft_wrap=True)
    return ExitCode.DONE


class Seconds(NamedTuple):
    """A duration with its 95% interval."""

    estimate: float
    low: float
    high: float


def duration(report: DryRunReport, settings: Settings) -> Seconds:
    """Return how long the run takes at this quota."""
    rate = requests_per_minute(settings) / 60 * QUOTA_SHARE
    requests = report.estimate.requests
    numbers = (requests.number, requests.low, requests.high)
    return Seconds(*(max(number / rate, report.longest_wait) for number in numbers))


def others_done(report: DryRunReport, settings: Settings) -> float | None:
    """Return in how many seconds the contacts are done whose sessions are not waited for.

    That is at most so long if all the others stay as they are; None if none is waited for.
    """
    estimate, share = report.estimate, settings.retry.waiting_share
    waiting = sum(estimate.waits[reason].number for reason in WAITS if reason in estimate.waits)
    if not waiting:
        return None
    rate = requests_per_minute(settings) / 60 * QUOTA_SHARE
    others = max(0, estimate.requests.number - estimate.rechecks.number - 2 * waiting)
    first_looks_beyond = (others + waiting) / (1 - share * LEAST_PART)
    return max(others / (1 - share), first_looks_beyond) / rate if share < 1 else None


def report_as_json(
    settings: Settings, report: DryRunReport, seconds: Seconds, now: float
) -> dict[str, object]:
    """Return the report as JSON values; every estimate has its 95% interval."""
    scan, estimate = report.progress, report.estimate
    outcomes: dict[str, dict[str, object]] = {}
    for (status, reason), interval in sorted(estimate.outcomes.items()):
        outcomes.setdefault(status, {})[reason] = _span(interval)
    return {
        "campaign": settings.campaign,
        "rows": {
            "read": scan.rows,
            "contacts": scan.contacts,
            "duplicates": scan.duplicates,
            "rejected": dict(scan.rejected),
            "filtered": scan.filtered,
        },
        "ledger": {
            "waiting": scan.waiting,
            "suspected": scan.suspected,
            "in_doubt": report.in_doubt,
        },
        "would_halt": foreseen_halt.as_json(report.halt) if report.halt is not None else None,
        "checked": {"of": scan.to_check, "checked": scan.checked, "no_answer": scan.unread},
        "contacts": outcomes,
        "deferred": {reason: _span(interval) for reason, interval in estimate.waits.items()},
        "due_later": {"contacts": scan.later, "last": _iso(scan.last_due)},
        "requests": {name: _span(interval) for name, interval in _requests(estimate).items()},
        "duration_seconds": seconds._asdict(),
        "others_done_seconds": others_done(report, settings),
        "ends_at": {name: _iso(now + after) for name, after in seconds._asdict().items()},
    }


def _span(interval: Interval) -> dict[str, int]:
    return {"estimate": interval.number, "low": interval.low, "high": interval.high}


def _iso(moment: float) -> str | None:
    return datetime.fromtimestamp(moment, UTC).isoformat() if moment else None


def _requests(estimate: Estimate) -> dict[str, Interval]:
    return {
        "checks": estimate.checks,
        "rechecks": estimate.rechecks,
        "sends": estimate.sends,
        "all": estimate.requests,
    }


def _rows(campaign: str, report: DryRunReport) -> Table:
    scan = report.progress
    table = new_table(f"Plan of campaign {campaign}: rows", "rows", "reason", "number")
    table.add_row("new contact", "", f"{scan.contacts:,}")
    table.add_row("duplicate", "already in the campaign", f"{scan.duplicates:,}")
    for word, number in sorted(scan.rejected.items()):
        table.add_row(formatting.ROW_REJECTED, word, f"{number:,}")
    table.add_row("filtered", "kept out by source.filter", f"{scan.filtered:,}")
    table.add_section()
    table.add_row("in the ledger", "not final", f"{scan.waiting:,}")
    if report.in_doubt:
        table.add_row("in the ledger", "in doubt, not planned", f"{report.in_doubt:,}")
    return table


def _outcomes(estimate: Estimate) -> Table:
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


def _requests_table(estimate: Estimate) -> Table:
    table = new_table("Requests", "requests", "95% interval", "number")
    for name, found in _requests(estimate).items():
        table.add_row(name, _interval(found), f"{found.number:,}")
    return table


def _interval(interval: Interval) -> str:
    if interval.low == interval.high:
        return "exact"
    return f"{interval.low:,} to {interval.high:,}"


def _remarks(
    settings: Settings, report: DryRunReport, seconds: Seconds, ended_after: float
) -> Iterator[str]:
    scan, (estimate, low, high) = report.progress, seconds
    if scan.suspected and settings.rules.halt_suspicious:
        yield (
            f"Refused alike in an earlier run: {formatting.contacts(scan.suspected)} of the "
            "ledger. A run tests one of them alone, and halts again if it is refused so again."
        )
    if scan.checked or scan.unread:
        unread = f", {scan.unread:,} without an answer" if scan.unread else ""
        checked = f"{scan.checked:,} of {scan.to_check:,}"
        yield f"States read: {checked} contacts{unread}."
    elif scan.to_check:
        yield "States were not read: a contact takes one request or two, depending on its state."
    if RetryReason.ENGAGED in report.estimate.waits:
        yield "Open sessions that get no message now are assumed to be closed at the next check."
    if RetryReason.NOT_ENDED in report.estimate.waits:
        yield (
            f"Sessions that have not ended are assumed to end within {ended_after:g} s "
            "(--ended-after)."
        )
    others = others_done(report, settings)
    if others is not None:
        yield (
            "If none of them ends meanwhile, the other contacts are done within "
            f"{formatting.duration(others)}: looks take up to {settings.retry.waiting_share:.0%} "
            "of the quota (retry.waiting_share)."
        )
    if scan.later:
        yield f"Due later: {formatting.contacts(scan.later)}, the last {_iso(scan.last_due)}."
    quota = f"{requests_per_minute(settings):,} requests a minute"
    spread = f" ({formatting.duration(low)} to {formatting.duration(high)})" if low != high else ""
    end = datetime.fromtimestamp(time.time() + estimate).astimezone()
    yield (
        f"At {quota} it takes {formatting.duration(estimate)}{spread}: started now, it ends about "
        f"{end:%Y-%m-%d %H:%M}."
    )
    yield "Nothing was sent, and nothing was written."


@contextmanager
def _show_scan(
    sample: int | None, *, progress: bool | None
) -> Iterator[Callable[[ScanProgress], None]]:
    """Yield the function that shows how far the dry run is."""
    names = ("rows read", "states read")[: 1 if sample == 0 else 2]
    with show_counts(*names, live=progress) as show:

        def show_counted(scan: ScanProgress) -> None:
            states = scan.to_check if sample is None else min(sample, scan.to_check)
            rows = (scan.rows, scan.rows if scan.at_end else None)
            read = (scan.checked + scan.unread, states if scan.at_end else None)
            show(*(rows, read)[: len(names)])

        yield show_counted
