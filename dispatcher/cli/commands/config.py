"""``dispatcher config``: what editors need to know about a configuration."""

import click

from dispatcher.cli.bundled_files import DATA
from dispatcher.cli.options import debug_option

SCHEMA = DATA / "dispatcher.schema.json"


@click.group()
def config() -> None:
    """Print what editors need to know about a configuration."""


@config.command()
@debug_option
def schema() -> None:
    """Print the JSON Schema of dispatcher.toml.

    An editor with taplo (Even Better TOML in VS Code) completes and checks a file whose first line
    names the schema.

    \b
    Example:
      dispatcher config schema > dispatcher.schema.json
      sed -i '1i #:schema ./dispatcher.schema.json' dispatcher.toml
    """
    click.echo(SCHEMA.read_text(encoding="utf-8"), nl=False)
