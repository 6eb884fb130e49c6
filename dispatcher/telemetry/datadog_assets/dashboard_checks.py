"""Checks of the dashboard: its form, its queries, and that no metric is missing."""

from collections.abc import Iterator
from typing import Any

from dispatcher.telemetry.datadog_assets.metric_checks import query_mistakes
from dispatcher.telemetry.datadog_assets.mistakes import AssetMistake
from dispatcher.telemetry.datadog_assets.official_models import DASHBOARD, model_mistakes
from dispatcher.telemetry.datadog_assets.queries import MetricQuery, metric_queries
from dispatcher.telemetry.datadog_assets.variables import NAMES, used_variables
from dispatcher.telemetry.metrics.catalog import METRICS, PREFIX

FILE = "dashboard.json"


def dashboard_findings(dashboard: Any) -> Iterator[AssetMistake]:
    """Yield what is wrong with the dashboard."""
    if not isinstance(dashboard, dict):
        yield AssetMistake(FILE, "", "it must be an object")
        return
    for place, what in model_mistakes(DASHBOARD, dashboard):
        yield AssetMistake(FILE, place, what)
    for variable in sorted({*used_variables(dashboard)} - {*NAMES}):
        yield AssetMistake(
            FILE, "", f"${{{variable}}} is not a variable; there are: {', '.join(NAMES)}"
        )
    queries = [*dashboard_queries(dashboard)]
    yield from _query_findings(queries)
    yield from _variable_findings(dashboard, queries)
    shown = {query.metric for _, query in queries}
    for name in METRICS:
        if f"{PREFIX}.{name}" not in shown:
            yield AssetMistake(FILE, "", f'no widget shows the metric "{PREFIX}.{name}"')


def dashboard_queries(value: Any, title: str = "") -> Iterator[tuple[str, MetricQuery]]:
    """Yield the metrics of all queries, each with the title of its widget."""
    if isinstance(value, dict):
        title = str(value.get("title", title))
        if value.get("data_source") == "metrics":
            for query in metric_queries(str(value.get("query", ""))):
                yield title, query
        for inner in value.values():
            yield from dashboard_queries(inner, title)
    elif isinstance(value, list):
        for inner in value:
            yield from dashboard_queries(inner, title)


def _query_findings(queries: list[tuple[str, MetricQuery]]) -> Iterator[AssetMistake]:
    for title, query in queries:
        for what in query_mistakes(query):
            yield AssetMistake(FILE, f'widget "{title}"', what)


def _variable_findings(
    dashboard: dict[str, Any], queries: list[tuple[str, MetricQuery]]
) -> Iterator[AssetMistake]:
    listed = dashboard.get("template_variables")
    variables = [
        item for item in (listed if isinstance(listed, list) else ()) if isinstance(item, dict)
    ]
    declared = {f"${variable.get('name')}" for variable in variables}
    for title, query in queries:
        for part in query.filters:
            if part.startswith("$") and part not in declared:
                yield AssetMistake(FILE, f'widget "{title}"', f"{part} is not a template variable")
    used = {part for _, query in queries for part in query.filters}
    for variable in sorted(declared - used):
        yield AssetMistake(FILE, "template_variables", f"no query uses {variable}")
