"""Variables of the assets: ``${name}`` in any text of a file."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from dispatcher.telemetry.datadog_assets.bundle import AssetsError

NAMES = ("notify", "runbook_url", "dashboard_url", "service")
"""The variables that a file may use."""

_VARIABLE = re.compile(r"\$\{([^}]*)\}")


def used_variables(value: Any) -> Iterator[str]:
    """Yield the names of the variables in all texts of a JSON value."""
    for text in texts(value):
        yield from _VARIABLE.findall(text)


def texts(value: Any) -> Iterator[str]:
    """Yield all texts of a JSON value, without its keys."""
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else ():
        yield from texts(inner)
    for inner in value if isinstance(value, list) else ():
        yield from texts(inner)


def fill_variables(value: Any, values: Mapping[str, str]) -> Any:
    """Return the JSON value with the values of the variables.

    Raises:
        AssetsError: a text uses a variable that does not exist.

    """
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: _lookup(found[1], values), value)
    if isinstance(value, dict):
        return {key: fill_variables(inner, values) for key, inner in value.items()}
    if isinstance(value, list):
        return [fill_variables(inner, values) for inner in value]
    return value


def _lookup(name: str, values: Mapping[str, str]) -> str:
    if name not in values:
        raise AssetsError(f"${{{name}}} is not a variable; there are: {', '.join(values)}")
    return values[name]
