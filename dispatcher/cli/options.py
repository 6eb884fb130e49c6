"""Options that several commands share."""

from pathlib import Path

import click

DEBUG = "dispatcher.debug"
"""Key in click's ``meta`` that is set if --debug is among the arguments."""

FILE = click.Path(dir_okay=False, path_type=Path)
PORT = click.IntRange(0, 65535)


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

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

progress_option = click.option(
    "--progress/--no-progress",
    default=None,
    help="Show the progress all the time (default at a terminal), or one line every 10 seconds.",
)
