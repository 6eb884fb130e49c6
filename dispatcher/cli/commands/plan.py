"""``dispatcher plan``: what a run would do, as people and as programs read it."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from dispatcher.app import dry_run
from dispatcher.cli import formatting
from dispatcher.cli.config import SettingsOptions
from dispatcher.cli.exit_codes import EPILOG, say
from dispatcher.cli.options import (
    config_option,
    debug_option,
    json_option,
    progress_option,
    settings_options,
    with_options,
)
from dispatcher.cli.tables import new_table
from dispatcher.domain.errors import ExitCode
from dispatcher.domain.forecast import Estimate, Interval
from dispatcher.domain.status import RetryReason
from dispatcher.engine.readonly.dry_run import DryRunReport, ScanProgress
from dispatcher.settings import Settings, requests_per_minute

QUOTA_SHARE = 0.98
"""Share of the quota at which a run goes; see docs/architecture.md, pacing."""
_LINE_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class PlanCommandOptions(SettingsOptions):
    """Options of ``dispatcher plan``."""

    sample: int
    all_: bool
    no_checks: bool
    ended_after: float
    seed: int | None
    as_json: bool
    progress: bool | None


@click.command(epilog=EPILOG)
@config_option
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
@with_options(PlanCommandOptions)
def plan(options: PlanCommandOptions) -> int:
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
    if options.all_ and options.no_checks:
        raise click.UsageError("--all and --no-checks exclude each other.")
    settings = options.load_settings()
    if len(settings.campaigns) > 1:
        raise click.UsageError(f"plan one campaign at a time: --campaign, one of {settings.title}")
    sample = None if options.all_ else 0 if options.no_checks else options.sample
    request = dry_run.DryRunRequest(sample, options.ended_after, options.seed)
    console = Console(stderr=True)
    live = console.is_terminal if options.progress is None else options.progress
    with _shown(console, request, live=live) as show:
        report = dry_run.plan(settings, request, show)
    seconds = duration(report, settings)
    if options.as_json:
        click.echo(json.dumps(as_json(settings, report, seconds, time.time()), indent=2))
    else:
        _print(Console(), settings, report, seconds, options.ended_after)
    return ExitCode.DONE


def duration(plan: DryRunReport, settings: Settings) -> tuple[float, float, float]:
    """Return how many seconds the run takes at this quota: likely, at least, at most."""
    rate = requests_per_minute(settings) / 60 * QUOTA_SHARE
    requests = plan.estimate.requests
    likely, low, high = (n / rate for n in (requests.number, requests.low, requests.high))
    wait = plan.longest_wait
    return max(likely, wait), max(low, wait), max(high, wait)


def as_json(
    settings: Settings, plan: DryRunReport, seconds: tuple[float, float, float], now: float
) -> dict[str, object]:
    """Return the plan as plain values; every estimate has its 95% interval."""
    seen, estimate = plan.seen, plan.estimate
    outcomes: dict[str, dict[str, object]] = {}
    for (status, reason), found in sorted(estimate.outcomes.items()):
        outcomes.setdefault(status, {})[reason] = _span(found)
    return {
        "campaign": settings.campaign,
        "rows": {
            "read": seen.rows,
            "contacts": seen.contacts,
            "duplicates": seen.duplicates,
            "rejected": dict(seen.rejected),
            "filtered": seen.filtered,
        },
        "ledger": {"waiting": seen.waiting, "in_doubt": plan.in_doubt},
        "checked": {"of": seen.to_ask, "checked": seen.asked, "no_answer": seen.unread},
        "contacts": outcomes,
        "deferred": {reason: _span(found) for reason, found in estimate.waits.items()},
        "due_later": {"contacts": seen.later, "last": _iso(seen.last_due)},
        "requests": {name: _span(found) for name, found in _requests(estimate).items()},
        "duration_seconds": dict(zip(("estimate", "low", "high"), seconds, strict=True)),
        "ends_at": {
            name: _iso(now + after)
            for name, after in zip(("estimate", "low", "high"), seconds, strict=True)
        },
    }


def _span(found: Interval) -> dict[str, int]:
    return {"estimate": found.number, "low": found.low, "high": found.high}


def _iso(moment: float) -> str | None:
    return datetime.fromtimestamp(moment, UTC).isoformat() if moment else None


def _requests(estimate: Estimate) -> dict[str, Interval]:
    return {
        "checks": estimate.checks,
        "rechecks": estimate.rechecks,
        "sends": estimate.sends,
        "all": estimate.requests,
    }


def _print(
    console: Console,
    settings: Settings,
    plan: DryRunReport,
    seconds: tuple[float, float, float],
    ended_after: float,
) -> None:
    console.print(_rows(settings.campaign, plan))
    console.print(_outcomes(plan.estimate))
    console.print(_requests_table(plan.estimate))
    for line in _words(settings, plan, seconds, ended_after):
        console.print(line, highlight=False, soft_wrap=True)


def _rows(campaign: str, plan: DryRunReport) -> Table:
    seen = plan.seen
    table = new_table(f"Plan of campaign {campaign}: what is there", "rows", "reason", "number")
    table.add_row("new contact", "", formatting.count(seen.contacts))
    table.add_row("duplicate", "already in the campaign", formatting.count(seen.duplicates))
    for word, number in sorted(seen.rejected.items()):
        table.add_row("rejected row", word, formatting.count(number))
    table.add_row("filtered", "kept out by source.filter", formatting.count(seen.filtered))
    table.add_section()
    table.add_row("in the ledger", "not final", formatting.count(seen.waiting))
    if plan.in_doubt:
        table.add_row("in the ledger", "in doubt, not planned", formatting.count(plan.in_doubt))
    return table


def _outcomes(estimate: Estimate) -> Table:
    table = new_table("What a run would do", "would become", "reason", "95% interval", "contacts")
    order = {status: place for place, status in enumerate(formatting.OUTCOMES)}
    for (status, reason), found in sorted(
        estimate.outcomes.items(), key=lambda item: (order[item[0][0]], -item[1].number)
    ):
        table.add_row(str(status), str(reason), _interval(found), formatting.count(found.number))
    for waits, found in estimate.waits.items():
        words = f"{waits}, counted above"
        table.add_row("deferred first", words, _interval(found), formatting.count(found.number))
    return table


def _requests_table(estimate: Estimate) -> Table:
    table = new_table("Requests", "requests", "95% interval", "number")
    for name, found in _requests(estimate).items():
        table.add_row(name, _interval(found), formatting.count(found.number))
    return table


def _interval(found: Interval) -> str:
    if found.low == found.high:
        return "exact"
    return f"{formatting.count(found.low)} to {formatting.count(found.high)}"


def _words(
    settings: Settings, plan: DryRunReport, seconds: tuple[float, float, float], ended_after: float
) -> Iterator[str]:
    seen, (likely, low, high) = plan.seen, seconds
    if seen.asked or seen.unread:
        unread = f", {formatting.count(seen.unread)} without an answer" if seen.unread else ""
        checked = f"{formatting.count(seen.asked)} of {formatting.count(seen.to_ask)}"
        yield f"States read: {checked} contacts{unread}."
    elif seen.to_ask:
        yield "States were not read: a contact takes one request or two, and which is not known."
    if RetryReason.ENGAGED in plan.estimate.waits:
        yield "Open sessions that are not written into are taken to be over at the next look."
    if RetryReason.NOT_ENDED in plan.estimate.waits:
        yield (
            f"Sessions that are not ended are taken to be so within {ended_after:g} s "
            "(--ended-after)."
        )
    if seen.later:
        yield f"Due later: {formatting.count(seen.later)} contacts, the last {_iso(seen.last_due)}."
    quota = f"{formatting.count(requests_per_minute(settings))} requests a minute"
    spread = f" ({formatting.duration(low)} to {formatting.duration(high)})" if low != high else ""
    end = datetime.fromtimestamp(time.time() + likely).astimezone()
    yield (
        f"At {quota} it takes {formatting.duration(likely)}{spread}: started now, it ends about "
        f"{end:%Y-%m-%d %H:%M}."
    )
    yield "Nothing was sent, and nothing was written."


@contextmanager
def _shown(
    console: Console, asked: dry_run.DryRunRequest, *, live: bool
) -> Iterator[Callable[[ScanProgress], None]]:
    if not live:
        yield _lines(asked)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        reading = progress.add_task("rows read", total=None)
        asking = progress.add_task("states asked", total=None, visible=asked.sample != 0)

        def show(seen: ScanProgress) -> None:
            progress.update(reading, completed=seen.rows, total=seen.rows if seen.at_end else None)
            total = _total(seen, asked)
            progress.update(asking, completed=seen.asked + seen.unread, total=total)

        yield show


def _total(seen: ScanProgress, asked: dry_run.DryRunRequest) -> int | None:
    if not seen.at_end:
        return None
    return seen.to_ask if asked.sample is None else min(asked.sample, seen.to_ask)


def _lines(given: dry_run.DryRunRequest) -> Callable[[ScanProgress], None]:
    """Return what prints a line on standard error every ten seconds."""
    last = time.monotonic()

    def show(seen: ScanProgress) -> None:
        nonlocal last
        if time.monotonic() - last >= _LINE_SECONDS:
            last = time.monotonic()
            asked, total = seen.asked + seen.unread, _total(seen, given)
            of = "" if total is None else f" of {formatting.count(total)}"
            states = "" if given.sample == 0 else f", states asked {formatting.count(asked)}{of}"
            say(f"rows read {formatting.count(seen.rows)}{states}")

    return show
