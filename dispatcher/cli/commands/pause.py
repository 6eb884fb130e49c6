"""``dispatcher pause`` and ``dispatcher resume``."""

import click

from dispatcher.app.control import client
from dispatcher.app.store import operator_store
from dispatcher.cli import tables
from dispatcher.cli.config import LedgerOptions, ledger_options
from dispatcher.cli.exit_codes import EPILOG
from dispatcher.cli.options import debug_option
from dispatcher.domain.errors import ExitCode
from dispatcher.ports.orders import ApproveOrder, PauseOrder, ResumeOrder
from dispatcher.settings import LedgerPlace


def _approve(ledger: LedgerPlace, campaign: str | None) -> int:
    done = client.execute(operator_store(ledger), ApproveOrder(campaign))
    for name, kind in done.answer["approved"].items():
        click.echo(f"Campaign {name} is resumed; these refusals are final from now on: {kind}.")
    if not done.answer["approved"]:
        click.echo("No campaign is halted because of suspicious refusals: nothing was done.")
    return ExitCode.DONE


@click.command(epilog=EPILOG)
@ledger_options
@debug_option
def pause(options: LedgerOptions) -> int:
    """Pause a campaign, also after a restart: no contact is begun, those in flight are finished.

    \b
    Examples:
      dispatcher pause
      dispatcher pause --campaign cart-2026-11
    """
    ledger, campaign = options.ledger_and_campaign()
    done = client.execute(operator_store(ledger), PauseOrder(campaign))
    for name, since in done.answer["paused"].items():
        click.echo(f"Campaign {name} is paused since {tables.moment(since)}, {done.by}.")
    return ExitCode.DONE


@click.command(epilog=EPILOG)
@click.option(
    "--suspicious",
    is_flag=True,
    help=(
        "Resume a campaign that halted because most contacts were refused for the same reason: "
        "such refusals are final from now on."
    ),
)
@ledger_options
@debug_option
def resume(options: LedgerOptions, *, suspicious: bool) -> int:
    """Resume a paused campaign where it stopped.

    \b
    Examples:
      dispatcher resume --campaign cart-2026-11
      dispatcher resume --suspicious
    """
    ledger, campaign = options.ledger_and_campaign()
    if suspicious:
        return _approve(ledger, campaign)
    done = client.execute(operator_store(ledger), ResumeOrder(campaign))
    for name in done.answer["resumed"]:
        click.echo(f"Campaign {name} is resumed, {done.by}.")
    if not done.answer["resumed"]:
        click.echo("No paused campaigns match: nothing was done.")
    return ExitCode.DONE
