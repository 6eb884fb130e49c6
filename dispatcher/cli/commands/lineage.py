"""``dispatcher lineage``: which conversation continues which, out of the ledger and checked."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from dispatcher.cli import formatting
from dispatcher.cli.commands.status import ledger_and_campaign
from dispatcher.cli.config import load_settings
from dispatcher.cli.exit_codes import Exit, say


def export_command(given: Mapping[str, Any]) -> int:
    """Export the lineage; return the exit code."""
    from dispatcher.app import lineage_export  # noqa: PLC0415 - help is quick

    ledger, campaign = ledger_and_campaign(given)
    out = None if given["out"] == "-" else Path(given["out"])
    asked = lineage_export.ExportRequest(
        ledger,
        campaign,
        given["format"],
        given["since"],
        out,
        given["cursor_file"],
        overwrite=given["overwrite"],
    )
    if out is None and given["format"] == "parquet" and sys.stdout.isatty():
        raise click.UsageError("Parquet is not for a terminal: name a file with --out.")
    written = lineage_export.export(asked, sys.stdout.buffer)
    say(f"{formatting.count(written.rows)} rows exported; next cursor: {written.cursor}")
    return Exit.DONE


def verify_command(given: Mapping[str, Any]) -> int:
    """Ask the platform about links; return the exit code."""
    from dispatcher.app import lineage_check  # noqa: PLC0415 - help is quick
    from dispatcher.domain.lineage_check import LinkVerdict  # noqa: PLC0415 - as above

    settings = load_settings(given, purpose="verify")
    named = given.get("campaign") or settings.origin("campaign") is not None
    campaign = settings.campaign if named else None
    asked = lineage_check.LineageCheckRequest(
        campaign, given["since"], given["limit"], given["min_age"]
    )
    done = lineage_check.verify_lineage(
        settings, asked, lambda so_far: say(f"{formatting.count(so_far.asked)} links asked about")
    )
    for link, verified in done.failing:
        click.echo(
            f"{verified}  {link.relation}  {link.previous_conversation_id} -> "
            f"{link.conversation_id or 'no conversation'}"
        )
    for verified in LinkVerdict:
        click.echo(f"{verified.value}: {formatting.count(done.counts[verified])}")
    say(f"next cursor: {done.last}")
    return Exit.DONE if done.counts[LinkVerdict.CONFIRMED] == done.asked else Exit.UNCONFIRMED
