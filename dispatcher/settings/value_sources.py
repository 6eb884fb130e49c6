"""The places that values come from, each read into the layers."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from pathlib import Path

from dispatcher.settings.errors import SettingOrigin
from dispatcher.settings.key_paths import (
    CLIENTS,
    LIST,
    LISTS,
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
    "platform.base_url": "--platform-url",
    "engine.wait_limit_seconds": "--wait-limit",
    "telemetry.log_format": "--log-format",
}
"""The keys that have a flag of their own."""

_ITEM_HEADER = re.compile(rf"\s*\[\[\s*({LIST}|{CLIENTS})\s*\]\]\s*(#.*)?$")
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
        layers.wrong(here, "the file", f"cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        layers.wrong(here, "the file", "is not written in UTF-8")
    except tomllib.TOMLDecodeError as error:
        layers.wrong(here, "the file", f"is not valid TOML: {error}", _toml_hint(error))
    else:
        lines = _lines(text)
        for key, value in data.items():
            if key in LISTS:
                _read_list(layers, key, value, SettingOrigin(here.where, _line(lines, (key,))))
            else:
                layers.put((key,), value, here)
        for path in list(layers.origins):
            layers.origins[path] = SettingOrigin(here.where, _line(lines, path))


def _read_list(layers: Layers, key: str, given: object, here: SettingOrigin) -> None:
    layers.listed = layers.listed or key == LIST
    if not isinstance(given, list) or not all(isinstance(each, Mapping) for each in given):
        layers.wrong(here, key, "must be a list of tables", f"write [[{key}]] above each")
        return
    if key == LIST:
        layers.campaigns, names = len(given), [item(n + 1) for n in range(len(given))]
    else:
        layers.clients, names = len(given), [item(n + 1, key) for n in range(len(given))]
    for name, table in zip(names, given, strict=True):
        layers.put((name,), table, here)
        layers.origins[name,] = here


def read_environment(layers: Layers, env: Mapping[str, str]) -> None:
    """Read every variable ``DISPATCHER__SECTION__KEY``."""
    for name in sorted(env):
        if not name.startswith(PREFIX):
            continue
        parts = tuple(name.removeprefix(PREFIX).lower().split("__"))
        if all(parts) and (of := _of_list(parts)):
            layers.wrong(ENVIRONMENT, name, *_in_the_file(of))
        elif all(parts):
            layers.put(parts, _value(parts, env[name]), ENVIRONMENT)
        else:
            layers.wrong(
                ENVIRONMENT, name, "names no key", "for example DISPATCHER__ENGINE__WORKERS"
            )


def read_sets(layers: Layers, sets: Sequence[str]) -> None:
    """Read every ``--set section.key=value``."""
    for text in sets:
        key, equals, raw = text.partition("=")
        path = _path(key.strip())
        if not equals or not all(path):
            layers.wrong(SET, key, "has no value", "write --set section.key=value")
        elif of := _of_list(path):
            layers.wrong(SET, key, *_in_the_file(of))
        else:
            layers.put(path, _value(path, raw.strip()), SET)


def read_flags(layers: Layers, flags: Mapping[str, object]) -> None:
    """Take the values of a command's own flags, by key; None is a flag that was not given."""
    for key, value in flags.items():
        if value is not None:
            layers.put(_path(key), value, SettingOrigin(FLAGS.get(key, key)))


def _of_list(path: KeyPath) -> str | None:
    return path[0] if path[0] in LISTS else item_list(path)


def _in_the_file(of: str) -> tuple[str, str]:
    return "can be set in the configuration file alone", f"write [[{of}]] there"


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
    several = isinstance(value, list) and is_table(path[:-1])
    of_its_own = (isinstance(value, str) or several) and len(document) == 1
    if isinstance(value, date | datetime | time) or (takes_text(path) and not of_its_own):
        return raw
    return value


def _toml_hint(error: tomllib.TOMLDecodeError) -> str:
    return "texts stand in quotes" if "Invalid value" in str(error) else ""


def _lines(text: str) -> dict[KeyPath, int]:
    """Find the line of each key, roughly: a key inside of a longer text may mislead it."""
    found: dict[KeyPath, int] = {}
    table: KeyPath = ()
    items: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if listed := _ITEM_HEADER.match(line):
            of = listed.group(1)
            items[of] = items.get(of, 0) + 1
            table = (item(items[of], of),)
            found.setdefault(table, number)
            found.setdefault((of,), number)
        elif header := _HEADER.match(line):
            table = _parts(header.group(1))
            if table[0] in items:
                table = (item(items[table[0]], table[0]), *table[1:])
            found.setdefault(table, number)
        elif assignment := _ASSIGNMENT.match(line):
            found.setdefault((*table, *_parts(assignment.group(1))), number)
    return found


def _parts(text: str) -> KeyPath:
    return tuple(part.strip("\"'") for part in _PART.findall(text))


def _line(lines: Mapping[KeyPath, int], path: KeyPath) -> int | None:
    for end in range(len(path), 0, -1):
        if path[:end] in lines:
            return lines[path[:end]]
    of = item_list(path)
    return lines.get((of,)) if of is not None else None
