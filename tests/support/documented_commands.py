"""Command lines of the dispatcher in documents, and whether the commands and options are there."""

import re
import shlex
from collections.abc import Iterator
from functools import cache

import click

from dispatcher.cli import cli

_ENDS = re.compile(r"[|&;<>()]+")
_PLACEHOLDERS = {"...", "…"}


def command_lines(script: str) -> Iterator[list[str]]:
    """Yield the words after ``dispatcher`` of each command of a shell script."""
    begun = ""
    for line in script.replace("\\\n", " ").splitlines():
        text = begun + line
        try:
            found = list(commands_of(text))
        except ValueError:  # a text in quotes goes on in the next line
            begun = f"{text}\n"
        else:
            yield from found
            begun = ""
    assert not begun, f"the quotes do not end: {begun}"


def commands_of(line: str) -> Iterator[list[str]]:
    """Yield the words after ``dispatcher`` of each command of a line."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>()")
    lexer.whitespace_split = True
    words: list[str] | None = None
    before: list[str] = []
    for word in (*lexer, ";"):
        if _ENDS.fullmatch(word):
            if words is not None:
                yield words
            words, before = None, []
            continue
        if words is not None:
            words.append(word)
        elif re.fullmatch("(.*/bin/)?dispatcher", word) and _is_command(before):
            words = []
        before.append(word)


def _is_command(before: list[str]) -> bool:
    """Return True if a word is a command, after the words before it; else it is an argument."""
    in_container = before[-1:] == ["--"] or before[:3] == ["docker", "compose", "exec"]
    return in_container or all("=" in word for word in before)


def problem_of(words: list[str]) -> str:
    """Return what is wrong with the words after ``dispatcher``; empty if nothing is."""
    command, context = _root()
    names, options = "dispatcher", _options(command, context)
    words = list(words)
    while words and words[0] != "--":
        word = words.pop(0)
        if word.startswith("-") and word != "-":
            name, _, value = word.partition("=")
            if name not in options:
                return f"{names} has no option {word}"
            del words[: 0 if value else options[name]]
        elif word not in _PLACEHOLDERS and isinstance(command, click.Group):
            child = command.get_command(context, word)
            if child is None:
                return f"{names} has no command {word}"
            names = f"{names} {word}"
            command, context = child, click.Context(child, info_name=word, parent=context)
            options = _options(command, context)
    return ""


@cache
def _root() -> tuple[click.Command, click.Context]:
    return cli, click.Context(cli, info_name="dispatcher", **cli.context_settings)


def _options(command: click.Command, context: click.Context) -> dict[str, int]:
    """Return the number of words after each option of a command."""
    return {
        name: 0 if parameter.is_flag or parameter.count else parameter.nargs
        for parameter in command.get_params(context)
        if isinstance(parameter, click.Option)
        for name in (*parameter.opts, *parameter.secondary_opts)
    }
