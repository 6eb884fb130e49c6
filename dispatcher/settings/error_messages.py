"""Turns the errors of pydantic into messages for the person who wrote the value."""

import re

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from dispatcher.settings.errors import (
    DEFAULTS,
    MISSING,
    UNKNOWN,
    SettingOrigin,
    SettingsProblem,
    WrongValueError,
)
from dispatcher.settings.key_paths import (
    LIST_KEYS,
    SINKS,
    KeyPath,
    hint_for_unknown,
    item,
    item_list,
    known,
    sections,
)
from dispatcher.settings.layers import Layers
from dispatcher.settings.toml_format import as_toml
from dispatcher.settings.value_sources import FLAGS

_TYPES = {
    "string_type": "must be a string",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list of strings",
    "dict_type": "must be a table",
    "path_type": "must be a path",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
}
_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "less_than_equal": ("at most", "le"),
    "greater_than": ("more than", "gt"),
    "less_than": ("less than", "lt"),
}
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_NUMBER_TYPES = ("int_type", "float_type")
_EXAMPLES = {
    "campaign": 'campaign = "cart-2026-11"',
    "source.path": '[source] path = "contacts.csv"',
    "campaigns.name": 'name = "cart-2026-11"',
    "campaigns.source.path": '[campaigns.source] path = "contacts.csv"',
    "clients.name": 'name = "main"',
    "sinks.name": 'name = "warehouse"',
    "sinks.kind": 'kind = "sql"',
}
_COLUMNS_HINT = (
    'columns has your file\'s names of the known columns: conversation_id = "CONVERSATIONID"'
)
_NOT_SHOWN = ("ledger.url", "platform.base_url", "platform.login_url", "platform.proxy")


def problems(error: ValidationError, layers: Layers) -> list[SettingsProblem]:
    """Return each of pydantic's errors as a problem with its place."""
    found: dict[KeyPath, SettingsProblem] = {}
    for detail in error.errors(include_url=False):
        path = _path(detail)
        if detail["type"] == "missing" and path[-1] in sections():
            required = [p for p, info in known().items() if p[0] == path[-1] and info.is_required()]
            for inner in required:
                found[*path[:-1], *inner] = missing((*path[:-1], *inner), layers)
        else:
            found.setdefault(path, _problem(detail, path, layers))
    return list(found.values())


def _path(detail: ErrorDetails) -> KeyPath:
    """Return the key of an error, without indexes of a list of strings."""
    loc = detail["loc"]
    prefix: KeyPath = ()
    if loc[0] in LIST_KEYS and len(loc) > 1:
        skipped = 3 if loc[0] == SINKS and len(loc) > 3 else 2  # noqa: PLR2004 - the kind of a sink
        prefix = (item(int(loc[1]) + 1, str(loc[0])),)
        loc = loc[skipped:] or (("kind",) if loc[0] == SINKS else ())
    path = tuple(str(part) for part in loc if isinstance(part, str) and part != "[key]")
    return (*prefix, *path[:3])


def _problem(detail: ErrorDetails, path: KeyPath, layers: Layers) -> SettingsProblem:
    if detail["type"] in ("missing", "union_tag_not_found"):
        return missing(path, layers)
    key, origin = ".".join(path), layers.origin(path) or SettingOrigin(DEFAULTS)
    if detail["type"] == "extra_forbidden":
        return origin.problem(key, UNKNOWN, hint_for_unknown(path))
    return origin.problem(key, *_problem_and_hint(detail, key))


def missing(path: KeyPath, layers: Layers) -> SettingsProblem:
    """Return the problem of a required key that is not set."""
    key = ".".join(path)
    if (list_key := item_list(path)) is not None:
        hint = _EXAMPLES.get(".".join((list_key, *path[1:])), "set it")
        return layers.origins[path[:1]].problem(key, MISSING, hint)
    flag = f", or {FLAGS[key]}" if key in FLAGS else ""
    return SettingsProblem("settings", key, MISSING, f"{_EXAMPLES.get(key, 'set it')}{flag}")


def _problem_and_hint(detail: ErrorDetails, key: str) -> tuple[str, str]:
    kind, context = detail["type"], detail.get("ctx", {})
    cause = context.get("error")
    if isinstance(cause, WrongValueError):
        return str(cause), cause.hint
    shown = "" if key in _NOT_SHOWN else f", not {_short(detail['input'])}"
    if kind in _BOUNDS:
        words, name = _BOUNDS[kind]
        return f"must be {words} {as_toml(context[name])}{shown}", ""
    if kind == "union_tag_invalid":
        choices = str(context["expected_tags"]).replace("'", '"')
        return f'must be one of {choices}, not "{context["tag"]}"', ""
    if kind == "literal_error":
        hint = _COLUMNS_HINT if "source.columns." in key else ""
        choices = str(context["expected"]).replace("'", '"')
        return f"must be {'one of ' if ' or ' in choices else ''}{choices}{shown}", hint
    return f"{_TYPES.get(kind, detail['msg'])}{shown}", _quotes_hint(kind, detail["input"])


def _quotes_hint(kind: str, value: object) -> str:
    """Return a hint where a number, true or false is in quotes."""
    if not isinstance(value, str):
        return ""
    text = value.strip().replace("_", "")
    is_number = _NUMBER.fullmatch(text) is not None
    fits = is_number if kind in _NUMBER_TYPES else kind == "bool_type" and text in ("true", "false")
    return f"write {text} without quotes" if fits else ""


def _short(value: object) -> str:
    text = as_toml(value)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - fits a line
