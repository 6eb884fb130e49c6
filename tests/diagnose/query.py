"""The queries of metric monitors, evaluated over the series of `tests.diagnose.agent`.

The grammar is that of the shipped monitors:

    TIME(last_Nm):EXPRESSION OP NUMBER
    EXPRESSION: terms and numbers with + - * / and brackets, and default_zero(EXPRESSION)
    TERM: SPACE:metric{filter} by {tags}.as_count()

where TIME and SPACE are avg, sum, min, max (SPACE of a distribution also count and pN). A filter
has the forms ``a:b``, ``a:b*``, ``!a:b``, ``a IN (b,c)`` and ``a NOT IN (b,c)`` with commas or AND
between them. Everything else raises `UnsupportedError`.

Counts with ``as_count()`` are summed over the window before the arithmetic, as Datadog does it;
other expressions are calculated point by point. A division by 0 has no result, and neither has an
operation for a group that one of its sides lacks.

Left out: interpolation between points of gauges that are added up, rollups of windows above 4
hours, ``change``, ``.rollup()``, OR in filters.
"""

import fnmatch
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from tests.diagnose.agent import BUCKET, Series, Store

Group = tuple[tuple[str, str], ...]
"""The values of the tags that a query groups by, in their order."""
Values = dict[Group, float]
Points = dict[Group, dict[int, float]]

_HEAD = re.compile(
    r"(avg|sum|min|max)\(last_(\d+)([mhd])\):(.*?)\s*(>=|<=|==|!=|>|<)\s*(-?\d+(?:\.\d+)?)",
    re.DOTALL,
)
_TOKEN = re.compile(
    r"\s*(?:(?P<term>(?P<space>avg|sum|min|max|count|p\d+):(?P<metric>[\w.]+)\{(?P<filter>[^}]*)\}"
    r"(?:\s*by\s*\{(?P<by>[^}]*)\})?(?P<as_count>\.as_count\(\))?(?![\w.]))"
    r"|(?P<number>\d+(?:\.\d+)?)|(?P<zero>default_zero(?=\())|(?P<sign>[-+*/()]))"
)
_IN = re.compile(r"([\w.]+)\s+(NOT\s+)?IN\s*\(([^)]*)\)", re.IGNORECASE)
_PARTS = re.compile(r",(?![^(]*\))|\s+AND\s+", re.IGNORECASE)
_UNITS = {"m": 60, "h": 3600, "d": 86400}
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne,
    ">": operator.gt, "<": operator.lt,
}  # fmt: skip
_ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
}  # fmt: skip


class UnsupportedError(ValueError):
    """A query has a form that this evaluator leaves out."""


@dataclass(frozen=True)
class Filter:
    """Which series a term takes: every pair of a tag and its patterns must match, or must not."""

    wanted: tuple[tuple[str, tuple[str, ...], bool], ...]

    def takes(self, series: Series) -> bool:
        """Whether a series is one of these."""
        for tag, patterns, wanted in self.wanted:
            value = series.tag(tag)
            found = value is not None and any(fnmatch.fnmatchcase(value, p) for p in patterns)
            if found is not wanted:
                return False
        return True


@dataclass(frozen=True)
class Term:
    """One metric, filtered, grouped and added up over its series."""

    space: str
    metric: str
    filter: Filter
    by: tuple[str, ...]
    as_count: bool

    def points(self, data: "Data") -> Points:
        """The value of every group in each bucket."""
        found: Points = {}
        for group, members in data.groups(self).items():
            for begin in data.buckets:
                value = _over_series(self.space, members, begin)
                if value is not None:
                    found.setdefault(group, {})[begin] = value
        return found


@dataclass(frozen=True)
class Operation:
    """Arithmetic of two expressions; a number is a float."""

    sign: str
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True)
class DefaultZero:
    """An expression that is 0 where a group has no data."""

    inner: "Expression"


Expression = Term | Operation | DefaultZero | float


