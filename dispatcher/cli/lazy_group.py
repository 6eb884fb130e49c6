"""The group of all commands: failures explained, commands in the order of use."""

from typing import Any

import click

from dispatcher.cli.exit_codes import explain_errors
from dispatcher.cli.options import DEBUG


class Commands(click.Group):
    """A group that explains a failure instead of showing a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with explain_errors(lambda: bool(ctx.meta.get(DEBUG))):
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Name the commands in the order in which they were added."""
        return list(self.commands)
