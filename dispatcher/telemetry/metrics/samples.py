"""Samples of distributions between two flushes, of which a random choice leaves."""

import random
from collections.abc import Iterator, Sequence
from threading import Lock

from dispatcher.telemetry.metrics.catalog import Key, format_tags

DECIMALS = 3
"""Decimals of a sample when it is taken."""


class Samples:
    """Keeps samples until they are taken. Every method may be called from any thread.

    Nothing is chosen when a sample is added: the choice at the end takes less time.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._added: dict[Key, list[float]] = {}

    def add(self, key: Key, value: float) -> None:
        """Add a sample.

        Raises:
            KeyError: there is no such metric.

        """
        with self._lock:
            values = self._added.get(key)
            if values is None:
                format_tags(key)  # raises KeyError here and not in the flush
                values = self._added[key] = []
            values.append(value)

    def take(self, most: int) -> Iterator[tuple[Key, float, Sequence[float]]]:
        """Yield up to ``most`` samples of each distribution, and their share of all that came.

        They are forgotten then.
        """
        with self._lock:
            added, self._added = self._added, {}
        for key, values in added.items():
            chosen = values if len(values) <= most else random.sample(values, most)
            yield key, len(chosen) / len(values), [round(value, DECIMALS) for value in chosen]
