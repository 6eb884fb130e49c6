"""``dispatcher init``: a first configuration and a small file of contacts."""

from pathlib import Path

import click

from dispatcher.cli.bundled_files import DATA
from dispatcher.cli.exit_codes import EPILOG
from dispatcher.cli.options import debug_option
from dispatcher.domain.errors import ExitCode

FILES = ("dispatcher.toml", "contacts.csv")
"""The files that are written."""


@click.command(epilog=EPILOG)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path())
@click.option("--force", is_flag=True, help="Overwrite files that exist.")
@debug_option
def init(*, folder: Path, force: bool) -> int:
    """Write a configuration with comments, and a few contacts, into FOLDER (here by default).

    As they are, they work with the local sandbox. Nothing is overwritten without --force.

    \b
    Examples:
      dispatcher init
      dispatcher init cart-campaign
    """
    targets = [folder / name for name in FILES]
    existing = ", ".join(str(target) for target in targets if target.exists())
    if existing and not force:
        raise click.UsageError(
            f"{existing}: already exists; name another folder, or add --force to overwrite"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for target in targets:
            target.write_bytes((DATA / "starter" / target.name).read_bytes())
            click.echo(f"{target} was written.")
    except OSError as error:
        raise click.UsageError(f"{folder} cannot be written to: {error.strerror}") from error
    click.echo(_next_steps(folder))
    return ExitCode.DONE


def _next_steps(folder: Path) -> str:
    enter = [] if folder == Path() else [f"cd {folder}"]
    commands = (
        *enter,
        "dispatcher sandbox --scenario plain      # in a second terminal: the local platform",
        "export DISPATCHER_CLIENT_ID=sandbox-client DISPATCHER_CLIENT_SECRET=sandbox-secret",
        "dispatcher check --online                # preflight check",
        "dispatcher preview                       # shows the messages",
        "dispatcher plan                          # dry run, sends nothing",
        "dispatcher run --once",
    )
    return "\n".join(["", "Next:", *(f"  {command}" for command in commands)])
