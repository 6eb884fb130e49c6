"""Everything whose name users rely on, as one JSON document.

``python -m tests.support.user_surface`` prints it; ``user_surface.json`` beside this file is the
version that the test compares with. A change there is a change for users, and CHANGELOG.md has it.
"""

import ast
import asyncio
import importlib
import json
import pkgutil
import re
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from types import ModuleType
from typing import Any

import click
from pydantic import BaseModel

import dispatcher
from dispatcher.cli import cli
from dispatcher.settings import Settings

SAVED = Path(__file__).with_suffix(".json")
_LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
_LOGGERS = ("dispatcher.", "datadog.")
_EVENT = re.compile(r"[a-z]+(_[a-z]+)*\.[a-z_]+")


def surface() -> dict[str, Any]:
    """Return the names of metrics, log events, settings, commands, exit codes and the schema."""
    return {
        "commands": dict(_commands(cli, "dispatcher")),
        "exit codes": {code.name: int(code) for code in _find(IntEnum, "Exit")},
        "log events": sorted(
            name for name in set(_log_events()) - _metric_names() if not name.startswith(_LOGGERS)
        ),
        "metrics": _metrics(),
        "schema": _schema(),
        "settings": dict(_settings(Settings, "")),
    }


def saved() -> dict[str, Any]:
    """Return the surface that the last release had."""
    return json.loads(SAVED.read_text("utf-8"))


def _modules() -> Iterator[ModuleType]:
    for module in pkgutil.walk_packages(dispatcher.__path__, "dispatcher."):
        if not module.name.endswith("__main__"):
            yield importlib.import_module(module.name)


def _find(kind: type, prefix: str) -> Any:
    """Return the first public class of a kind that the package defines."""
    for module in _modules():
        for name, value in vars(module).items():
            if isinstance(value, type) and issubclass(value, kind) and name.startswith(prefix):
                return value
    raise LookupError(prefix)


def _commands(
    command: click.Command, name: str, parent: click.Context | None = None
) -> Iterator[tuple[str, list[Any]]]:
    context = click.Context(command, info_name=name, parent=parent, **command.context_settings)
    yield name, [_parameter(parameter) for parameter in command.get_params(context)]
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            assert found is not None
            yield from _commands(found, f"{name} {child}", context)


def _parameter(parameter: click.Parameter) -> dict[str, Any]:
    known = parameter.to_info_dict()
    shown = (
        "opts",
        "secondary_opts",
        "required",
        "multiple",
        "nargs",
        "envvar",
        "is_flag",
        "hidden",
    )
    values = {key: known.get(key) for key in shown}
    type_ = known["type"]
    name = "text" if type_["param_type"] == "Func" else type_["name"]  # a function's own name
    values["type"] = type_.get("choices") or name
    values["default"] = None if callable(known.get("default")) else repr(known.get("default"))
    return values


def _settings(model: type[BaseModel], path: str) -> Iterator[tuple[str, str]]:
    """Yield each key with its default; ``[]`` follows the name of a list of tables."""
    for name, field in model.model_fields.items():
        inner = _models(field.annotation)
        for table in inner:
            many = (
                "[]" if "tuple" in str(field.annotation) or "list" in str(field.annotation) else ""
            )
            yield from _settings(table, f"{path}{name}{many}.")
        if not inner:
            yield f"{path}{name}", repr(field.get_default(call_default_factory=False))


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    inner = getattr(annotation, "__args__", ())
    return [model for argument in inner for model in _models(argument)]


def _metrics() -> dict[str, Any]:
    for module in _modules():
        if {"COUNTS", "DISTRIBUTIONS", "GAUGES", "PER_CLIENT"} <= vars(module).keys():
            tables = {
                name: dict(getattr(module, name)) for name in ("COUNTS", "DISTRIBUTIONS", "GAUGES")
            }
            zeros = sorted(" ".join(map(str, key)) for key in module.zero_counts())
            return {
                "prefix": module.PREFIX,
                **{name.lower(): tables[name] for name in tables},
                "tagged by client": sorted(module.PER_CLIENT),
                "sent as 0": zeros,
                "halts": sorted(" ".join(map(str, key)) for key in module.halt_gauges()),
            }
    raise LookupError("the catalogue of metrics")


def _metric_names() -> set[str]:
    metrics = _metrics()
    return {name for table in ("counts", "distributions", "gauges") for name in metrics[table]}


def _log_events() -> Iterator[str]:
    """Yield the events that are logged: the names with a dot that a method of a logger is given.

    The name may be chosen first and kept in a variable, so that in a module which logs all such
    texts count.
    """
    root = Path(dispatcher.__path__[0])
    for path in root.rglob("*.py"):
        tree = ast.parse(path.read_bytes())
        nodes = list(ast.walk(tree))
        if any(_is_log_call(node) for node in nodes):
            texts = [node.value for node in nodes if isinstance(node, ast.Constant)]
            for value in texts:
                if isinstance(value, str) and _EVENT.fullmatch(value):
                    yield value


def _is_log_call(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in _LOG_METHODS
    )


def _schema() -> list[list[str | None]]:
    """Return what a new ledger's file has, in the order of its names."""
    ledger = _find(object, "SqliteLedger")

    async def make(path: Path) -> None:
        await (await ledger.open(path, "campaign")).close()

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        asyncio.run(make(path))
        with sqlite3.connect(path) as connection:
            rows = connection.execute(
                "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
            ).fetchall()
        connection.close()
    return [[kind, name, table, sql and " ".join(sql.split())] for kind, name, table, sql in rows]


def text() -> str:
    """Return the surface as it is saved."""
    plain = json.dumps(surface(), indent=1, sort_keys=True, ensure_ascii=False, default=str)
    return plain + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
