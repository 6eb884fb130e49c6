"""The command line: help that teaches, usage, and how failures look."""

import json
import os
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

from dispatcher import __version__
from dispatcher.cli import cli
from dispatcher.cli.exit_codes import MEANINGS, explain_errors
from dispatcher.domain.errors import ExitCode
from dispatcher.ports import LedgerError, SourceError

SECRETS = {"DISPATCHER_CLIENT_ID": "i", "DISPATCHER_CLIENT_SECRET": "s"}
CONFIG = 'campaign = "c1"\n[source]\npath = "-"\n[platform]\nbase_url = "https://a.example"\n'


@pytest.fixture
def invoke(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    runner = CliRunner(env=SECRETS)
    return lambda *arguments, **kwargs: runner.invoke(cli, arguments, **kwargs)


@pytest.mark.parametrize(
    "command",
    [
        ["demo"],
        ["run"],
        ["check"],
        ["status"],
        ["sandbox"],
        ["sandbox", "contacts"],
        ["completion"],
    ],
)
def test_every_command_explains_itself(invoke, command):
    """Every command has a help text with a description, on -h and --help."""
    for flag in ("-h", "--help"):
        result = invoke(*command, flag)
        assert result.exit_code == 0
        assert len(result.output.splitlines()) > 5


@pytest.mark.parametrize("command", [[], ["run"], ["check"]])
def test_help_names_every_exit_code(invoke, command):
    """Exit codes are documented where people look first."""
    output = invoke(*command, "--help").output
    for code, meaning in MEANINGS.items():
        assert f"{code.value:>3}  {meaning}" in output


def test_help_shows_examples(invoke):
    """Help teaches by commands that can be copied."""
    assert "dispatcher run --config dispatcher.toml --once --limit 10" in invoke("--help").output
    assert "--source 'exports/*.csv.gz'" in invoke("run", "--help").output


def test_version(invoke):
    """The version is that of the package."""
    assert invoke("--version").output == f"dispatcher {__version__}\n"


def test_help_is_quick():
    """Help imports nothing that a run needs: itself, click, and little of what Python brings.

    What it imports is counted, because the time that it takes is that of the machine, too.
    """
    bare, found = imported("-c", "pass"), imported("-m", "dispatcher", "--help")
    ours = {name for name in found if name.startswith("dispatcher")}
    others = {name.partition(".")[0] for name in found - bare - ours}
    few = {"dispatcher.domain", "dispatcher.domain.errors", "dispatcher.early_signals"}
    assert ours - few == {
        name for name in ours if name == "dispatcher" or name.startswith("dispatcher.cli")
    }
    assert others - set(sys.stdlib_module_names) == {"click"}
    assert not others & {"asyncio", "sqlite3", "ssl", "http", "email", "logging", "multiprocessing"}
    assert len(found - bare) < 150


def imported(*arguments):
    """The modules that an interpreter imports for its arguments."""
    command = [sys.executable, "-X", "importtime", *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.split("|")[2].strip() for line in lines[1:]}


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["run", "--limit", "0"], ["run", "--nope"], ["completion", "tcsh"]]
)
def test_wrong_usage_exits_with_2(invoke, arguments):
    """Whatever click refuses is exit code 2, with a hint at the help."""
    result = invoke(*arguments)
    assert result.exit_code == ExitCode.USAGE
    assert "--help" in result.stderr


def test_check_names_five_mistakes_with_their_keys(invoke, tmp_path):
    """Five mistakes in one file: five lines, each with its line number and key."""
    (tmp_path / "bad.toml").write_text(
        'campaign = "two words"\n'
        "[source]\n"
        'path = "nowhere.csv"\n'
        "[platform]\n"
        'base_url = "http://api.example.com"\n'
        "request_per_minute = 300\n"
        "[engine]\n"
        "workers = 0\n"
    )
    result = invoke("check", "--config", "bad.toml")
    assert result.exit_code == ExitCode.USAGE
    assert "5 mistakes:" in result.stderr
    for place in (
        "bad.toml:1: campaign ",
        "bad.toml:3: source.path ",
        "bad.toml:5: platform.base_url ",
        "bad.toml:6: platform.request_per_minute is not known (did you mean platform.requests_per",
        "bad.toml:8: engine.workers ",
    ):
        assert place in result.stderr
    assert "Traceback" not in result.output


