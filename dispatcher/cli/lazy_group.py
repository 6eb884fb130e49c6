"""A group of commands whose modules are imported when they are used."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

from dispatcher.cli.exit_codes import explain_errors
from dispatcher.cli.options import DEBUG
from dispatcher.domain.errors import ExitCode


class LazyGroup(click.Group):
    """A group whose help and completion import no command (click: "Lazily Loading Subcommands").

    ``lazy_subcommands`` maps a command's name to "module:attribute" and its short help.
    Commands are listed in the order in which they were added. What a command returns is the exit
    code; an exception that leaves it is reported as a message and an exit code.
    """

    def __init__(
        self, *args: Any, lazy_subcommands: Mapping[str, tuple[str, str]] | None = None, **more: Any
    ) -> None:
        super().__init__(*args, **more)
        self._lazy = lazy_subcommands or {}

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        """Parse the arguments; ``--help`` and ``--version`` write their output here."""
        with explain_errors(lambda: False):
            return super().make_context(*args, **more)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, and exit with the code that it returns."""
        with explain_errors(lambda: bool(ctx.meta.get(DEBUG))):
            raise click.exceptions.Exit(super().invoke(ctx) or ExitCode.DONE)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of the commands."""
        return [*self._lazy, *self.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; import its module first if it is a lazy one."""
        if cmd_name not in self._lazy:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self._lazy[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the arguments name; an error suggests one of all commands."""
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand as error:
            names = self.list_commands(ctx)
            raise click.exceptions.NoSuchCommand(args[0], possibilities=names, ctx=ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands with their short help."""
        if not self._lazy:
            super().format_commands(ctx, formatter)
            return
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self._lazy.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands and options that begin with ``incomplete``."""
        if not self._lazy:
            return super().shell_complete(ctx, incomplete)
        commands = [
            CompletionItem(name, help=text)
            for name, (_, text) in self._lazy.items()
            if name.startswith(incomplete)
        ]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]
