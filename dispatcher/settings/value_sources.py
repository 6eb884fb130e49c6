"""Reads the values of each source into the layers."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from pathlib import Path

from dispatcher.settings.errors import SettingOrigin
from dispatcher.settings.key_paths import (
    LIST_KEYS,
    KeyPath,
    is_table,
    item,
    item_list,
    takes_text,
)
from dispatcher.settings.layers import Layers

PREFIX = "DISPATCHER__"
ENVIRONMENT = SettingOrigin("environment")
SET = SettingOrigin("--set")

FLAGS = {
    "campaign": "--campaign",
    "source.path": "--source",
    "ledger.path": "--ledger",
    "ledger.url": "--ledger",
    "platform.base_url": "--platform-url",
    "engine.wait_limit_seconds": "--wait-limit",
    "telemetry.log_format": "--log-format",
}
"""The keys that have a flag."""

_NO_FILE = "check the path; `dispatcher init` writes a first one"
_ITEM_HEADER = re.compile(rf"\s*\[\[\s*({'|'.join(LIST_KEYS)})\s*\]\]\s*(#.*)?$")
_HEADER = re.compile(r"\s*\[([^\[\]]+)\]\s*(#.*)?$")
_ASSIGNMENT = re.compile(
    r"\s*((?:[\w-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[\w-]+|\"[^\"]*\"|'[^']*'))*)\s*="
)
_PART = re.compile(r"[\w-]+|\"[^\"]*\"|'[^']*'")


def read_file(layers: Layers, config: Path) -> None:
    """Read the configuration file."""
    here = SettingOrigin(str(config))
    try:
        text = config.read_bytes().decode("utf-8-sig")
        data = tomllib.loads(text)
    except OSError as error:
        hint = _NO_FILE if isinstance(error, FileNotFoundError) else ""
        layers.problems.append(here.problem("the file", f"cannot be read: {error.strerror}", hint))
    except UnicodeDecodeError:
        layers.problems.append(here.problem("the file", "is not written in UTF-8"))
    except tomllib.TOMLDecodeError as error:
        hint = "strings need quotes" if "Invalid value" in str(error) else ""
        layers.problems.append(here.problem("the file", f"is not valid TOML: {error}", hint))
    else:
        lines = _lines(text)
        for key, value in data.items():
            if key in LIST_KEYS:
                _read_list(layers, key, value, SettingOrigin(here.where, _line(lines, (key,))))
            else:
                layers.put((key,), value, here)
        for path in list(layers.origins):
            layers.origins[path] = SettingOrigin(here.where, _line(lines, path))


def _read_list(layers: Layers, key: str, tables: object, here: SettingOrigin) -> None:
    layers.lists[key] = 0
    if not isinstance(tables, list) or not all(isinstance(table, Mapping) for table in tables):
        layers.problems.append(
            here.problem(key, "must be a list of tables", f"write [[{key}]] above each")
        )
        return
    layers.lists[key] = len(tables)
    for name, table in zip(layers.items(key), tables, strict=True):
        layers.put((name,), table, here)
        layers.origins[name,] = here


def read_environment(layers: Layers, env: Mapping[str, str]) -> None:
    """Read every variable ``DISPATCHER__SECTION__KEY``."""
    for name in sorted(env):
        if not name.startswith(PREFIX):
            continue
        path = tuple(name.removeprefix(PREFIX).lower().split("__"))
        if all(path):
            _put_text(layers, ENVIRONMENT, name, path, env[name])
        else:
            hint = "for example DISPATCHER__ENGINE__WORKERS"
            layers.problems.append(ENVIRONMENT.problem(name, "is not the name of a key", hint))


def read_sets(layers: Layers, sets: Sequence[str]) -> None:
    """Read every ``--set section.key=value``."""
    for text in sets:
        key, equals, raw = text.partition("=")
        path = _path(key.strip())
        if equals and all(path):
            _put_text(layers, SET, key, path, raw.strip())
        else:
            layers.problems.append(
                SET.problem(key, "has no value", "write --set section.key=value")
            )


def read_flags(layers: Layers, flags: Mapping[str, object]) -> None:
    """Read the values of a command's flags, by key; None is a flag that is not set."""
    for key, value in flags.items():
        if value is not None:
            layers.put(_path(key), value, SettingOrigin(FLAGS.get(key, key)))


def _put_text(layers: Layers, origin: SettingOrigin, key: str, path: KeyPath, raw: str) -> None:
    """Set a value that is written as text, unless only the file may set it."""
    list_key = path[0] if path[0] in LIST_KEYS else item_list(path)
    if list_key is None:
        layers.put(path, _value(path, raw), origin)
    else:
        problem = "can be set in the configuration file only"
        layers.problems.append(origin.problem(key, problem, f"write [[{list_key}]] there"))


def _path(key: str) -> KeyPath:
    parts = key.split(".")
    if is_table(tuple(parts[:2])) and len(parts) > 2:  # noqa: PLR2004 - section, table, column
        return parts[0], parts[1], ".".join(parts[2:])
    return tuple(parts)


def _value(path: KeyPath, raw: str) -> object:
    try:
        document = tomllib.loads(f"value = {raw}")
    except tomllib.TOMLDecodeError:
        return raw
    value = document["value"]
    is_list = isinstance(value, list) and is_table(path[:-1])
    is_text = (isinstance(value, str) or is_list) and len(document) == 1
    if isinstance(value, date | datetime | time) or (takes_text(path) and not is_text):
        return raw
    return value


def _lines(text: str) -> dict[KeyPath, int]:
    """Return the line of each key; it may be wrong if a multi-line string has a line like a key."""
    numbers: dict[KeyPath, int] = {}
    table: KeyPath = ()
    items: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if item_header := _ITEM_HEADER.match(line):
            key = item_header.group(1)
            items[key] = items.get(key, 0) + 1
            table = (item(items[key], key),)
            numbers.setdefault(table, number)
            numbers.setdefault((key,), number)
        elif header := _HEADER.match(line):
            table = _parts(header.group(1))
            if table[0] in items:
                table = (item(items[table[0]], table[0]), *table[1:])
            numbers.setdefault(table, number)
        elif assignment := _ASSIGNMENT.match(line):
            numbers.setdefault((*table, *_parts(assignment.group(1))), number)
    return numbers


def _parts(text: str) -> KeyPath:
    return tuple(part.strip("\"'") for part in _PART.findall(text))


def _line(lines: Mapping[KeyPath, int], path: KeyPath) -> int | None:
    for end in range(len(path), 0, -1):
        if path[:end] in lines:
            return lines[path[:end]]
    list_key = item_list(path)
    return lines.get((list_key,)) if list_key is not None else None
