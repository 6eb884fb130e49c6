"""``dispatcher lineage``: which conversation continues which, exported or verified."""

import sys
import time
from pathlib import Path

import click

from dispatcher.app import lineage_export
from dispatcher.app.lineage_check import verify_lineage
from dispatcher.app.lineage_formats import FORMATS, ExportFormat
from dispatcher.cli.config import (
    LedgerOptions,
    SettingsOptions,
    ledger_options,
    settings_options,
)
from dispatcher.cli.exit_codes import EPILOG, say
from dispatcher.cli.formatting import plural
from dispatcher.cli.options import FILE, debug_option
from dispatcher.domain.errors import ExitCode
from dispatcher.domain.lineage_check import LinkVerdict
from dispatcher.engine.readonly.lineage_check import LineageCheckProgress
from dispatcher.ledgers.lineage_check import UnverifiedQuery


@click.group()
def lineage() -> None:
    """Export which conversation continues which, or ask the platform whether each link took."""


@lineage.command(epilog=EPILOG, short_help="Export the lineage as CSV, JSON Lines or Parquet.")
@ledger_options
@click.option("--format", type=click.Choice(FORMATS), default="csv", show_default=True)
@click.option(
    "--since", type=click.IntRange(min=0), metavar="CURSOR", help="Only rows after this cursor."
)
@click.option("--out", default="-", metavar="FILE", show_default=True, help="Where it goes.")
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
@click.option(
    "--cursor-file",
    type=FILE,
    help="Begin at the cursor in this file, and write the next one into it.",
)
@debug_option
def export(
    options: LedgerOptions,
    *,
    format: ExportFormat,  # noqa: A002 - the option's name
    since: int | None,
    out: str,
    overwrite: bool,
    cursor_file: Path | None,
) -> int:
    """Export the lineage, whole or from a cursor on; a running dispatcher is not disturbed.

    The next cursor is printed on standard error, and written into the cursor file once the export
    is complete and on the disk. docs/lineage.md describes the columns.

    \b
    Examples:
      dispatcher lineage export --config dispatcher.toml --out lineage.csv
      dispatcher lineage export --ledger ledger.db --format parquet --out lineage.parquet
      dispatcher lineage export --ledger ledger.db --format jsonl \\
          --cursor-file lineage.cursor --out "lineage-$(date +%s).jsonl"
    """
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


@lineage.command(epilog=EPILOG, short_help="Ask the platform whether each link took.")
@settings_options
@click.option(
    "--since", type=click.IntRange(min=0), default=0, metavar="CURSOR", help="Only links after it."
)
@click.option("--limit", type=click.IntRange(min=1), help="Ask about so many links at most.")
@click.option(
    "--min-age",
    type=click.FloatRange(min=0),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="Leave younger links for later: the platform's analytics lag behind.",
)
@debug_option
def verify(options: SettingsOptions, *, since: int, limit: int | None, min_age: float) -> int:
    """Ask the platform's analytics whether each link took, and mark it in the ledger.

    Links that were confirmed before are not asked about again. One request serves up to 100
    links, within the quota. It needs the ledger for itself: stop the run first.

    \b
    Examples:
      dispatcher lineage verify --config dispatcher.toml
      dispatcher lineage verify --config dispatcher.toml --limit 10000 --min-age 3600
    """
    settings = options.load_settings(purpose="verify")
    named = options.campaign or settings.origin("campaign") is not None
    query = UnverifiedQuery(time.time() - min_age, settings.campaign if named else None)
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
