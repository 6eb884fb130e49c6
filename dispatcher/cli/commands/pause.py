"""``dispatcher pause`` and ``dispatcher resume``."""

from collections.abc import Mapping
from typing import Any

import click

from dispatcher.app.control import client
from dispatcher.cli import tables
from dispatcher.cli.commands.status import ledger_and_campaign
from dispatcher.cli.exit_codes import Exit


def steer_command(given: Mapping[str, Any], *, verb: str) -> int:
    """Pause a campaign, or let it go on."""
    ledger, campaign = ledger_and_campaign(given)
    done = client.execute(ledger, verb, {"campaign": campaign})
    if verb == "pause":
        for name, since in done.answer["paused"].items():
            click.echo(f"Campaign {name} is paused since {tables.moment(since)}, {done.by}.")
        return Exit.DONE
    for name in done.answer["resumed"]:
        click.echo(f"Campaign {name} goes on, {done.by}.")
    if not done.answer["resumed"]:
        click.echo("No campaign was paused: nothing was done.")
    return Exit.DONE
