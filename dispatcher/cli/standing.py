"""``dispatcher status``: how campaigns stand, read from their ledger."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from dispatcher.cli import figures, summary
from dispatcher.cli.exits import Exit
from dispatcher.cli.given import load_settings
from dispatcher.ledgers.reader import CampaignStatus, read_status
from dispatcher.ports import Backlog


def status_command(given: Mapping[str, Any]) -> int:
    """Print how the campaigns of a ledger stand; return the exit code."""
    ledger, campaign = place(given)
    report = read_status(ledger, campaign, now=time.time())
    if given["as_json"]:
        click.echo(json.dumps([as_json(standing) for standing in report], indent=2))
        return Exit.DONE
    console = Console()
    for standing in report:
        summary.show_totals(console, standing.campaign, standing.totals)
        console.print(waiting(standing.backlog, time.time()), highlight=False)
    return Exit.DONE


def as_json(standing: CampaignStatus) -> dict[str, object]:
    """Return a campaign's standing as plain values."""
    totals = standing.totals
    statuses: dict[str, dict[str, int]] = {}
    for (status, reason), number in totals.by_status.items():
        statuses.setdefault(status, {})[reason or "not_final"] = number
    return {
        "campaign": standing.campaign,
        "rows": {
            "read": totals.rows,
            "admitted": totals.admitted,
            "duplicates": totals.duplicates,
            "rejected": dict(totals.rejected),
            "filtered": totals.filtered,
        },
        "contacts": statuses,
        "backlog": asdict(standing.backlog),
    }


def waiting(backlog: Backlog, now: float) -> str:
    """Tell what is not final, and when it goes on."""
    if not backlog.due + backlog.later + backlog.busy:
        return "Every contact is final."
    parts = [
        f"{figures.count(backlog.due)} due now",
        f"{figures.count(backlog.later)} due later",
        f"{figures.count(backlog.busy)} in the hands of a run",
    ]
    if backlog.next_due is not None:
        parts.append(f"the next in {figures.duration(max(0.0, backlog.next_due - now))}")
    return f"Not final: {', '.join(parts)}."


def place(given: Mapping[str, Any]) -> tuple[Path, str | None]:
    """Find the ledger: named by itself, or by a configuration with its one campaign."""
    if given["ledger"] and not given["config"]:
        return Path(given["ledger"]), given["campaign"]
    settings = load_settings(given, purpose="status")
    named = settings.origin("campaign") is not None and len(settings.campaigns) == 1
    return settings.ledger.path, settings.campaign if named else None
