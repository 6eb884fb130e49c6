"""Metrics that have not left yet: in bounded memory, however long the agent is away."""

from collections import defaultdict, deque
from dataclasses import dataclass, field
from threading import Lock

from dispatcher.telemetry.metrics.catalog import Key, format_tags
from dispatcher.telemetry.metrics.samples import Choice, Samples

MOST_SAMPLES = 256
"""Samples of one distribution that leave in one flush. Of more a random choice is kept, and sent
with its rate, so that counts and percentiles stay true."""

MOST_MESSAGES = 64
"""Events and service checks that wait for the agent; of more the oldest are given up."""

DROPPED: Key = ("statsd.dropped",)
"""The count of what was given up."""


@dataclass(slots=True)
class MetricBatch:
    """Metrics of one flush, or of one packet of it."""

    counts: dict[Key, int] = field(default_factory=dict)
    gauges: dict[Key, float] = field(default_factory=dict)
    samples: dict[Key, Choice] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def add_count(self, key: Key, value: int) -> None:
        """Add a count."""
        self.counts[key] = value

    def add_gauge(self, key: Key, value: float) -> None:
        """Add a gauge."""
        self.gauges[key] = value

    def add_sample(self, key: Key, value: float, weight: float) -> None:
        """Add a value of a distribution that represents ``weight`` samples."""
        choice = self.samples.setdefault(key, Choice())
        choice.values.append(value)
        choice.total += weight

    def add_message(self, message: str) -> None:
        """Add an event or a service check."""
        self.messages.append(message)

    @property
    def lines(self) -> int:
        """How many lines they are on the wire."""
        values = sum(len(choice.values) for choice in self.samples.values())
        return len(self.counts) + len(self.gauges) + values + len(self.messages)

    def __bool__(self) -> bool:
        return bool(self.counts or self.gauges or self.samples or self.messages)


class Pending:
    """Collects metrics by series. Every method may be called from any thread.

    What was taken and not delivered is put back: counts are added up, samples are chosen from at
    random, and of a gauge the last value counts. A value of a gauge that a newer one replaces
    before the agent had it, and a message too many, are given up, and counted as dropped.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: defaultdict[Key, int] = defaultdict(int)
        self._gauges: dict[Key, float] = {}
        self._messages: deque[str] = deque()
        self._late: set[Key] = set()
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
            if key in self._late:
                self._late.remove(key)
                self._drop(1)

    def message(self, line: str) -> None:
        """Add an event or a service check, as a line of the protocol."""
        with self._lock:
            self._messages.append(line)
            self._bound_messages()

    def take(self) -> MetricBatch:
        """Return everything, and forget it."""
        with self._lock:
            counts, self._counts = self._counts, defaultdict(int)
            gauges, self._gauges = self._gauges, {}
            messages, self._messages = list(self._messages), deque()
            self._late.clear()
        return MetricBatch(counts, gauges, self._samples.take(), messages)

    def put_back(self, batch: MetricBatch) -> None:
        """Keep what was taken and not delivered."""
        with self._lock:
            for key, value in batch.counts.items():
                self._counts[key] += value
            replaced = self._gauges.keys() & batch.gauges.keys()
            self._drop(len(replaced))
            self._gauges = {**batch.gauges, **self._gauges}
            self._late |= batch.gauges.keys() - replaced
            self._messages.extendleft(reversed(batch.messages))
            self._bound_messages()
        for key, choice in batch.samples.items():
            self._samples.put_back(key, choice)

    def drop(self, number: int) -> None:
        """Count so many values or messages as given up."""
        with self._lock:
            self._drop(number)

    def take_dropped(self) -> int:
        """Return how many values and messages were given up since the last call."""
        with self._lock:
            dropped, self._dropped = self._dropped, 0
        return dropped

    def _bound_messages(self) -> None:
        while len(self._messages) > MOST_MESSAGES:
            self._messages.popleft()
            self._drop(1)

    def _drop(self, number: int) -> None:
        if number:
            self._counts[DROPPED] += number
            self._dropped += number
