"""Samples of distributions that have not left yet, of which a random choice is kept."""

import random
from dataclasses import dataclass, field
from threading import Lock

from dispatcher.telemetry.metrics.catalog import Key, format_tags

DECIMALS = 3
"""Decimals of a sample when it is taken."""

MOST_ADDED = 4096
"""Samples of one distribution that wait for the next flush; of more a random choice is kept."""


@dataclass(slots=True)
class Choice:
    """``values``, chosen at random among ``total`` samples: each represents as many of them."""

    values: list[float] = field(default_factory=list)
    total: float = 0.0

    @property
    def rate(self) -> float:
        """The share of all samples that was chosen, above 0 and at most 1."""
        return min(len(self.values) / self.total, 1.0)


def merge(first: Choice, second: Choice, most: int) -> Choice:
    """Return up to ``most`` values of both, each of which represents as many samples as the others.

    The total is that of both, so that counts stay exact and percentiles unbiased.
    """
    total = first.total + second.total
    share = first.total / total
    size = min(most, len(first.values) / share, len(second.values) / (1 - share))
    size = max(int(size + 1e-9), 1)
    of_first = min(int(size * share + random.random()), len(first.values), size)  # noqa: S311 - a sample, not a secret
    of_second = min(size - of_first, len(second.values))
    chosen = [*random.sample(first.values, of_first), *random.sample(second.values, of_second)]
    return Choice(chosen, total)


class Samples:
    """Keeps samples until they are taken. Every method may be called from any thread.

    Nothing is chosen when a sample is added, unless the flush is late: the choice at the end takes
    less time. ``most`` is how many values of each distribution are taken at most.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = Lock()
        self._added: dict[Key, list[float]] = {}
        self._kept: dict[Key, Choice] = {}

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
            if len(values) >= MOST_ADDED:
                self._keep(key, self._choose(self._added.pop(key)))

    def put_back(self, key: Key, choice: Choice) -> None:
        """Keep values that were taken and not delivered."""
        with self._lock:
            self._keep(key, choice)

    def take(self) -> dict[Key, Choice]:
        """Return up to ``most`` values of each distribution, rounded, and forget them."""
        with self._lock:
            for key, values in self._added.items():
                self._keep(key, self._choose(values))
            kept, self._kept, self._added = self._kept, {}, {}
        return kept

    def _choose(self, values: list[float]) -> Choice:
        chosen = values if len(values) <= self._most else random.sample(values, self._most)
        return Choice([round(value, DECIMALS) for value in chosen], len(values))

    def _keep(self, key: Key, choice: Choice) -> None:
        before = self._kept.get(key)
        self._kept[key] = merge(before, choice, self._most) if before else choice
