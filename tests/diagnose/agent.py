"""What a Datadog Agent makes of DogStatsD lines: one point of each series for every 10 seconds.

A bucket of 10 seconds is a point with the time of its begin, and can be read from its end on.
Counts are summed, and sent as 0 for 300 seconds after the last sample
(``dogstatsd_expiry_seconds``). A gauge is the last value of its bucket. Distributions keep their
samples with the weight of their rate; events and service checks keep their time. An agent that
dies forgets what it has of the bucket, and sends no zeros until it has got a count again.

Left out: the sums of several hosts, sets, histograms and timers (a line of these raises), the
approximation of percentiles by sketches, host tags, the time that the intake takes, and the Agent's
limits on the length of names and tags.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

BUCKET = 10
"""Seconds of one bucket."""
EXPIRY = 300
"""How long a count is sent as 0 after its last sample, in seconds."""
KINDS = frozenset("cgd")
_EVENT = re.compile(r"_e\{(\d+),(\d+)\}:(.*)", re.DOTALL)

Tags = frozenset[str]


@dataclass(frozen=True)
class Sample:
    """One value of a metric that arrived at ``time``; ``rate`` is the share that was sent."""

    time: float
    name: str
    value: float
    kind: str
    tags: Tags
    rate: float = 1.0


@dataclass(frozen=True)
class Check:
    """One service check; 0 is OK, 1 a warning, 2 critical, 3 unknown."""

    time: float
    name: str
    status: int
    tags: Tags
    message: str = ""


@dataclass(frozen=True)
class Note:
    """One Datadog event."""

    time: float
    title: str
    text: str
    tags: Tags
    alert: str = "info"


@dataclass(eq=False)
class Series:
    """One series: its points by the begin of their bucket.

    A point of a distribution is a list of pairs of value and weight.
    """

    name: str
    kind: str
    tags: Tags
    points: dict[int, float] = field(default_factory=dict)
    samples: dict[int, list[tuple[float, float]]] = field(default_factory=dict)

    @cached_property
    def first(self) -> int:
        """The begin of the first bucket, once all points are there."""
        return min(self.samples or self.points)

    def tag(self, name: str) -> str | None:
        """The value of a tag; None if it has none."""
        return self._values.get(name)

    @cached_property
    def _values(self) -> Mapping[str, str]:
        """The value of each tag that has one."""
        pairs = (tag.partition(":") for tag in self.tags)
        return {name: value for name, colon, value in pairs if colon}


@dataclass
class Store:
    """What Datadog has after a while: series, service checks and events."""

    series: list[Series]
    checks: list[Check] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    _cache: dict[object, Any] = field(default_factory=dict)

    def cached(self, key: object, make: Callable[[], Any]) -> Any:
        """What ``make`` returned the first time for this key; a store does not change."""
        if key not in self._cache:
            self._cache[key] = make()
        return self._cache[key]

    def named(self, name: str) -> list[Series]:
        """All series of a metric."""
        return [one for one in self.series if one.name == name]


Line = tuple[float, str]
"""The time at which a line arrived, and the line."""


def parse(time: float, line: str) -> Iterator[Sample | Check | Note]:
    """Read one line of DogStatsD (protocol 1.0 to 1.3).

    Raises:
        ValueError: it is not a line of DogStatsD, or of a kind that is left out.

    """
    if line.startswith("_e{"):
        yield _note(time, line)
    elif line.startswith("_sc|"):
        _, name, status, *rest = line.split("|")
        said = next((part[2:] for part in rest if part.startswith("m:")), "")
        yield Check(time, name, int(status), _tags(rest), said)
    else:
        head, kind, *rest = line.split("|")
        name, *values = head.split(":")
        if kind not in KINDS or not values:
            raise ValueError(f"not a count, gauge or distribution: {line!r}")
        rate = next((float(part[1:]) for part in rest if part.startswith("@")), 1.0)
        stamp = next((float(part[1:]) for part in rest if part.startswith("T")), time)
        for value in values:
            yield Sample(stamp, name, float(value), kind, _tags(rest), rate)


def collect(
    lines: Iterable[Line], until: float, deaths: Sequence[tuple[float, float]] = ()
) -> Store:
    """Return what Datadog has of these lines at ``until``.

    ``deaths`` are times (begin, end) in which the agent was dead.
    """
    series: dict[tuple[str, str, Tags], Series] = {}
    store = Store([])
    for time, line in lines:
        if any(begin <= time < end for begin, end in deaths):
            continue
        for item in parse(time, line):
            _keep(item, store, series)
    for one in series.values():
        if one.kind == "c":
            _send_zeros(one, until, deaths)
    store.series = list(series.values())
    return store


def bucket(time: float) -> int:
    """The begin of the bucket that a time is in."""
    return math.floor(time / BUCKET) * BUCKET


def _keep(item: Sample | Check | Note, store: Store, series: dict) -> None:
    match item:
        case Check():
            store.checks.append(item)
        case Note():
            store.notes.append(item)
        case Sample():
            key = (item.name, item.kind, item.tags)
            _add(series.setdefault(key, Series(*key)), item)


def _add(series: Series, sample: Sample) -> None:
    begin = bucket(sample.time)
    if sample.kind == "d":
        series.samples.setdefault(begin, []).append((sample.value, 1 / sample.rate))
    elif sample.kind == "c":
        series.points[begin] = series.points.get(begin, 0.0) + sample.value / sample.rate
    else:
        series.points[begin] = sample.value


def _send_zeros(series: Series, until: float, deaths: Sequence[tuple[float, float]]) -> None:
    sampled = sorted(series.points)
    for last, following in zip(sampled, [*sampled[1:], bucket(until) + BUCKET], strict=True):
        for begin in range(last + BUCKET, min(following, last + EXPIRY + 1), BUCKET):
            if any(last <= dead < begin + BUCKET for dead, _ in deaths):
                break
            series.points[begin] = 0.0


def _note(time: float, line: str) -> Note:
    matched = _EVENT.fullmatch(line)
    if matched is None:
        raise ValueError(f"not an event: {line!r}")
    title, text, rest = int(matched[1]), int(matched[2]), matched[3].encode()
    fields = rest[title + 1 + text :].decode().split("|")
    alert = next((part[2:] for part in fields if part.startswith("t:")), "info")
    said = rest[title + 1 : title + 1 + text].decode().replace("\\n", "\n")
    return Note(time, rest[:title].decode(), said, _tags(fields), alert)


def _tags(fields: Iterable[str]) -> Tags:
    return _split(next((field for field in fields if field.startswith("#")), ""))


@lru_cache(maxsize=4096)
def _split(field: str) -> Tags:
    return frozenset(field[1:].split(",")) if field else frozenset()


def lines_of(datagrams: Iterable[tuple[float, bytes]]) -> list[Line]:
    """The lines of datagrams with their times."""
    return [(t, line) for t, data in datagrams for line in data.decode().split("\n") if line]


def totals(lines: Iterable[Line], name: str) -> Mapping[Tags, float]:
    """The sum of every series of a count, over all time."""
    sums: dict[Tags, float] = {}
    for time, line in lines:
        for item in parse(time, line):
            if isinstance(item, Sample) and item.name == name and item.kind == "c":
                sums[item.tags] = sums.get(item.tags, 0.0) + item.value / item.rate
    return sums
