"""Checks of metadata.csv and of the percentiles against the catalog of metrics."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dispatcher.telemetry.datadog_assets.bundle import METADATA
from dispatcher.telemetry.datadog_assets.mistakes import AssetMistake
from dispatcher.telemetry.datadog_assets.official_models import (
    METRIC_METADATA,
    TAG_CONFIGURATION,
    model_mistakes,
)
from dispatcher.telemetry.metrics.catalog import COUNTS, DISTRIBUTIONS, METRICS, PREFIX

_LONGEST_DESCRIPTION = 400
_ORIENTATIONS = frozenset({"-1", "0", "1"})


def metric_type(name: str) -> str:
    """Return the type of a metric of the catalog, as metadata.csv has it.

    Datadog's format of the file knows no distributions: its own integrations list them as gauges,
    and its validation refuses another word.
    """
    return "count" if name in COUNTS else "gauge"


def metadata_payload(row: Mapping[str, str]) -> dict[str, str]:
    """Return what the API stores of a row of metadata.csv.

    The type is left out: it is the one of the values that arrived.
    """
    fields = {
        "description": row["description"],
        "short_name": row["short_name"],
        "unit": row["unit_name"],
        "per_unit": row["per_unit_name"],
    }
    return {name: value for name, value in fields.items() if value}


def metadata_findings(rows: Sequence[Mapping[str, str]]) -> Iterator[AssetMistake]:
    """Yield what is wrong with metadata.csv."""
    names = [row["metric_name"] for row in rows]
    for number, row in enumerate(rows, 2):
        for what in _row_mistakes(row):
            yield AssetMistake(METADATA, f"line {number}", what)
    if names != sorted(set(names)):
        yield AssetMistake(METADATA, "", "the lines must be sorted by metric_name, each name once")
    for name in METRICS:
        if f"{PREFIX}.{name}" not in names:
            yield AssetMistake(METADATA, "", f'the metric "{PREFIX}.{name}" is missing')


def _row_mistakes(row: Mapping[str, str]) -> Iterator[str]:
    name = row["metric_name"].removeprefix(f"{PREFIX}.")
    if name not in METRICS or name == row["metric_name"]:
        yield f'the metric "{row["metric_name"]}" is not in the catalog'
    elif row["metric_type"] != metric_type(name):
        yield f'the metric_type of "{row["metric_name"]}" must be {metric_type(name)}'
    if not 0 < len(row["description"]) <= _LONGEST_DESCRIPTION:
        yield f"the description must have from 1 to {_LONGEST_DESCRIPTION} characters"
    if row["orientation"] not in _ORIENTATIONS:
        yield "the orientation must be -1 (lower is better), 0 or 1"
    if row["per_unit_name"] and not row["unit_name"]:
        yield "a per_unit_name needs a unit_name"
    yield from (what for _, what in model_mistakes(METRIC_METADATA, metadata_payload(row)))


def percentile_findings(percentiles: Mapping[str, Any]) -> Iterator[AssetMistake]:
    """Yield what is wrong with the tag configurations of the distributions."""
    for name, payload in percentiles.items():
        file = f"percentiles/{name}.json"
        for place, what in model_mistakes(TAG_CONFIGURATION, payload):
            yield AssetMistake(file, place, what)
        data = payload.get("data") if isinstance(payload, dict) else None
        if not isinstance(data, dict) or data.get("id") != name:
            yield AssetMistake(file, "data.id", f'it must be "{name}", the name of the file')
        if name.removeprefix(f"{PREFIX}.") not in DISTRIBUTIONS:
            yield AssetMistake(file, "", "the catalog has no such distribution")
    for name in DISTRIBUTIONS:
        if f"{PREFIX}.{name}" not in percentiles:
            yield AssetMistake("percentiles", "", f'the distribution "{PREFIX}.{name}" is missing')
