"""Files that are installed with the package: the demo, a first configuration, scenarios."""

from difflib import get_close_matches
from pathlib import Path

import click

import dispatcher

DATA = Path(dispatcher.__file__).parent / "data"
"""The folder of the bundled files."""

_DEMO = "demo"


def scenario_names() -> list[str]:
    """Return the names of the bundled scenarios."""
    return sorted([_DEMO, *(file.stem for file in (DATA / "scenarios").glob("*.toml"))])


def find_scenario(text: str) -> Path:
    """Return the scenario's file: a file of the user, or a bundled one by its name.

    Raises:
        click.BadParameter: there is neither; the message has the names.

    """
    path = Path(text)
    if path.is_file():
        return path
    if text in scenario_names():
        return (
            DATA / _DEMO / "scenario.toml" if text == _DEMO else DATA / "scenarios" / f"{text}.toml"
        )
    names = scenario_names()
    near = get_close_matches(path.stem, names, n=1)
    hint = f'; did you mean "{near[0]}"?' if near else "."
    raise click.BadParameter(
        f'there is no file "{text}", and no bundled scenario has that name{hint} The bundled ones '
        f"are: {', '.join(names)}",
        param_hint="--scenario",
    )


class ScenarioParameter(click.ParamType[Path]):
    """A scenario: a TOML file, or the name of a bundled one."""

    name = "file or name"

    def convert(
        self, value: str | Path, _param: click.Parameter | None, _ctx: click.Context | None
    ) -> Path:
        """Return the scenario's file."""
        return value if isinstance(value, Path) else find_scenario(value)
