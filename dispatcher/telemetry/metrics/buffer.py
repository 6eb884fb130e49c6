"""What was measured since the last flush, added up where it happens."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock

from dispatcher.telemetry.metrics.catalog import Key


@dataclass(slots=True)
class MetricBatch:
    """One flush's worth."""

    counts: dict[Key, int] = field(default_factory=dict)
    samples: dict[Key, list[float]] = field(default_factory=dict)
    gauges: dict[Key, float] = field(default_factory=dict)


class MetricBuffer:
    """Adds up between two flushes; a call costs a fraction of a microsecond.

    Every method may be called from any thread.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._now = MetricBatch()

    def count(self, key: Key, by: int = 1) -> None:
        """Add to a count."""
        with self._lock:
            counts = self._now.counts
            counts[key] = counts.get(key, 0) + by

    def sample(self, key: Key, value: float) -> None:
        """Add a sample to a distribution."""
        with self._lock:
            samples = self._now.samples.get(key)
            if samples is None:
                self._now.samples[key] = [value]
            else:
                samples.append(value)

    def gauge(self, gauges: Mapping[Key, float]) -> None:
        """Set gauges."""
        with self._lock:
            self._now.gauges.update(gauges)

    def take(self) -> MetricBatch:
        """Return everything since the last call."""
        with self._lock:
            taken, self._now = self._now, MetricBatch()
        return taken