@dataclass(frozen=True)
class Query:
    """One query of a metric monitor."""

    text: str
    over_time: str
    window: int
    expression: Expression
    comparison: str
    limit: float

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        """The terms of the expression."""
        return tuple(_terms(self.expression))

    @property
    def counts(self) -> bool:
        """Whether all terms are counts, which are summed over the window first."""
        return all(term.as_count for term in self.terms)

    def compare(self, value: float, limit: float | None = None) -> bool:
        """Whether a value is beyond the limit, or beyond another one."""
        return _COMPARE[self.comparison](value, self.limit if limit is None else limit)

    def evaluate(self, store: Store, now: float) -> Values:
        """The value of every group that has one in the window that ends now."""
        data = Data(store, now - self.window, now)
        if self.counts:
            return _counted(self.expression, data, self.over_time)
        points = _pointwise(self.expression, data)
        return {group: _over_time(self.over_time, p.values()) for group, p in points.items() if p}


class Data:
    """The part of a store that a window sees."""

    def __init__(self, store: Store, start: float, end: float) -> None:
        self._store = store
        self._end = end
        first = int(-(-start // BUCKET)) * BUCKET
        self.buckets: Sequence[int] = range(first, int(end // BUCKET) * BUCKET, BUCKET)

    def groups(self, term: Term) -> dict[Group, list[Series]]:
        """The series of a term by group, as far as they have a point by now."""
        known = self._store.cached(term, lambda: _groups(self._store, term))
        return {
            group: members
            for group, series in known.items()
            if (members := [one for one in series if one.first + BUCKET <= self._end])
        }


def _groups(store: Store, term: Term) -> dict[Group, list[Series]]:
    """The series of a term by group; a series that lacks one of the tags has no group."""
    found: dict[Group, list[Series]] = {}
    for series in store.named(term.metric):
        values = [series.tag(tag) for tag in term.by]
        if None not in values and term.filter.takes(series):
            group = tuple(zip(term.by, map(str, values), strict=True))
            found.setdefault(group, []).append(series)
    return found


def parse_query(text: str) -> Query:
    """Read the query of a monitor.

    Raises:
        UnsupportedError: it has a form that is left out.

    """
    head = _HEAD.fullmatch(text.strip())
    if head is None:
        raise UnsupportedError(f"not a query that can be evaluated: {text}")
    over_time, number, unit, body, comparison, limit = head.groups()
    expression = _Parser(body, text).parse()
    window = int(number) * _UNITS[unit]
    return Query(text, over_time, window, expression, comparison, float(limit))


class _Parser:
    """A recursive descent over the tokens of an expression."""

    def __init__(self, body: str, whole: str) -> None:
        self._whole = whole
        self._tokens: list[re.Match[str]] = []
        place = 0
        while place < len(body.rstrip()):
            token = _TOKEN.match(body, place)
            if token is None:
                raise UnsupportedError(f"{body[place:]!r} in {whole}")
            self._tokens.append(token)
            place = token.end()

    def parse(self) -> Expression:
        expression = self._sum()
        if self._tokens:
            raise UnsupportedError(f"{self._tokens[0][0]!r} in {self._whole}")
        return expression

    def _sum(self) -> Expression:
        return self._chain("+-", lambda: self._chain("*/", self._atom))

    def _chain(self, signs: str, part: Callable[[], Expression]) -> Expression:
        left = part()
        while self._tokens and (self._tokens[0]["sign"] or "x") in signs:
            left = Operation(self._tokens.pop(0)["sign"], left, part())
        return left

    def _atom(self) -> Expression:
        if not self._tokens:
            raise UnsupportedError(f"something is missing in {self._whole}")
        token = self._tokens.pop(0)
        if token["number"]:
            return float(token["number"])
        if token["term"]:
            by = tuple(tag.strip() for tag in (token["by"] or "").split(",") if tag.strip())
            wanted = parse_filter(token["filter"])
            return Term(token["space"], token["metric"], wanted, by, bool(token["as_count"]))
        if token["zero"]:
            return DefaultZero(self._atom())
        if token["sign"] == "(":
            inner = self._sum()
            if self._tokens and self._tokens.pop(0)["sign"] == ")":
                return inner
        raise UnsupportedError(f"{token[0]!r} in {self._whole}")


def parse_filter(text: str) -> Filter:
    """Read what is between the braces of a term."""
    wanted = []
    for part in filter(None, map(str.strip, _PARTS.split(text))):
        listed = _IN.fullmatch(part)
        if listed:
            values = tuple(value.strip() for value in listed[3].split(","))
            wanted.append((listed[1], values, not listed[2]))
        elif part != "*":
            if re.search(r"\s|\(|\$", part):
                raise UnsupportedError(f"the filter {part!r}")
            name, colon, value = part.lstrip("!").partition(":")
            if not colon:
                raise UnsupportedError(f"the filter {part!r}")
            wanted.append((name, (value,), not part.startswith("!")))
    return Filter(tuple(wanted))


def _terms(expression: Expression) -> Iterable[Term]:
    match expression:
        case Term():
            yield expression
        case DefaultZero(inner):
            yield from _terms(inner)
        case Operation(_, left, right):
            yield from _terms(left)
            yield from _terms(right)


def _counted(expression: Expression, data: Data, over_time: str) -> Values:
    """Aggregate the counts over the window, then calculate."""
    match expression:
        case Term():
            points = expression.points(data)
            return {group: _over_time(over_time, p.values()) for group, p in points.items()}
        case DefaultZero(inner):
            known = {group: 0.0 for term in _terms(inner) for group in data.groups(term)}
            return known | _counted(inner, data, over_time)
        case Operation(sign, left, right):
            sides = (_counted(side, data, over_time) for side in (left, right))
            return _combine(sign, *sides)
        case float():
            return {(("number", ""),): expression}
    raise UnsupportedError(str(expression))


def _pointwise(expression: Expression, data: Data) -> Points:
    match expression:
        case Term():
            return expression.points(data)
        case DefaultZero(inner):
            known = {group for term in _terms(inner) for group in data.groups(term)}
            zeros = dict.fromkeys(data.buckets, 0.0)
            found = _pointwise(inner, data)
            return {group: zeros | found.get(group, {}) for group in known}
        case Operation(sign, left, right):
            sides = [_pointwise(side, data) for side in (left, right)]
            found: Points = {}
            for begin in data.buckets:
                there = ({g: p[begin] for g, p in side.items() if begin in p} for side in sides)
                for group, value in _combine(sign, *there).items():
                    found.setdefault(group, {})[begin] = value
            return found
        case float():
            return {(("number", ""),): dict.fromkeys(data.buckets, expression)}
    raise UnsupportedError(str(expression))


def _combine(sign: str, left: Values, right: Values) -> Values:
    """Calculate group by group; a number goes with every group."""
    number = (("number", ""),)
    if number in left and number not in right:
        left = dict.fromkeys(right, left[number])
    elif number in right and number not in left:
        right = dict.fromkeys(left, right[number])
    if left and right and {_names(g) for g in left} != {_names(g) for g in right}:
        raise UnsupportedError(f"arithmetic of terms that are grouped differently: {sign}")
    return {
        group: _ARITHMETIC[sign](value, right[group])
        for group, value in left.items()
        if group in right and not (sign == "/" and right[group] == 0)
    }


def _names(group: Group) -> tuple[str, ...]:
    return tuple(name for name, _ in group)


def _over_series(space: str, members: Iterable[Series], begin: int) -> float | None:
    """The value of one bucket over the series of a group; None without one."""
    samples = [pair for one in members for pair in one.samples.get(begin, ())]
    if samples:
        return _of_samples(space, samples)
    values = [one.points[begin] for one in members if begin in one.points]
    return _over_time(space, values) if values else None


def _of_samples(space: str, samples: Sequence[tuple[float, float]]) -> float:
    whole = sum(weight for _, weight in samples)
    if space == "count":
        return whole
    if space in ("avg", "sum"):
        total = sum(value * weight for value, weight in samples)
        return total / whole if space == "avg" else total
    ordered = sorted(samples)
    if space in ("min", "max"):
        return ordered[0 if space == "min" else -1][0]
    reached, wanted = 0.0, whole * int(space[1:]) / 100
    for value, weight in ordered:
        reached += weight
        if reached >= wanted:
            return value
    return ordered[-1][0]


def _over_time(how: str, values: Iterable[float]) -> float:
    found = list(values)
    match how:
        case "avg":
            return sum(found) / len(found)
        case "sum":
            return sum(found)
        case "min":
            return min(found)
        case "max":
            return max(found)
    raise UnsupportedError(f"{how} of values that are no samples")
