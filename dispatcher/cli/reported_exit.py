"""A command whose every end is reported to Datadog, also one before its settings are read."""

from typing import Any

import click

from dispatcher import app
from dispatcher.cli.exit_codes import code_after
from dispatcher.domain.errors import ExitCode
from dispatcher.settings import Settings, SettingsError

_SETTINGS = "dispatcher.exit_settings"


class ReportedCommand(click.Command):
    """A command that sends its exit code as a metric when it ends."""

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        """Parse the arguments; a mistake in them is an end, too."""
        try:
            return super().make_context(*args, **more)
        except click.ClickException as error:
            app.report_exit(error.exit_code, None)
            raise

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, and report its end."""
        try:
            code = super().invoke(ctx)
        except BaseException as error:
            app.report_exit(code_after(error), _settings(ctx, error))
            raise
        app.report_exit(code or ExitCode.DONE, _settings(ctx))
        return code


def remember_settings(settings: Settings) -> None:
    """Say which settings the command runs with, and so which agent is told of its end."""
    click.get_current_context().meta[_SETTINGS] = settings


def _settings(ctx: click.Context, error: BaseException | None = None) -> Settings | None:
    readable = error.readable if isinstance(error, SettingsError) else None
    settings: Settings | None = ctx.meta.get(_SETTINGS, readable)
    return settings
