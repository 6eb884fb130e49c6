"""``dispatcher plan`` and its options."""

from typing import Any

import click

from dispatcher.cli import options
from dispatcher.cli.exit_codes import epilog


@click.command(epilog=epilog(), short_help="Tell what a run would do, and send nothing.")
@options.config
@options.settings
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
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@options.progress
@options.debug
def plan(**given: Any) -> None:
    """Tell what a run would do that starts now. Nothing is sent, and nothing is written.

    The source is read to its end from where the ledger has it, and the states of a random
    sample of the contacts are read, within the quota. Every figure that rests on a sample has
    its 95% interval. A dispatcher that runs is not disturbed, but it shares the quota.

    \b
    Examples:
      dispatcher plan --config dispatcher.toml
      dispatcher plan --config dispatcher.toml --sample 2000 --json
      dispatcher plan --config dispatcher.toml --no-checks
    """
    from dispatcher.cli.commands.plan import plan_command  # noqa: PLC0415 - help is quick

    if given["all_"] and given["no_checks"]:
        raise click.UsageError("--all and --no-checks exclude each other.")
    raise click.exceptions.Exit(plan_command(given))
