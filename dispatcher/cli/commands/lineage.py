"""``dispatcher lineage``: which conversation continues which, exported or verified."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click
from click.core import ParameterSource

from dispatcher.app import lineage_export, lineage_to_sink
from dispatcher.app.lineage_check import verify_lineage
from dispatcher.cli.config import (
    LedgerOptions,
    SettingsOptions,
    ledger_options,
    settings_options,
)
from dispatcher.cli.exit_codes import EPILOG, say
from dispatcher.cli.formatting import plural
from dispatcher.cli.options import FILE, debug_option, progress_option
from dispatcher.cli.progress import show_counts
from dispatcher.domain.errors import ExitCode
from dispatcher.domain.lineage_check import LinkVerdict
from dispatcher.engine.readonly.lineage_check import LineageCheckProgress
from dispatcher.ports.questions import UnverifiedLinks
from dispatcher.sinks.lineage_formats import FORMATS, ExportFormat

_OF_FILES = ("format", "since", "out", "overwrite", "cursor_file")
"""Options of an export to a file."""


@click.group()
def lineage() -> None:
    """Export which conversation continues which, or verify it with the platform."""


@lineage.command(epilog=EPILOG, short_help="Export the lineage as CSV, JSON Lines or Parquet.")
@ledger_options
@click.option("--format", type=click.Choice(FORMATS), default="csv", show_default=True)
@click.option("--since", metavar="CURSOR", help="Only rows after this cursor.")
@click.option(
    "--out",
    default="-",
    metavar="FILE",
    show_default=True,
    help="The file to write; - is standard output.",
)
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
@click.option(
    "--cursor-file",
    type=FILE,
    help="Begin after the cursor in this file, and write the next one to it.",
)
@click.option(
    "--to",
    "sink",
    metavar="SINK",
    help="Instead of a file: send what this sink of [[sinks]] does not have yet.",
)
@progress_option
@debug_option
@click.pass_context
def export(  # noqa: PLR0913 - one parameter for each option
    ctx: click.Context,
    options: LedgerOptions,
    *,
    format: ExportFormat,  # noqa: A002 - the option's name
    since: str | None,
    out: str,
    overwrite: bool,
    cursor_file: Path | None,
    sink: str | None,
    progress: bool | None,
) -> int:
    """Export the lineage, all rows or those after a cursor, also during a run.

    The next cursor is printed on standard error. It is written to the cursor file when the export
    is complete and on the disk. docs/lineage.md describes the columns.

    With --to the rows go to a sink of the configuration, each once; docs/sinks.md describes it. A
    run sends to its sinks by itself: for --to stop the run first.

    \b
    Examples:
      dispatcher lineage export --config dispatcher.toml --out lineage.csv
      dispatcher lineage export --ledger ledger.db --format parquet --out lineage.parquet
      dispatcher lineage export --ledger ledger.db --format jsonl \\
          --cursor-file lineage.cursor --out "lineage-$(date +%s).jsonl"
      dispatcher lineage export --config dispatcher.toml --to warehouse
    """
    if sink is not None:
        _refuse(ctx, _OF_FILES, "is for a file: leave it out with --to")
        return _send(options, sink, progress=progress)
    _refuse(ctx, ("progress",), "is for --to")
    ledger, campaign = options.ledger_and_campaign()
    file = None if out == "-" else Path(out)
    if file is None and format == "parquet" and sys.stdout.isatty():
        raise click.UsageError("Parquet is not for a terminal: name a file with --out.")
    request = lineage_export.ExportRequest(
        ledger, campaign, format, since, file, cursor_file, overwrite
    )
    written = lineage_export.export(request, sys.stdout.buffer)
    say(f"{plural(written.rows, 'row')} exported; next cursor: {written.cursor}")
    return ExitCode.DONE


def _refuse(ctx: click.Context, names: Sequence[str], why: str) -> None:
    """Refuse options that would have no effect."""
    for parameter in ctx.command.params:
        name = parameter.name or ""
        if name in names and ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{parameter.opts[0]} {why}.")


def _send(options: LedgerOptions, name: str, *, progress: bool | None) -> int:
    """Send what a sink does not have yet, and say how much that was."""
    settings = options.load_settings()
    sink = lineage_to_sink.find_sink(settings, name, options.campaign)
    with show_counts("rows", "verdicts", live=progress) as show:
        sent = lineage_to_sink.send_lineage(
            settings,
            sink,
            lambda sent: show((sent.passed, sent.waiting), (sent.verdicts, None)),
            say,
        )
    verdicts = f" and {plural(sent.verdicts, 'verdict')}" if sent.verdicts else ""
    click.echo(
        f"{plural(sent.rows, 'row')}{verdicts} sent to sink {name} in "
        f"{plural(sent.ranges, 'range')}, {sent.seconds:.1f} s."
    )
    return ExitCode.DONE


@lineage.command(epilog=EPILOG, short_help="Verify each link with the platform.")
@settings_options
@click.option(
    "--since",
    type=click.IntRange(min=0),
    default=0,
    metavar="CURSOR",
    help="Only links after this cursor.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Verify at most this many links.")
@click.option(
    "--min-age",
    type=click.FloatRange(min=0),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help=(
        "Leave out contacts that became final less than this time ago: the platform's analytics "
        "have a delay."
    ),
)
@debug_option
def verify(options: SettingsOptions, *, since: int, limit: int | None, min_age: float) -> int:
    """Ask the platform's analytics for each link, and store the result in the ledger.

    Links that were confirmed before are left out. One request has up to 100 links, within the
    quota. Stop the run first: the command needs the lock of the ledger.

    \b
    Examples:
      dispatcher lineage verify --config dispatcher.toml
      dispatcher lineage verify --config dispatcher.toml --limit 10000 --min-age 3600
    """
    settings = options.load_settings(purpose="verify")
    named = options.campaign or settings.origin("campaign") is not None
    query = UnverifiedLinks(time.time() - min_age, settings.campaign if named else None)
    done = LineageCheckProgress(since, limit)
    verify_lineage(settings, query, done, lambda _: say(f"{plural(done.checked, 'link')} compared"))
    for link, verdict in done.failing:
        click.echo(
            f"{verdict}  {link.relation}  {link.previous_conversation_id} -> "
            f"{link.conversation_id or 'no conversation'}"
        )
    for verdict in LinkVerdict:
        click.echo(f"{verdict.value}: {done.counts[verdict]:,}")
    say(f"next cursor: {done.last}")
    confirmed = done.counts[LinkVerdict.CONFIRMED] == done.checked
    return ExitCode.DONE if confirmed else ExitCode.UNCONFIRMED
