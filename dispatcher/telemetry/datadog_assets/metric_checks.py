"""Checks of queries against the catalog of metrics."""

from collections.abc import Iterator

from dispatcher.domain.condition import Cause
from dispatcher.domain.errors import ExitCode
from dispatcher.telemetry.datadog_assets.queries import SPACE_AGGREGATORS, MetricQuery
from dispatcher.telemetry.metrics.catalog import (
    COUNTS,
    DISTRIBUTIONS,
    METRICS,
    PER_CLIENT,
    PREFIX,
)

CONSTANT_TAGS = frozenset({"campaign", "dialect", "env", "service", "version", "host"})
"""Tags that every series can have: those of the run, and the host of the Agent."""

CLOSED_TAGS = {
    "cause": frozenset(cause.value for cause in Cause),
    "code": frozenset(str(code.value) for code in ExitCode),
    "mode": frozenset({"daemon", "once"}),
}
"""Tags whose values are a closed list."""


def query_mistakes(query: MetricQuery) -> Iterator[str]:
    """Yield what is wrong with one metric of a query."""
    name = query.metric.removeprefix(f"{PREFIX}.")
    if name not in METRICS or name == query.metric:
        yield f'the metric "{query.metric}" is not in the catalog'
        return
    yield from _aggregation_mistakes(query, name)
    permitted = {*CONSTANT_TAGS, *METRICS[name], *({"client"} if name in PER_CLIENT else ())}
    for tag in sorted(query.tags - permitted):
        yield f'the metric "{query.metric}" has no tag "{tag}"'
    yield from _value_mistakes(query)


def _aggregation_mistakes(query: MetricQuery, name: str) -> Iterator[str]:
    if query.aggregator not in SPACE_AGGREGATORS:
        yield f'the aggregator "{query.aggregator}" does not exist'
    if query.as_count and name not in COUNTS:
        yield f'as_count() is for counts, and "{query.metric}" is none'
    if name in COUNTS and not query.as_count:
        yield f'"{query.metric}" is a count: without .as_count() its values are rates'
    if query.aggregator.startswith("p") and name not in DISTRIBUTIONS:
        yield f'percentiles are for distributions, and "{query.metric}" is none'


def _value_mistakes(query: MetricQuery) -> Iterator[str]:
    for part in query.filters:
        tag, _, value = part.lstrip("!").partition(":")
        if tag in CLOSED_TAGS and value not in CLOSED_TAGS[tag] and "*" not in value:
            yield f'the tag "{tag}" has no value "{value}"'
