"""Options that several commands share, and how a command's options reach its body."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TypeVar

import click

F = TypeVar("F", bound=Callable[..., object])
Options = TypeVar("Options")

DEBUG = "dispatcher.debug"
"""Key in click's ``meta`` that is set if --debug is among the arguments."""

FILE = click.Path(dir_okay=False, path_type=Path)
PORT = click.IntRange(0, 65535)


def with_options(
    options: Callable[..., Options],
) -> Callable[[Callable[[Options], int | None]], Callable[..., None]]:
    """Return a decorator for a command's body, which takes its options as one object.

    ``options`` is a dataclass with one field for each option and argument of the command. The
    body returns the exit code; that of a group returns None if a subcommand follows.
    """

    def decorate(body: Callable[[Options], int | None]) -> Callable[..., None]:
        @wraps(body)
        def callback(**values: object) -> None:
            code = body(options(**values))
            if code is not None:
                raise click.exceptions.Exit(code)

        return callback

    return decorate


def combine(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Return a decorator that adds several options, in this order."""

    def add(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def _remember(ctx: click.Context, _param: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's signature
    if value:
        ctx.meta[DEBUG] = True


debug_option = click.option(
    "--debug",
    is_flag=True,
    expose_value=False,
    callback=_remember,
    help="Show a traceback when something fails.",
)

config_option = click.option(
    "--config",
    type=FILE,
    help="Settings in TOML; without it dispatcher.toml, if there is one here.",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

progress_option = click.option(
    "--progress/--no-progress",
    default=None,
    help="A live view; by default at a terminal only. Without: one line every 10 seconds.",
)


settings_options = combine(
    config_option,
    click.option("--source", help='A file, a glob, a folder to watch, or "-".'),
    click.option("--ledger", type=click.Path(), help="The file of the ledger."),
    click.option("--campaign", help="The campaign's name, or one of [[campaigns]]."),
    click.option("--platform-url", help="The platform's address, such as https://api.example.com"),
    click.option(
        "--set",
        "sets",
        multiple=True,
        metavar="KEY=VALUE",
        help="Any setting, as in --set engine.workers=16; can be repeated.",
    ),
)
"""The options that set the most used settings."""

ledger_file_options = combine(
    config_option,
    click.option(
        "--ledger", type=click.Path(dir_okay=False), help="The ledger, without a configuration."
    ),
)
"""The options that name a ledger."""

campaign_options = combine(
    ledger_file_options,
    click.option(
        "--campaign", help="Only this campaign; else the one of the configuration, or all."
    ),
)
"""The options that name a ledger and a campaign."""

ledger_options = combine(campaign_options, debug_option)
"""The same, and --debug."""
