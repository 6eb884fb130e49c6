"""A details query of the dialect ``genesys``: interval, filters, page."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

CONVERSATION_DIMENSIONS = ("conversationId", "externalTag", "originatingDirection", "divisionId")
SEGMENT_DIMENSIONS = (
    "externalContactId",
    "messageType",
    "direction",
    "mediaType",
    "purpose",
    "addressFrom",
    "addressTo",
)
MAX_PAGE = 100
"""Conversations on one page."""
_OPERATORS = ("matches", "exists", "notExists")

AnalyticsRow = Mapping[str, Any]
"""The dimensions of one conversation, or of one session in it."""


class QueryError(ValueError):
    """The query is wrong; the text says how."""


class Predicate(NamedTuple):
    """One condition."""

    dimension: str
    operator: str
    value: object

    def holds(self, row: AnalyticsRow) -> bool:
        """Return whether a row meets it."""
        value = row.get(self.dimension)
        if self.operator == "matches":
            return value is not None and value == self.value
        return (value is not None) is (self.operator == "exists")


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions that must all hold (``every``), or of which at least one must."""

    every: bool
    predicates: tuple[Predicate, ...]
    clauses: tuple["Filter", ...] = ()

    def holds(self, row: AnalyticsRow) -> bool:
        """Return whether a row passes."""
        results = [predicate.holds(row) for predicate in self.predicates]
        results += [clause.holds(row) for clause in self.clauses]
        return all(results) if self.every else any(results)

    def values(self, dimension: str) -> Iterator[str]:
        """Return the values that any condition compares a dimension with."""
        for predicate in self.predicates:
            if predicate.dimension == dimension and isinstance(predicate.value, str):
                yield predicate.value
        for clause in self.clauses:
            yield from clause.values(dimension)


class Query(NamedTuple):
    """A whole query; times in seconds since the epoch."""

    since: float
    until: float
    conversation: tuple[Filter, ...]
    segment: tuple[Filter, ...]
    size: int
    number: int
    newest_first: bool

    def values(self, dimension: str) -> list[str]:
        """Return the values that any filter compares a dimension with."""
        filters = (*self.conversation, *self.segment)
        return [value for condition in filters for value in condition.values(dimension)]


def read(body: Mapping[str, object]) -> Query:
    """Read a query's body.

    Raises:
        QueryError: something in it is missing or wrong.

    """
    since, until = _interval(body.get("interval"))
    paging = body.get("paging")
    paging = paging if isinstance(paging, dict) else {}
    order = body.get("order", "asc")
    if order not in ("asc", "desc", "unordered"):
        raise QueryError(f"order {order!r} is not known")
    return Query(
        since,
        until,
        tuple(_filters(body.get("conversationFilters"), CONVERSATION_DIMENSIONS)),
        tuple(_filters(body.get("segmentFilters"), SEGMENT_DIMENSIONS)),
        _whole(paging.get("pageSize", 25), "pageSize", MAX_PAGE),
        _whole(paging.get("pageNumber", 1), "pageNumber", 1_000_000),
        order == "desc",
    )


def passes(filters: Sequence[Filter], rows: Iterable[AnalyticsRow]) -> bool:
    """Return whether each filter is passed by one row at least."""
    rows = list(rows)
    return all(any(map(condition.holds, rows)) for condition in filters)


def page_of(
    items: Sequence[AnalyticsRow], query: Query, key: Callable[[AnalyticsRow], str]
) -> list[AnalyticsRow]:
    """Return one page of what was found, in the order of the query."""
    ordered = sorted(items, key=key, reverse=query.newest_first)
    first = (query.number - 1) * query.size
    return ordered[first : first + query.size]


def _interval(value: object) -> tuple[float, float]:
    parts = value.split("/") if isinstance(value, str) else []
    try:
        since, until = (datetime.fromisoformat(part).timestamp() for part in parts)
    except (ValueError, OverflowError):
        raise QueryError("interval must be START/END, both as in ISO 8601") from None
    if until <= since:
        raise QueryError("interval ends before it starts")
    return since, until


def _filters(value: object, dimensions: tuple[str, ...]) -> Iterator[Filter]:
    if value is None:
        return
    if not isinstance(value, list):
        raise QueryError("filters must be a list")
    for item in value:
        yield _filter(item, dimensions)


def _filter(value: object, dimensions: tuple[str, ...]) -> Filter:
    if not isinstance(value, dict) or value.get("type") not in ("and", "or"):
        raise QueryError("a filter needs the type and or or")
    predicates = value.get("predicates") or []
    clauses = value.get("clauses") or []
    if not isinstance(predicates, list) or not isinstance(clauses, list):
        raise QueryError("predicates and clauses must be lists")
    if not predicates and not clauses:
        raise QueryError("a filter needs predicates")
    return Filter(
        value["type"] == "and",
        tuple(_predicate(item, dimensions) for item in predicates),
        tuple(_filter(item, dimensions) for item in clauses),
    )


def _predicate(value: object, dimensions: tuple[str, ...]) -> Predicate:
    if not isinstance(value, dict) or value.get("type", "dimension") != "dimension":
        raise QueryError("a predicate must have the type dimension")
    dimension, operator = value.get("dimension"), value.get("operator", "matches")
    if dimension not in dimensions:
        raise QueryError(f"dimension {dimension!r} is not known here")
    if operator not in _OPERATORS:
        raise QueryError(f"operator {operator!r} is not known")
    return Predicate(str(dimension), operator, value.get("value"))


def _whole(value: object, name: str, most: int) -> int:
    if type(value) is not int or not 1 <= value <= most:
        raise QueryError(f"{name} must be from 1 to {most}")
    return value
