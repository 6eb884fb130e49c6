"""``dispatcher lineage ...`` and its options."""

from pathlib import Path
from typing import Any

import click

from dispatcher.cli import options
from dispatcher.cli.exit_codes import epilog


@click.group(short_help="Which conversation continues which: export it, verify it.")
def lineage() -> None:
    """Export which conversation continues which, or ask the platform whether each link took."""


@lineage.command(epilog=epilog(), short_help="Export the lineage as CSV, JSON Lines or Parquet.")
@options.config
@click.option("--ledger", type=click.Path(dir_okay=False), help="The ledger, without a config.")
@click.option("--campaign", help="Only this campaign; as in status.")
@click.option(
    "--format", type=click.Choice(["csv", "jsonl", "parquet"]), default="csv", show_default=True
)
@click.option(
    "--since", type=click.IntRange(min=0), metavar="CURSOR", help="Only rows after this cursor."
)
@click.option("--out", default="-", metavar="FILE", show_default=True, help="Where it goes.")
@click.option("--overwrite", is_flag=True, help="Replace the file that is there.")
@click.option(
    "--cursor-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Go on from the cursor in here, and write the next one into it.",
)
@options.debug
def export(**given: Any) -> None:
    """Export the lineage, whole or from a cursor on; a dispatcher that runs is not disturbed.

    The next cursor is told on standard error, and written into the cursor file once the export
    is complete and on the disk. docs/lineage.md describes the columns.

    \b
    Examples:
      dispatcher lineage export --config dispatcher.toml --out lineage.csv
      dispatcher lineage export --ledger ledger.db --format parquet --out lineage.parquet
      dispatcher lineage export --ledger ledger.db --format jsonl \\
          --cursor-file lineage.cursor --out "lineage-$(date +%s).jsonl"
    """
    from dispatcher.cli.commands.lineage import export_command  # noqa: PLC0415 - help is quick

    raise click.exceptions.Exit(export_command(given))


@lineage.command(epilog=epilog(), short_help="Ask the platform whether each link took.")
@options.config
@options.settings
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
@options.debug
def verify(**given: Any) -> None:
    """Ask the platform's analytics whether each link took, and mark it in the ledger.

    Links that were confirmed before are not asked about again. One request serves up to 100
    links, within the quota. It takes the ledger, so no dispatcher may run on it.

    \b
    Examples:
      dispatcher lineage verify --config dispatcher.toml
      dispatcher lineage verify --config dispatcher.toml --limit 10000 --min-age 3600
    """
    from dispatcher.cli.commands.lineage import verify_command  # noqa: PLC0415 - help is quick

    raise click.exceptions.Exit(verify_command(given))
