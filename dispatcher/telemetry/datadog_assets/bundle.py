"""The files of the assets, read from a folder."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import dispatcher
from dispatcher.domain.errors import DispatcherError, ExitCode
from dispatcher.telemetry.datadog_assets.libraries import import_datadog_library

FOLDER = Path(dispatcher.__file__).parent / "data" / "datadog"
"""The assets that are installed with the package."""

PIPELINE = "assets/logs/dispatcher.yaml"
METADATA = "metadata.csv"
DASHBOARD = "dashboard.json"
SERVICE_CHECKS = "assets/service_checks.json"

COLUMNS = (
    "metric_name",
    "metric_type",
    "interval",
    "unit_name",
    "per_unit_name",
    "description",
    "orientation",
    "integration",
    "short_name",
    "curated_metric",
    "sample_tags",
)
"""Columns of metadata.csv, as Datadog's integrations have them."""


class AssetsError(DispatcherError):
    """A file of the assets cannot be used. The message has the file and what is wrong."""

    exit_code: ClassVar[ExitCode] = ExitCode.USAGE


@dataclass(frozen=True, slots=True)
class Bundle:
    """All assets of a folder; values are the JSON of the files, with their variables."""

    folder: Path
    monitors: Mapping[str, Any]
    """By the name of the file without its suffix."""
    dashboard: Any
    metadata: Sequence[Mapping[str, str]]
    """The rows of metadata.csv."""
    percentiles: Mapping[str, Any]
    """Tag configurations of distributions, by the name of the metric."""
    pipeline: Any
    """The log pipeline, as in the file."""
    service_checks: Any
    saved_views: Mapping[str, Any]


def read_bundle(folder: Path = FOLDER) -> Bundle:
    """Read the assets of a folder.

    Raises:
        AssetsError: a file is missing, or is not JSON, YAML or CSV.

    """
    if not (folder / "monitors").is_dir():
        raise AssetsError(
            f"{folder} has no folder monitors: name the folder that has the assets, or leave it "
            "out for the installed ones"
        )
    return Bundle(
        folder=folder,
        monitors=_read_all(folder / "monitors"),
        dashboard=_read_json(folder / DASHBOARD),
        metadata=_read_csv(folder / METADATA),
        percentiles=_read_all(folder / "percentiles"),
        pipeline=_read_yaml(folder / PIPELINE),
        service_checks=_read_json(folder / SERVICE_CHECKS),
        saved_views=_read_all(folder / "assets" / "saved_views"),
    )


def _read_all(folder: Path) -> dict[str, Any]:
    return {file.name.removesuffix(".json"): _read_json(file) for file in _files(folder)}


def _files(folder: Path) -> list[Path]:
    files = sorted(folder.glob("*.json"))
    if not files:
        raise AssetsError(f"{folder} has no file that ends with .json: put the files back")
    return files


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except OSError as error:
        raise AssetsError(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise AssetsError(f"{file} is not UTF-8: save it in this encoding") from error


def _read_json(file: Path) -> Any:
    try:
        return json.loads(_text(file))
    except json.JSONDecodeError as error:
        raise AssetsError(f"{file}, line {error.lineno}: not JSON: {error.msg}") from error


def _read_yaml(file: Path) -> Any:
    yaml = import_datadog_library("yaml")
    try:
        return yaml.safe_load(_text(file))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{file}, line {mark.line + 1}" if mark else str(file)
        raise AssetsError(f"{where}: not YAML: {getattr(error, 'problem', None)}") from error


def _read_csv(file: Path) -> list[dict[str, str]]:
    reader = csv.DictReader(io.StringIO(_text(file)), restkey="", restval="")
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise AssetsError(f"{file}, line 1: the columns must be {','.join(COLUMNS)}")
    rows = list(reader)
    for number, row in enumerate(rows, 2):
        if "" in row:
            raise AssetsError(f"{file}, line {number}: more cells than columns; quote commas")
    return rows
