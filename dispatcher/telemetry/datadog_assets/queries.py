"""Queries of metrics, as monitors and dashboards have them.

A monitor's query has the form ``AGGREGATOR(last_WINDOW):QUERY OPERATOR NUMBER``. Source: Datadog's
API reference, "Create a monitor", query types.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

TIME_AGGREGATORS = frozenset({"avg", "max", "min", "sum"})
SPACE_AGGREGATORS = frozenset(
    {"avg", "count", "max", "min", "sum", "p50", "p75", "p90", "p95", "p99"}
)

_METRIC = re.compile(
    r"(?P<aggregator>\w+):(?P<metric>[a-zA-Z][\w.]*)\{(?P<filters>[^}]*)\}"
    r"(?:\s*by\s*\{(?P<by>[^}]*)\})?(?P<functions>(?:\.\w+\([^)]*\))*)"
)
_MONITOR = re.compile(
    r"(?P<aggregator>\w+)\(last_(?P<window>\d+[mhdw])\):(?P<rest>.+?)\s*"
    r"(?P<operator>>=|<=|>|<|==|!=)\s*(?P<threshold>-?\d+(?:\.\d+)?)"
)


class MetricQueryError(ValueError):
    """A query does not have a form that is known here."""


@dataclass(frozen=True, slots=True)
class MetricQuery:
    """One metric of a query, with what it is filtered and grouped by."""

    aggregator: str
    metric: str
    filters: tuple[str, ...]
    by: tuple[str, ...]
    functions: str

    @property
    def as_count(self) -> bool:
        """Whether the values are counts and not rates."""
        return ".as_count()" in self.functions

    @property
    def tags(self) -> frozenset[str]:
        """The names of the tags that it is filtered or grouped by; ``$env`` is a filter by env."""
        filters = (part.lstrip("!$").partition(":")[0] for part in self.filters)
        return frozenset({*(name for name in filters if name != "*"), *self.by})


@dataclass(frozen=True, slots=True)
class MonitorQuery:
    """The query of a monitor."""

    aggregator: str
    window: str
    metrics: tuple[MetricQuery, ...]
    operator: str
    threshold: float


def metric_queries(text: str) -> Iterator[MetricQuery]:
    """Yield the metrics of a query, in their order."""
    for found in _METRIC.finditer(text):
        yield MetricQuery(
            aggregator=found["aggregator"],
            metric=found["metric"],
            filters=_split(found["filters"]),
            by=_split(found["by"] or ""),
            functions=found["functions"],
        )


def parse_monitor_query(text: str) -> MonitorQuery:
    """Return the parts of a monitor's query.

    Raises:
        MetricQueryError: the query has another form.

    """
    found = _MONITOR.fullmatch(text.strip())
    if found is None:
        raise MetricQueryError("the form is AGGREGATOR(last_WINDOW):QUERY OPERATOR NUMBER")
    metrics = tuple(metric_queries(found["rest"]))
    if not metrics:
        raise MetricQueryError("it has no AGGREGATOR:METRIC{FILTER}")
    if found["aggregator"] not in TIME_AGGREGATORS:
        raise MetricQueryError(f'the aggregator "{found["aggregator"]}" does not exist')
    return MonitorQuery(
        aggregator=found["aggregator"],
        window=found["window"],
        metrics=metrics,
        operator=found["operator"],
        threshold=float(found["threshold"]),
    )


def add_filter(text: str, tag: str) -> str:
    """Return the query with one more filter at each metric."""
    return _METRIC.sub(lambda found: _filtered(found, tag), text)


def _filtered(found: re.Match[str], tag: str) -> str:
    filters = [part for part in _split(found["filters"]) if part != "*"]
    begin, end = found.span("filters")
    start = found.start()
    whole = found[0]
    return f"{whole[: begin - start]}{','.join([*filters, tag])}{whole[end - start :]}"


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
