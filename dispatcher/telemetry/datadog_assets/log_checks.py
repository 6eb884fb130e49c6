"""The log pipeline as Datadog's API takes it; checks of it, of saved views and service checks."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from dispatcher.telemetry.datadog_assets.bundle import PIPELINE, SERVICE_CHECKS
from dispatcher.telemetry.datadog_assets.mistakes import AssetMistake
from dispatcher.telemetry.datadog_assets.official_models import LOGS_PIPELINE, model_mistakes

_CHECK = {"check": "dispatcher.can_send", "statuses": ["ok", "warning", "critical"]}
_VIEW_FIELDS = frozenset(
    {"name", "type", "page", "query", "timerange", "visible_facets", "options"}
)
_CAPITAL = re.compile(r"(?<=[a-z])[A-Z]")


def pipeline_payload(pipeline: Any) -> dict[str, Any]:
    """Return the pipeline of an integration's file in the form of the API.

    The file has ``enabled`` and camel case, the API ``is_enabled`` and underscores.
    """
    payload: dict[str, Any] = _convert(pipeline["pipeline"])
    payload.pop("type", None)
    return payload


def _convert(value: Any) -> Any:
    if isinstance(value, dict):
        return {_rename(key): _convert(inner) for key, inner in value.items()}
    return [_convert(inner) for inner in value] if isinstance(value, list) else value


def _rename(key: str) -> str:
    return (
        "is_enabled"
        if key == "enabled"
        else _CAPITAL.sub(lambda found: f"_{found[0]}", key).lower()
    )


def pipeline_findings(pipeline: Any) -> Iterator[AssetMistake]:
    """Yield what is wrong with the log pipeline."""
    if not isinstance(pipeline, dict) or not isinstance(pipeline.get("pipeline"), dict):
        yield AssetMistake(PIPELINE, "", 'it needs an object "pipeline"')
        return
    for place, what in model_mistakes(LOGS_PIPELINE, pipeline_payload(pipeline)):
        yield AssetMistake(PIPELINE, f"pipeline.{place}", what)


def saved_view_findings(views: Mapping[str, Any]) -> Iterator[AssetMistake]:
    """Yield what is wrong with the saved views."""
    for name, view in views.items():
        fields = view.keys() if isinstance(view, dict) else set()
        for field in sorted(_VIEW_FIELDS ^ fields):
            what = "the field is not known" if field in fields else "the field is missing"
            yield AssetMistake(f"assets/saved_views/{name}.json", field, what)


def service_check_findings(checks: Any) -> Iterator[AssetMistake]:
    """Yield what is wrong with the list of service checks."""
    found = (
        [check for check in checks if isinstance(check, dict)] if isinstance(checks, list) else []
    )
    if [{field: check.get(field) for field in _CHECK} for check in found] != [_CHECK]:
        yield AssetMistake(SERVICE_CHECKS, "", f"it must describe the one service check: {_CHECK}")