def test_check_of_a_good_config(invoke, tmp_path):
    """dispatcher.toml is found by itself; --show lists settings without secrets."""
    (tmp_path / "dispatcher.toml").write_text(CONFIG)
    result = invoke("check", "--show")
    assert result.exit_code == ExitCode.DONE
    assert "The configuration of campaign c1 is fine." in result.stdout
    assert "dispatcher.toml:1" in result.stdout
    assert "warning: message.text is empty" in result.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SourceError("contacts.csv: no such file"), ExitCode.SOURCE),
        (LedgerError("ledger.db: another dispatcher has it"), ExitCode.LEDGER),
        (ZeroDivisionError("oops"), ExitCode.BUG),
        (KeyboardInterrupt(), ExitCode.STOPPED),
    ],
)
@pytest.mark.parametrize("debug", [True, False])
def test_failures_are_words_and_a_code(error, code, debug, capsys):
    """A failure is a sentence and its exit code; a traceback is for --debug alone."""
    import click  # noqa: PLC0415 - the exception that carries the code

    with pytest.raises(click.exceptions.Exit) as caught, explain_errors(lambda: debug):
        raise error
    assert caught.value.exit_code == code
    shown = capsys.readouterr().err
    assert ("Traceback" in shown) == (debug and code is not ExitCode.STOPPED)
    assert str(error) in shown


def test_debug_is_taken_before_and_after_the_command(invoke, monkeypatch, tmp_path):
    """--debug is known before the command and after it."""

    def fail(_settings):
        raise ZeroDivisionError("oops")

    (tmp_path / "dispatcher.toml").write_text(CONFIG)
    monkeypatch.setattr("dispatcher.app.make_agent", fail)
    for arguments in (["--debug", "check"], ["check", "--debug"]):
        result = invoke(*arguments)
        assert result.exit_code == ExitCode.BUG
        assert "Traceback" in result.stderr
    assert "Traceback" not in invoke("check").stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(invoke, shell):
    """Each shell gets a script that asks the dispatcher itself."""
    result = invoke("completion", shell)
    assert result.exit_code == 0
    assert "_DISPATCHER_COMPLETE" in result.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_sandbox_says_when_it_is_ready_and_stops_on_a_signal(number, tmp_path):
    """One JSON line with its addresses, and exit code 0 after the signal."""
    log = tmp_path / "effects.jsonl"
    command = [sys.executable, "-m", "dispatcher", "sandbox", "--port", "0", "--ready-json"]
    with subprocess.Popen(
        [*command, "--log", str(log), "--seed", "7"], stdout=subprocess.PIPE, env=os.environ
    ) as sandbox:
        ready = json.loads(sandbox.stdout.readline())
        assert ready["url"].startswith("http://127.0.0.1:")
        assert ready["control_url"] != ready["url"]
        assert ready["seed"] == 7
        sandbox.send_signal(number)
        assert sandbox.wait(10) == 0
    assert log.exists()


def test_sandbox_names_what_is_wrong_with_a_scenario(invoke, tmp_path):
    """A scenario's mistakes are reported as a configuration's are."""
    (tmp_path / "s.toml").write_text("[rate]\nallowed = 0\nwindow = 3\n")
    result = invoke("sandbox", "--scenario", "s.toml")
    assert result.exit_code == ExitCode.USAGE
    assert "rate.allowed" in result.stderr
    assert "rate.window" in result.stderr


def test_sandbox_contacts_writes_a_file(invoke, tmp_path):
    """The same seed writes the same file."""
    for name in ("a.csv", "b.csv"):
        assert invoke("sandbox", "contacts", "--count", "20", "--out", name).exit_code == 0
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 21
    assert invoke("sandbox", "contacts", "--out", "no/such/folder.csv").exit_code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("typed", "meant"), [(["stauts"], "status"), (["rum"], "run"), (["ledger", "verfy"], "verify")]
)
def test_a_command_with_a_typing_error_is_answered_with_the_right_one(typed, meant):
    result = CliRunner().invoke(cli, typed)
    assert result.exit_code == ExitCode.USAGE
    assert f"'{meant}'" in result.output
