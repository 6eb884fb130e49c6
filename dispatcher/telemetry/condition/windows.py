"""Sums of counts over the last seconds, at one step for each evaluation."""

from collections import Counter, deque
from collections.abc import Mapping


class RollingSums:
    """Sums of counts in the last ``seconds``.

    What is counted since the last evaluation is added at once by `push`: counting needs no clock.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._slices: deque[tuple[float, Counter[str]]] = deque()
        self._sums: Counter[str] = Counter()

    def push(self, counts: Mapping[str, int], now: float) -> None:
        """Add counts of the time up to ``now``; forget those that are too old."""
        added = Counter({name: count for name, count in counts.items() if count})
        if added:
            self._slices.append((now, added))
            self._sums.update(added)
        while self._slices and now - self._slices[0][0] >= self._seconds:
            _, old = self._slices.popleft()
            self._sums.subtract(old)

    def clear(self) -> None:
        """Forget everything."""
        self._slices.clear()
        self._sums.clear()

    def __getitem__(self, name: str) -> int:
        return self._sums[name]

    def under(self, prefix: str) -> dict[str, int]:
        """Return the sums above 0 of names that begin with ``prefix``, without it."""
        found = self._sums.items()
        return {n[len(prefix) :]: c for n, c in found if c > 0 and n.startswith(prefix)}
