"""A command whose every end is reported to Datadog, also one before its settings are read."""

from typing import Any

import click

from dispatcher import app
from dispatcher.cli.exit_codes import MEANINGS, code_after
from dispatcher.domain.errors import DispatcherError, ExitCode
from dispatcher.settings import Settings, SettingsError, SettingsProblem
from dispatcher.settings.key_paths import item_list, known
from dispatcher.settings.value_sources import ENVIRONMENT
from dispatcher.telemetry.logs.format import words

_SETTINGS = "dispatcher.exit_settings"
_WORDS = "dispatcher.exit_words"
_MOST_MISTAKES = 20
_MOST_CHARACTERS = 800


class ReportedCommand(click.Command):
    """A command that sends its exit code as a metric when it ends."""

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        """Parse the arguments; a mistake in them is an end, too."""
        try:
            return super().make_context(*args, **more)
        except click.ClickException as error:
            app.report_exit(error.exit_code, describe(error), None)
            raise

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, and report its end."""
        try:
            code = super().invoke(ctx)
        except BaseException as error:
            readable = error.readable if isinstance(error, SettingsError) else None
            app.report_exit(code_after(error), describe(error), ctx.meta.get(_SETTINGS, readable))
            raise
        ending = code or ExitCode.DONE
        settings: Settings | None = ctx.meta.get(_SETTINGS)
        app.report_exit(ending, ctx.meta.get(_WORDS, MEANINGS[ending]), settings)
        return code


def remember_settings(settings: Settings) -> None:
    """Say which settings the command runs with: they have the agent's address."""
    click.get_current_context().meta[_SETTINGS] = settings


def remember_words(text: str) -> None:
    """Say in words how the command ends."""
    click.get_current_context().meta[_WORDS] = text


def describe(error: BaseException) -> str:
    """Return why a command ended, for readers outside of this machine.

    Of mistakes in the settings and in the command only the places are named: their values may be
    secrets at the wrong place. Of a bug only the kind is.
    """
    meaning = MEANINGS.get(ExitCode(code_after(error)), "")
    match error:
        case SettingsError():
            places = [f"{mistake.place}: {_key(mistake)}" for mistake in error.mistakes]
            return "\n".join(
                [f"Mistakes in the settings ({len(places)}):", *places[:_MOST_MISTAKES]]
            )
        case DispatcherError():
            return "\n".join(words(line) for line in str(error).splitlines())
        case click.ClickException():
            return "A mistake in the command; standard error has the message."
        case _ if code_after(error) == ExitCode.BUG:
            return f"{meaning} ({type(error).__name__})"
    return meaning


def _key(mistake: SettingsProblem) -> str:
    """Return the key of a mistake; one that does not exist may be a value at the wrong place."""
    path = tuple(mistake.key.split("."))
    exists = path in known() or item_list(path) or mistake.where == ENVIRONMENT.where
    return mistake.key if exists else "an unknown key"
