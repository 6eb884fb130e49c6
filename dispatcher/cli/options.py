"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

DEBUG = "dispatcher.debug"
"""Where the group finds whether --debug was given, in click's ``meta``."""

PORT = click.IntRange(0, 65535)


def _remember(ctx: click.Context, _param: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's signature
    if value:
        ctx.meta[DEBUG] = True


debug = click.option(
    "--debug",
    is_flag=True,
    expose_value=False,
    callback=_remember,
    help="Show a traceback when something fails.",
)

config = click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Settings in TOML; without it dispatcher.toml, if there is one here.",
)

wait_limit = click.option(
    "--wait-limit",
    type=float,
    metavar="SECONDS",
    help="With --once: leave what is due later than this in the ledger.",
)

log_format = click.option("--log-format", help="auto, json or console.")

progress = click.option(
    "--progress/--no-progress",
    default=None,
    help="A live view; by default at a terminal only. Without: one line every 10 seconds.",
)


def settings(command: F) -> F:
    """Add the options that set the most used settings."""
    for option in (
        click.option(
            "--set",
            "sets",
            multiple=True,
            metavar="KEY=VALUE",
            help="Any setting, as in --set engine.workers=16; can be repeated.",
        ),
        click.option(
            "--platform-url", help="The platform's address, such as https://api.example.com"
        ),
        click.option("--campaign", help="The campaign's name, or one of [[campaigns]]."),
        click.option("--ledger", type=click.Path(), help="The file of the ledger."),
        click.option("--source", help='A file, a glob, a folder to watch, or "-".'),
    ):
        command = option(command)
    return command
