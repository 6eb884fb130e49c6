"""Every command's body gets exactly the options that click reads for it."""

import dataclasses
import inspect
import typing

import click
import pytest

from dispatcher.cli import cli

ROOT = click.Context(cli, **cli.context_settings)
"""The parent of a command's context. Click keeps what it makes for a command's first context, so
that a context without it would change the help of later tests."""


def commands(group, *path):
    """Yield every command of a group and of its groups, with its path."""
    context = click.Context(group, parent=ROOT)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield pytest.param(command, id=" ".join([*path, name]))
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)


def parameters_of(command):
    """Return the types of what a command's body takes; of a group of options, its fields."""
    hints = typing.get_type_hints(inspect.unwrap(command.callback))
    del hints["return"]
    groups = [name for name, hint in hints.items() if dataclasses.is_dataclass(hint)]
    for group in groups:
        hints |= typing.get_type_hints(hints.pop(group))
    return hints


@pytest.mark.parametrize("command", list(commands(cli)))
def test_the_body_takes_the_options_that_click_reads(command):
    """Same names; a parameter that click may leave out admits None."""
    parameters = {param.name: param for param in command.params if param.expose_value}
    hints = parameters_of(command)
    assert set(hints) - {"ctx"} == set(parameters)
    values = command.make_context("any", [], ROOT, resilient_parsing=True).params
    for name, param in parameters.items():
        optional = type(None) in typing.get_args(hints[name])
        assert optional == (values[name] is None and not param.required), name


@pytest.mark.parametrize("name", cli.list_commands(ROOT))
def test_the_list_of_commands_names_what_is_there(name):
    """Each lazy entry leads to a command of that name."""
    command = cli.get_command(ROOT, name)
    assert isinstance(command, click.Command)
    assert command.name == name


def test_completion_offers_the_commands_and_their_options():
    """The list of commands comes from the map, and options from the command's module."""
    items = cli.shell_complete(ROOT, "pa")
    assert [(item.value, item.help) for item in items] == [
        ("parked", "Dead letters: list, replay or drop parked contacts."),
        ("pause", "Pause a campaign: it begins no contact."),
    ]
    run = cli.get_command(ROOT, "run")
    assert [
        item.value for item in run.shell_complete(click.Context(run, parent=ROOT), "--onc")
    ] == ["--once"]
