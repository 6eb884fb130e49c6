"""The commands that look after a ledger, and their options."""

from pathlib import Path
from typing import Any

import click

from dispatcher.cli import options
from dispatcher.cli.exit_codes import epilog
from dispatcher.cli.lazy_group import Commands

_WHICH = click.option(
    "--ledger", type=click.Path(dir_okay=False), help="The ledger, without a configuration."
)


@click.group(
    cls=Commands, name="ledger", short_help="Prune, verify, copy a ledger, or forget a person."
)
def ledger() -> None:
    """Look after the ledger: prune it, verify it, copy it, or forget a person.

    verify and backup work while a dispatcher runs. prune and forget need the ledger for
    themselves: stop the run before.
    """


@ledger.command(epilog=epilog(), short_help="Remove what was settled long ago.")
@options.config
@_WHICH
@click.option(
    "--older-than", required=True, metavar="AGE", help="Such as 90d, 12w or 36h; at least 1d."
)
@click.option("--campaign", help="Only this campaign; without it, all.")
@click.option("--parked", is_flag=True, help="Parked contacts too; they cannot be replayed then.")
@click.option("--dry-run", is_flag=True, help="Only tell how many would go.")
@click.option("--vacuum", is_flag=True, help="Then write the file anew, as small as it can be.")
@options.progress
@options.debug
def prune(**given: Any) -> None:
    """Remove contacts that became final long ago, with lineage and story, and old rejected rows.

    Their keys stay as hashes, and so does who was written to and when: nobody becomes new
    again. The sums that `dispatcher status` shows stay as they are.
    """
    from dispatcher.cli.commands.ledger import prune_command  # noqa: PLC0415 - help is quick

    raise click.exceptions.Exit(prune_command(given))


@ledger.command(epilog=epilog(), short_help="Tell whether a ledger is whole.")
@options.config
@_WHICH
@click.option("--quick", is_flag=True, help="Do not compare indexes with their tables.")
@options.debug
def verify(**given: Any) -> None:
    """Tell whether a ledger is whole, as a database and as a ledger.

    The exit code is 4 where something was found; each finding says what to do.
    """
    from dispatcher.cli.commands.ledger import verify_command  # noqa: PLC0415 - help is quick

    raise click.exceptions.Exit(verify_command(given))


@ledger.command(epilog=epilog(), short_help="Copy a ledger, also while a run goes on.")
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
@options.config
@_WHICH
@click.option("--force", is_flag=True, help="Overwrite the file if it is there.")
@options.progress
@options.debug
def backup(**given: Any) -> None:
    """Copy the ledger to the file TARGET as of one moment, and verify the copy.

    The copy is readable by its owner alone. It takes its name once it is whole.
    """
    from dispatcher.cli.commands.ledger import backup_command  # noqa: PLC0415 - help is quick

    raise click.exceptions.Exit(backup_command(given))


@ledger.command(epilog=epilog(), short_help="Erase one person on request.")
@click.argument("contact", required=False)
@click.option("--external-contact", metavar="ID", help="The person's external contact id.")
@options.config
@_WHICH
@click.option("--campaign", help="Where CONTACT is looked up, if its key is another person's too.")
@options.progress
@options.debug
def forget(**given: Any) -> None:
    """Erase one person from all campaigns of the ledger.

    CONTACT is a contact's key, or the id of a conversation. Contacts that were not sent yet are
    skipped. What names the person is removed; hashes of keys and ids stay, so that nobody
    becomes new again. The exit code is 4 where a send of theirs is still under way.
    """
    from dispatcher.cli.commands.ledger import forget_command  # noqa: PLC0415 - help is quick

    raise click.exceptions.Exit(forget_command(given))
