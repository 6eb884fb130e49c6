"""SQL statements by name, read from the files in ``sql/``."""

import re
import sqlite3
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any

import orjson

_MARK = "-- name: "
_VALUES = "/*values*/"
_SELECTION = "/*selection*/"


def script(name: str) -> str:
    """Return the whole text of one SQL file of this package."""
    return files(__package__).joinpath("sql", name).read_text("utf-8")


def by_name(text: str) -> dict[str, str]:
    """Return the statements of a file's text, each by its name."""
    found = {}
    for part in text.split(_MARK)[1:]:
        name, _, statement = part.partition("\n")
        found[name.strip()] = statement.strip()
    return found


SQL = by_name(script("queries.sql"))
"""Statements of runs and readers."""

MAINTENANCE = by_name(script("maintenance.sql"))
"""Statements that prune and erase."""

CHECKS = by_name(script("integrity.sql"))
"""Statements that count what a sound ledger does not contain."""


def many(name: str, count: int, width: int = 0) -> str:
    """Return statement ``name`` for a list of ``count`` values, or of rows of ``width``."""
    item = "(" + ",".join("?" * width) + ")" if width else "?"
    return SQL[name].replace(_VALUES, ",".join([item] * count))


def selecting(name: str, selection: str) -> str:
    """Return statement ``name`` for the rows that the statement ``selection`` returns."""
    return SQL[name].replace(_SELECTION, SQL[selection])


def fetch_json(connection: sqlite3.Connection, statement: str, *values: Any) -> Any:
    """Run a statement that selects one JSON value, and return the value decoded."""
    (value,) = connection.execute(statement, values).fetchone()
    return orjson.loads(value)


def fetch_json_named(
    connection: sqlite3.Connection, statement: str, values: Mapping[str, Any]
) -> Any:
    """Do what `fetch_json` does, with values by their names in the statement."""
    (value,) = connection.execute(statement, values).fetchone()
    return orjson.loads(value)


def json_list(values: Iterable[object]) -> str:
    """Return values as a JSON array, which statements read with ``json_each``."""
    return orjson.dumps(list(values)).decode()


def with_positions(text: str, fields: Mapping[str, tuple[str, ...]]) -> str:
    """Replace the names of a change's fields in triggers by their positions in the JSON array.

    ``fields`` are the names of the fields that follow kind and id, by the kind of change.
    """
    triggers = re.split(r"(?=CREATE TEMP TRIGGER)", text)
    return "".join(_trigger_with_positions(trigger, fields) for trigger in triggers)


def _trigger_with_positions(trigger: str, fields: Mapping[str, tuple[str, ...]]) -> str:
    kind = re.search(r"new\.kind (?:=|IN) \(?'(\w+)'", trigger)
    if kind is None:
        return trigger
    names = fields[kind[1]]
    return re.sub(
        r"(new\.fields ->> )'(\w+)'", lambda name: f"{name[1]}{2 + names.index(name[2])}", trigger
    )
