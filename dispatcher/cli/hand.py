"""The commands of the operator's hand, and their options."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from dispatcher.cli import options
from dispatcher.cli.exit_codes import epilog
from dispatcher.domain.status import Reason

F = TypeVar("F", bound=Callable[..., Any])

PARKED_REASONS = tuple(str(reason) for reason in Reason)
_FIRST = 100


def _where(command: F) -> F:
    """Add the options that name a ledger and a campaign."""
    for option in (
        options.debug,
        click.option(
            "--campaign", help="Only this campaign; else the one of the configuration, or all."
        ),
        click.option(
            "--ledger", type=click.Path(dir_okay=False), help="The ledger, without a configuration."
        ),
        options.config,
    ):
        command = option(command)
    return command


def _which(limit: int | None) -> Callable[[F], F]:
    """Add what names parked contacts."""

    def add(command: F) -> F:
        for option in (
            click.argument("names", nargs=-1, metavar="[KEY|ID]..."),
            click.option(
                "--limit", type=click.IntRange(min=1), default=limit, show_default=bool(limit),
                help="At most so many, those admitted first.",
            ),
            click.option(
                "--older-than", metavar="AGE", type=_age, help="Parked for longer: 30m, 12h, 3d."
            ),
            click.option("--reason", type=click.Choice(PARKED_REASONS), metavar="REASON",
                         help="Parked for this reason, such as in_doubt or exhausted."),
        ):  # fmt: skip
            command = option(command)
        return command

    return add


def _age(value: str) -> float:
    from dispatcher.cli.commands.parked import age  # noqa: PLC0415 - help is quick

    return age(value)


_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_yes = click.option("--yes", is_flag=True, help="Do not ask, however many they are.")


@click.group(short_help="Look at contacts that wait for a person, replay or drop them.")
def parked() -> None:
    """Look at the contacts that wait for a person, and say what becomes of them.

    \b
    Examples:
      dispatcher parked list --reason in_doubt
      dispatcher parked show order-4711
      dispatcher parked replay --reason exhausted --older-than 1h
      dispatcher parked drop order-4711
    """


@parked.command("list", short_help="List parked contacts.")
@_which(_FIRST)
@_where
@_json
def list_(**given: Any) -> None:
    """List parked contacts: ids, reasons and counts, never a message or an address.

    \b
    Examples:
      dispatcher parked list
      dispatcher parked list --reason identity --limit 1000 --json
      dispatcher parked list --older-than 3d --campaign cart-2026-11
    """
    from dispatcher.cli.commands.parked import list_command  # noqa: PLC0415 - help is quick

    raise click.exceptions.Exit(list_command(given))


@parked.command(short_help="Show all that is known of one parked contact.")
@click.argument("name", metavar="KEY|ID")
@_where
@_json
def show(**given: Any) -> None:
    """Show all that is known of one parked contact, with its story.

    \b
    Example:
      dispatcher parked show order-4711
    """
    from dispatcher.cli.commands.explain import explain_command  # noqa: PLC0415 - help is quick

    raise click.exceptions.Exit(explain_command({**given, "parked_only": True}))


@parked.command(epilog=epilog(), short_help="Put parked contacts back into the run.")
@_which(None)
@_where
@_yes
def replay(**given: Any) -> None:
    """Put parked contacts back: they are due at once, with fresh attempts.

    One that was parked in doubt is not sent again: it is in doubt again, and the platform is asked
    first. A dispatcher that runs carries this out and takes them up; where none runs, the next
    run takes them up.

    \b
    Examples:
      dispatcher parked replay order-4711 order-4712
      dispatcher parked replay --reason exhausted --limit 100 --yes
    """
    from dispatcher.cli.commands.parked import put_back_command  # noqa: PLC0415 - help is quick

    raise click.exceptions.Exit(put_back_command(given, verb="replay"))


@parked.command(epilog=epilog(), short_help="Make parked contacts final: nothing is sent.")
@_which(None)
@_where
@_yes
def drop(**given: Any) -> None:
    """Make parked contacts final as skipped, with reason dropped; their messages are removed.

    \b
    Examples:
      dispatcher parked drop order-4711
      dispatcher parked drop --reason identity --older-than 7d
    """
    from dispatcher.cli.commands.parked import put_back_command  # noqa: PLC0415 - help is quick

    raise click.exceptions.Exit(put_back_command(given, verb="drop"))


@click.group(short_help="Take the rows that could not become contacts out, to mend them.")
def rejected() -> None:
    """Take out the rows of the source that could not become contacts."""


@rejected.command(epilog=epilog(), short_help="Write the bad rows into a file to mend.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), required=True,
    help="The file to write; one more is written beside it, with what is wrong by line.",
)  # fmt: skip
@click.option("--reason", help="Only rows rejected for this reason, such as bad_id.")
@click.option(
    "--header", type=click.Path(dir_okay=False, path_type=Path),
    help="A file with the header of the rows, where the source is no longer there.",
)  # fmt: skip
@_where
def export(**given: Any) -> None:
    """Write the rejected rows as they stood in the source, under its header.

    Mend them and feed the file back as a source: rows that are in the campaign already are known
    by their keys. The files hold what the source held: they are readable for this user alone.

    \b
    Examples:
      dispatcher rejected export --out bad.csv
      dispatcher run --source bad.csv --once
    """
    from dispatcher.cli.commands.rejected import export_command  # noqa: PLC0415 - help is quick

    raise click.exceptions.Exit(export_command(given))


@click.command(epilog=epilog(), short_help="Let a campaign take nothing new.")
@_where
def pause(**given: Any) -> None:
    """Let a campaign take nothing new, now and after a restart; what is in flight is settled.

    \b
    Examples:
      dispatcher pause
      dispatcher pause --campaign cart-2026-11
    """
    from dispatcher.cli.commands.pause import steer_command  # noqa: PLC0415 - help is quick

    raise click.exceptions.Exit(steer_command(given, verb="pause"))


@click.command(epilog=epilog(), short_help="Let a paused campaign go on.")
@_where
def resume(**given: Any) -> None:
    """Let a paused campaign go on where it stopped.

    \b
    Example:
      dispatcher resume --campaign cart-2026-11
    """
    from dispatcher.cli.commands.pause import steer_command  # noqa: PLC0415 - help is quick

    raise click.exceptions.Exit(steer_command(given, verb="resume"))


@click.command(epilog=epilog(), short_help="Tell the whole story of one contact.")
@click.argument("name", metavar="CONTACT")
@_where
@_json
def explain(**given: Any) -> None:
    """Tell the whole story of one contact, from the ledger.

    CONTACT is its key, its conversation id, or its external contact id. The story has every state
    check, decision and attempt, the answers with their correlation ids, and the times in UTC.

    \b
    Examples:
      dispatcher explain order-4711
      dispatcher explain 5f0c9a3e --campaign cart-2026-11 --json
    """
    from dispatcher.cli.commands.explain import explain_command  # noqa: PLC0415 - help is quick

    raise click.exceptions.Exit(explain_command(given))


COMMANDS = (parked, rejected, pause, resume, explain)
"""What the command line gets from here."""
