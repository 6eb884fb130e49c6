"""The man page and the completions have every command and option that the help has."""

import re
import shutil
import subprocess

import click
import pytest

from dispatcher.cli import cli
from dispatcher.cli.exit_codes import MEANINGS
from tests.support.man_page import commands, completions, man_page

PAGE = man_page(1_790_000_000)
PLAIN = PAGE.replace("\\-", "-").replace("\\(dq", '"').replace("\\e", "\\")
ROOT = click.Context(cli, info_name="dispatcher", **cli.context_settings)


@pytest.mark.parametrize(
    "path", [context.command_path for _, context in commands(cli, ROOT)] or ["none"]
)
def test_every_command_has_its_options(path):
    """In a section of its own, with the texts of the help."""
    (command,) = (one for one, context in commands(cli, ROOT) if context.command_path == path)
    section = PLAIN.split(f'.SS "{path}"\n')[1].split("\n.SS ")[0].split("\n.SH ")[0]
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            for option in (*parameter.opts, *parameter.secondary_opts):
                assert re.search(rf"^\.B .*(?<![\w-]){option}(?![\w-])", section, re.MULTILINE)
            assert " ".join((parameter.help or "").split()) in section
    assert " ".join((command.help or "").split("\n\n")[0].split()) in section


def test_it_has_what_every_page_has():
    """The name and date, and each exit code with its meaning."""
    assert PAGE.startswith('.TH DISPATCHER 1 "2026-09-21" "dispatcher ')
    assert "dispatcher - Send one message to every person" in PLAIN.replace("\\", "")
    for code, meaning in MEANINGS.items():
        assert re.search(rf"^ *{code.value}  {re.escape(meaning)}$", PLAIN, re.MULTILINE)


@pytest.mark.parametrize(
    "command",
    [("groff", "-man", "-Tutf8", "-ww", "-z"), ("mandoc", "-T", "lint", "-W", "warning")],
    ids=["groff", "mandoc"],
)
def test_a_formatter_has_no_warning(command, tmp_path):
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    path = tmp_path / "dispatcher.1"
    path.write_text(PAGE)
    done = subprocess.run([*command, path], capture_output=True, text=True, check=False)
    assert done.stdout + done.stderr == ""


@pytest.mark.parametrize("name", completions())
def test_the_completions_are_those_of_the_command(name):
    """The shells ask the command itself, so they have what it has."""
    script = completions()[name]
    assert "_DISPATCHER_COMPLETE" in script
    assert "dispatcher" in script
    if name == "dispatcher":
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
