"""Every command's body gets exactly the options that click reads for it."""

import dataclasses
import inspect
import typing

import click
import pytest

from dispatcher.cli import cli
from dispatcher.cli.commands import completion


def commands(group, *path):
    """Yield every command of a group and of its groups, with its path."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield pytest.param(command, id=" ".join([*path, name]))
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)


def options_of(command):
    """Return the dataclass that a command's body takes; None for a body without options."""
    body = inspect.unwrap(command.callback)
    return typing.get_type_hints(body).get("options")


@pytest.mark.parametrize("command", list(commands(cli)))
def test_the_fields_are_the_options_that_click_reads(command):
    """Same names; a field that click may leave out admits None."""
    parameters = {param.name: param for param in command.params if param.expose_value}
    options = options_of(command)
    if options is None:
        assert not parameters or command is completion.completion
        return
    hints = typing.get_type_hints(options)
    assert {field.name for field in dataclasses.fields(options)} == set(parameters)
    values = command.make_context("any", [], resilient_parsing=True).params
    for name, param in parameters.items():
        optional = type(None) in typing.get_args(hints[name])
        assert optional == (values[name] is None and not param.required), name


@pytest.mark.parametrize("name", cli.list_commands(click.Context(cli)))
def test_the_list_of_commands_names_what_is_there(name):
    """Each lazy entry leads to a command of that name."""
    command = cli.get_command(click.Context(cli), name)
    assert isinstance(command, click.Command)
    assert command.name == name


def test_completion_offers_the_commands_and_their_options():
    """The list of commands comes from the map, and options from the command's module."""
    items = cli.shell_complete(click.Context(cli), "pa")
    assert [(item.value, item.help) for item in items] == [
        ("parked", "Look at contacts that wait for a person, replay or drop them."),
        ("pause", "Let a campaign take nothing new."),
    ]
    run = cli.get_command(click.Context(cli), "run")
    assert [item.value for item in run.shell_complete(click.Context(run), "--onc")] == ["--once"]
