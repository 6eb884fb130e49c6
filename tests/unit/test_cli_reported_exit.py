"""What Datadog is sent of the end of a run: its code, and words without a value of a setting."""

import sys

import click
import pytest

from dispatcher import app
from dispatcher.cli.exit_codes import code_after, explain_errors
from dispatcher.cli.reported_exit import ReportedCommand, describe, remember_words
from dispatcher.domain.errors import DispatcherError, ExitCode
from dispatcher.settings import SettingsError, load

SECRET = "s3cret-value"


class LedgerFullError(DispatcherError):
    exit_code = ExitCode.LEDGER


@pytest.mark.parametrize(
    "error",
    [
        LedgerFullError("the disk is full"),
        SettingsError([]),
        KeyboardInterrupt(),
        BrokenPipeError(),
        RuntimeError("a bug"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_the_reported_code_is_the_one_of_the_process(error, tmp_path, monkeypatch):
    with (tmp_path / "stdout").open("w") as own:  # nothing more is written to it after some ends
        monkeypatch.setattr(sys, "stdout", own)
        with pytest.raises(click.exceptions.Exit) as ended, explain_errors(lambda: False):
            raise error
    assert code_after(error) == ended.value.exit_code


@pytest.mark.parametrize(
    ("error", "code"),
    [(click.UsageError("no such option"), 2), (click.exceptions.Exit(16), 16)],
    ids=["usage", "exit"],
)
def test_what_click_ends_has_its_code(error, code):
    assert code_after(error) == code


def test_an_error_that_a_user_can_act_on_is_quoted():
    """But for credentials in it, and only so much."""
    assert describe(LedgerFullError("the disk is full\nfree some")) == "the disk is full\nfree some"
    assert SECRET not in describe(LedgerFullError(f"answered: Bearer {SECRET}"))
    assert len(describe(LedgerFullError("x" * 10_000))) <= 800


def test_of_a_mistake_in_the_settings_only_the_place_is_named(tmp_path):
    """A secret may be in the wrong place, and would be quoted in the message."""
    config = tmp_path / "dispatcher.toml"
    config.write_text(f'campaign = "{SECRET} "\n[engine]\nworkers = "{SECRET}"\n')
    with pytest.raises(SettingsError) as caught:
        load(config, env={}, sets=[f"platform.{SECRET}"])
    assert SECRET in str(caught.value)
    words = describe(caught.value)
    assert f"{config}:3: engine.workers" in words
    assert "--set: an unknown key" in words
    assert SECRET not in words


def test_of_a_bug_only_the_kind_is_named():
    words = describe(KeyError(SECRET))
    assert words.endswith("(KeyError)")
    assert SECRET not in words


def test_of_a_wrong_option_nothing_is_quoted():
    assert SECRET not in describe(click.UsageError(f"No such option: --{SECRET}"))


@pytest.mark.parametrize("second", [KeyboardInterrupt(), LedgerFullError("the disk is full")])
@pytest.mark.parametrize("first", [ExitCode.HALTED, ExitCode.FAILURES])
def test_ends_that_come_together_are_reported_once_with_the_code_of_the_process(
    first, second, monkeypatch
):
    """A halt ends the run, and a signal or an error comes while it ends: the later one is it."""
    reported = []
    monkeypatch.setattr(app, "report_exit", lambda code, *_: reported.append(code))

    def run():
        remember_words(f"halted: {first}")
        try:
            raise click.exceptions.Exit(first)
        finally:
            raise second

    command = ReportedCommand("run", callback=run)
    with (
        pytest.raises(click.exceptions.Exit) as ended,
        command.make_context("run", []) as ctx,
        explain_errors(lambda: False),
    ):
        command.invoke(ctx)
    assert reported == [code_after(second)] == [ended.value.exit_code]
