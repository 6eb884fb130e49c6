"""``dispatcher plan``: what a run would do."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from dispatcher.app import dry_run, foreseen_halt, plan_figures
from dispatcher.cli import plan_report
from dispatcher.cli.config import SettingsOptions, settings_options
from dispatcher.cli.consoles import OutputConsole
from dispatcher.cli.exit_codes import EPILOG
from dispatcher.cli.options import debug_option, json_option, progress_option
from dispatcher.cli.progress import show_counts
from dispatcher.domain.errors import ExitCode
from dispatcher.engine.readonly.dry_run import ScanProgress


@click.command(epilog=EPILOG)
@settings_options
@click.option(
    "--sample",
    type=click.IntRange(min=1),
    default=400,
    show_default=True,
    help="Read the states of this many random contacts.",
)
@click.option("--all", "all_", is_flag=True, help="Read the state of every contact.")
@click.option("--no-checks", is_flag=True, help="Read no states, only the source.")
@click.option(
    "--ended-after",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a closed session is assumed to take until it is ended.",
)
@click.option("--seed", type=int, help="Select the same contacts of the same source again.")
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

    The source is read from the position in the ledger to its end, and the states of a random sample
    of the contacts are read, within the quota. Every figure that is estimated from a sample has its
    95% interval. A running dispatcher is not disturbed, but it shares the quota.

    \b
    Examples:
      dispatcher plan --config dispatcher.toml
      dispatcher plan --config dispatcher.toml --sample 2000 --json
      dispatcher plan --config dispatcher.toml --no-checks
    """
    if all_ and no_checks:
        raise click.UsageError("--all and --no-checks cannot be used together.")
    settings = options.load_settings()
    if len(settings.campaigns) > 1:
        raise click.UsageError(f"plan one campaign at a time: --campaign, one of {settings.title}")
    to_read = None if all_ else 0 if no_checks else sample
    with _show_scan(to_read, progress=progress) as show:
        report = dry_run.plan(settings, show, sample=to_read, ended_after=ended_after, seed=seed)
    seconds = plan_figures.duration(report, settings)
    if as_json:
        click.echo(
            json.dumps(
                plan_figures.report_as_json(settings, report, seconds, time.time()), indent=2
            )
        )
        return ExitCode.DONE
    console = OutputConsole()
    console.print(plan_report.rows_table(settings.campaign, report))
    console.print(plan_report.outcomes_table(report.estimate))
    console.print(plan_report.requests_table(report.estimate))
    if report.halt is not None:
        console.print(foreseen_halt.sentence(report.halt), highlight=False, soft_wrap=True)
    for line in plan_report.remarks(settings, report, seconds, ended_after):
        console.print(line, highlight=False, soft_wrap=True)
    return ExitCode.DONE


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
