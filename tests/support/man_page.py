"""Writes the man page and the completions, from the same commands as ``--help``.

``python -m tests.support.man_page FOLDER`` (``make man``) writes dispatcher.1, and a file for each
of the shells that ``dispatcher completion`` knows.
"""

import re
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from dispatcher import __version__
from dispatcher.cli import cli
from dispatcher.cli.commands.completion import completion
from tests.support.distributions import source_date

NAMES = {"bash": "dispatcher", "zsh": "_dispatcher", "fish": "dispatcher.fish"}
"""The names under which the shells look for the completion of a command."""
FILES = [
    ("dispatcher.toml", "The configuration; dispatcher init writes a first one."),
    ("dispatcher.db", "The ledger, unless ledger.path or ledger.url is set."),
]


def man_page(date: int) -> str:
    """Return the page in roff, with every command and option."""
    day = time.strftime("%Y-%m-%d", time.gmtime(date))
    context = click.Context(cli, info_name="dispatcher", **cli.context_settings)
    first, _, rest = (cli.help or "").partition("\n\n")
    lines = [
        f'.TH DISPATCHER 1 "{day}" "dispatcher {__version__}" "User Commands"',
        ".SH NAME",
        f"dispatcher \\- {escape(first.rstrip('.'))}",
        ".SH SYNOPSIS",
        *synopsis(cli, context),
        ".SH DESCRIPTION",
        *paragraphs(rest),
        ".SH OPTIONS",
        *options(cli, context),
        ".SH COMMANDS",
    ]
    for command, its_context in commands(cli, context):
        lines += [f'.SS "{escape(its_context.command_path)}"', *synopsis(command, its_context)]
        lines += [".PP", *paragraphs(command.help or ""), *options(command, its_context)]
    lines += [".SH EXIT STATUS", *paragraphs((cli.epilog or "").replace("Exit codes:\n", ""))]
    lines += [".SH FILES", *definitions((name, text) for name, text in FILES)]
    return "\n".join(lines) + "\n"


def commands(
    group: click.Command, context: click.Context
) -> Iterator[tuple[click.Command, click.Context]]:
    """Yield the commands below a group, each with the context that has its path."""
    if not isinstance(group, click.Group):
        return
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is not None and not command.hidden:
            inner = click.Context(command, info_name=name, parent=context)
            yield command, inner
            yield from commands(command, inner)


def synopsis(command: click.Command, context: click.Context) -> Iterator[str]:
    """Yield how a command is written."""
    yield f".B {escape(context.command_path)}"
    yield escape(" ".join(command.collect_usage_pieces(context)))


def options(command: click.Command, context: click.Context) -> Iterator[str]:
    """Yield the options of a command, as its help has them."""
    records = (one.get_help_record(context) for one in command.get_params(context))
    yield from definitions(record for record in records if record is not None)


def definitions(items: Iterator[tuple[str, str]]) -> Iterator[str]:
    """Yield a list of words with their meanings."""
    for word, meaning in items:
        yield from (".TP", f".B {escape(word)}", escape(" ".join(meaning.split())) or "\\&")


def paragraphs(text: str) -> Iterator[str]:
    """Yield a help text; paragraphs that click must not wrap keep their lines."""
    for number, paragraph in enumerate(part for part in re.split(r"\n\s*\n", text) if part.strip()):
        if number:
            yield ".PP"
        if paragraph.lstrip(" \n").startswith("\b"):
            body = textwrap.dedent(paragraph.replace("\b", "", 1).strip("\n"))
            yield from (".nf", *(escape(line) for line in body.splitlines()), ".fi")
        else:
            yield escape(" ".join(paragraph.split()))


def escape(text: str) -> str:
    """Return a line of text that roff shows as it is."""
    plain = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    return re.sub(r"^(\s*)(['.])", r"\1\\&\2", plain)


def completions() -> dict[str, str]:
    """Return the completion script of each shell, by the name of its file."""
    (shells,) = (one.type.choices for one in completion.params if one.name == "shell")
    scripts = {}
    for shell in shells:
        found = get_completion_class(shell)
        assert found is not None
        scripts[NAMES[shell]] = found(cli, {}, "dispatcher", "_DISPATCHER_COMPLETE").source()
    return scripts


def main(folder: Path) -> None:
    """Write all files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {"dispatcher.1": man_page(source_date()), **completions()}.items():
        (folder / name).write_text(text, "utf-8")
        sys.stdout.write(f"{folder / name}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
