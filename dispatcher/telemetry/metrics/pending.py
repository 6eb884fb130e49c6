"""Metrics that have not left yet: in bounded memory, however long the agent is away."""

from collections import defaultdict, deque
from dataclasses import dataclass, field
from threading import Lock

from dispatcher.telemetry.metrics.catalog import Key, format_tags
from dispatcher.telemetry.metrics.samples import Choice, Samples

MOST_SAMPLES = 256
"""Samples of one distribution that leave in one flush. Of more a random choice is kept, and sent
with its rate, so that counts and percentiles stay true."""

MOST_EVENTS = 64
"""Events that wait for the agent; of more the oldest are given up."""

DROPPED: Key = ("statsd.dropped",)
"""The count of what was given up."""


@dataclass(slots=True)
class MetricBatch:
    """Metrics of one flush, or of one packet of it."""

    counts: dict[Key, int] = field(default_factory=dict)
    gauges: dict[Key, float] = field(default_factory=dict)
    samples: dict[Key, Choice] = field(default_factory=dict)
    checks: dict[str, str] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)

    def add_count(self, key: Key, value: int) -> None:
        """Add a count."""
        self.counts[key] = value

    def add_gauge(self, key: Key, value: float) -> None:
        """Add a gauge."""
        self.gauges[key] = value

    def add_sample(self, key: Key, value: float, weight: float) -> None:
        """Add a value of a distribution that represents ``weight`` samples."""
        choice = self.samples.get(key)
        if choice is None:  # `setdefault` would make one for every value
            choice = self.samples[key] = Choice()
        choice.values.append(value)
        choice.total += weight

    def add_check(self, name: str, line: str) -> None:
        """Add a service check, as a line of the protocol."""
        self.checks[name] = line

    def add_event(self, line: str) -> None:
        """Add an event, as a line of the protocol."""
        self.events.append(line)

    @property
    def lines(self) -> int:
        """How many lines they are on the wire."""
        values = sum(len(choice.values) for choice in self.samples.values())
        single = len(self.counts) + len(self.gauges) + len(self.checks) + len(self.events)
        return single + values


class Pending:
    """Collects metrics by series. Every method may be called from any thread.

    What was taken and not delivered is put back: counts are added up, samples are chosen from at
    random, and of a gauge and of a service check the last value counts. A value that a newer one
    replaces before the agent had it, and an event too many, are given up, and counted as dropped.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: defaultdict[Key, int] = defaultdict(int)
        self._gauges: dict[Key, float] = {}
        self._checks: dict[str, str] = {}
        self._events: deque[str] = deque()
        self._late: set[Key | str] = set()
        self._dropped = 0
        self._samples = Samples(MOST_SAMPLES)
        self.sample = self._samples.add

    def count(self, key: Key, value: int = 1) -> None:
        """Add to a count.

        Raises:
            KeyError: there is no such metric.

        """
        with self._lock:
            if key not in self._counts:
                format_tags(key)  # raises KeyError here and not in the flush
            self._counts[key] += value

    def gauge(self, key: Key, value: float) -> None:
        """Set a gauge.

        Raises:
            KeyError: there is no such metric.

        """
        format_tags(key)
        with self._lock:
            self._gauges[key] = value
            self._replace(key)

    def check(self, name: str, line: str) -> None:
        """Set a service check, as a line of the protocol."""
        with self._lock:
            self._checks[name] = line
            self._replace(name)

    def event(self, line: str) -> None:
        """Add an event, as a line of the protocol."""
        with self._lock:
            self._events.append(line)
            self._bound_events()

    def take(self) -> MetricBatch:
        """Return everything, and forget it."""
        with self._lock:
            counts, self._counts = self._counts, defaultdict(int)
            gauges, self._gauges = self._gauges, {}
            checks, self._checks = self._checks, {}
            events, self._events = list(self._events), deque()
            self._late.clear()
        return MetricBatch(counts, gauges, self._samples.take(), checks, events)

    def put_back(self, batch: MetricBatch) -> None:
        """Keep what was taken and not delivered."""
        with self._lock:
            for key, value in batch.counts.items():
                self._counts[key] += value
            newer: set[Key | str] = {*self._gauges, *self._checks}
            undelivered: set[Key | str] = {*batch.gauges, *batch.checks}
            self._drop(len(newer & undelivered))
            self._late |= undelivered - newer
            self._gauges = {**batch.gauges, **self._gauges}
            self._checks = {**batch.checks, **self._checks}
            self._events.extendleft(reversed(batch.events))
            self._bound_events()
        for key, choice in batch.samples.items():
            self._samples.put_back(key, choice)

    def drop(self, number: int) -> None:
        """Count so many values or events as given up."""
        with self._lock:
            self._drop(number)

    def take_dropped(self) -> int:
        """Return how many values and events were given up since the last call."""
        with self._lock:
            dropped, self._dropped = self._dropped, 0
        return dropped

    def _bound_events(self) -> None:
        while len(self._events) > MOST_EVENTS:
            self._events.popleft()
            self._drop(1)

    def _replace(self, key: Key | str) -> None:
        if key in self._late:
            self._late.remove(key)
            self._drop(1)

    def _drop(self, number: int) -> None:
        if number:
            self._counts[DROPPED] += number
            self._dropped += number
