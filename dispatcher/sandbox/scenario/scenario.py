"""A scenario: all settings of one sandbox, read from TOML or a mapping."""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import Field, ValidationError
from pydantic.dataclasses import dataclass
from pydantic_core import ErrorDetails

from dispatcher.sandbox.scenario.model import (
    TABLE,
    Analytics,
    ClientRules,
    Event,
    Fault,
    GenesysRules,
    Limit,
    RateRules,
    Spread,
    TokenRules,
    TrafficRules,
    WorldRules,
)
from dispatcher.sandbox.scenario.value_types import DialectName, Flag, LatencyKey, Whole

T = TypeVar("T")

_TEXTS = {
    "missing": "is missing",
    "missing_argument": "is missing",
    "dataclass_type": "must be a table, not {input!r}",
    "dict_type": "must be a table, not {input!r}",
    "tuple_type": "must be a list, not {input!r}",
    "string_type": "must be a text, not {input!r}",
    "string_too_short": "must not be empty",
    "bool_type": "must be true or false, not {input!r}",
    "int_type": "must be a whole number, not {input!r}",
    "float_type": "must be a number, not {input!r}",
    "greater_than_equal": "must be at least {ge:g}, not {input!r}",
    "less_than_equal": "must be at most {le:g}, not {input!r}",
    "literal_error": "must be {expected}, not {input!r}",
    "value_error": "{error}",
}


class ScenarioError(ValueError):
    """A scenario is wrong; ``mistakes`` holds one line for each mistake, with file and key."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


@dataclass(frozen=True, slots=True, config=TABLE)
class Scenario:
    """All settings of one sandbox; the empty one is a platform with the contract's own defaults."""

    seed: Whole = 1
    dialect: DialectName = "messaging"
    log_text: Flag = False
    """Whether the effect log carries the messages' texts beside their hashes."""
    token: TokenRules = Field(default_factory=TokenRules)
    rate: RateRules = Field(default_factory=RateRules)
    clients: tuple[ClientRules, ...] = ()
    """OAuth clients beside the one of ``token``."""
    limit: tuple[Limit, ...] = ()
    latency: dict[LatencyKey, Spread] = Field(default_factory=dict)
    fault: tuple[Fault, ...] = ()
    event: tuple[Event, ...] = ()
    analytics: Analytics = Field(default_factory=Analytics)
    traffic: TrafficRules = Field(default_factory=TrafficRules)
    world: WorldRules = Field(default_factory=WorldRules)
    genesys: GenesysRules = Field(default_factory=GenesysRules)


def load(source: Path | str | Mapping[str, object]) -> Scenario:
    """Read a scenario from a TOML file or a mapping of the same shape.

    Raises:
        ScenarioError: with every mistake at once.

    """
    if isinstance(source, Mapping):
        return validated(Scenario, source, "scenario")
    try:
        with Path(source).open("rb") as file:
            data = tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ScenarioError([f"{source}: {error}"]) from error
    return validated(Scenario, data, str(source))


def validated(make: Callable[..., T], data: object, name: str) -> T:
    """Call a validating class or function with a table's keys; ``null`` is as no key.

    Raises:
        ScenarioError: with every mistake at once; each begins with ``name``.

    """
    if not isinstance(data, Mapping):
        raise ScenarioError([f"{name}: must be a table, not {data!r}"])
    try:
        return make(**_without_nulls(data))
    except ValidationError as error:
        details = error.errors(include_url=False)
        raise ScenarioError([_mistake(detail, make, name) for detail in details]) from error


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _mistake(detail: ErrorDetails, make: Callable[..., object], name: str) -> str:
    path = ""
    for part in detail["loc"]:
        if isinstance(part, int):
            path += f"[{part + 1}]"
        elif part != "[key]":
            path += f".{part}" if path else part
    return f"{name}: {path}: {_problem(detail, make)}"


def _problem(detail: ErrorDetails, make: Callable[..., object]) -> str:
    key, value = str(detail["loc"][-1]), detail["input"]
    if detail["type"] == "unexpected_keyword_argument":
        near = get_close_matches(key, _keys_beside(detail, make), 1)
        return "unknown key" + (f"; did you mean {near[0]!r}?" if near else "")
    if detail["type"] == "tuple_type" and isinstance(value, Mapping):
        return f"must be a list of tables ([[{key}]]), not {value!r}"
    text = _TEXTS.get(detail["type"])
    if text is None:
        return detail["msg"]
    text = text.format(input=value, **detail.get("ctx", {}))
    return text.replace("True, False or", "true, false or")


def _keys_beside(detail: ErrorDetails, make: Callable[..., object]) -> list[str]:
    """Return the known keys of the table that holds the key of an error."""
    types = get_type_hints(make)
    for part in detail["loc"][:-1]:
        hint = types.get(str(part))
        for table in filter(is_dataclass, (hint, *get_args(hint))):
            types = get_type_hints(table)
    return list(types)
