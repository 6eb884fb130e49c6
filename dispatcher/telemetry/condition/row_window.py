"""Counts the rows of a source, and the rejected ones by reason."""

from collections import Counter, deque

from dispatcher.domain.condition_facts import RowCounts
from dispatcher.domain.events import RowsRead

LEAST_ROWS = 20
"""So many of the last rows are counted however old they are: a stream may have a row a minute."""


class RowWindow:
    """The rows of the ``seconds`` up to the last row of a source, and at least the last few.

    A source that has nothing more does not become good by that: the counts stay until it has rows.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._parts: deque[tuple[float, Counter[str]]] = deque()
        self._sums: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._details: dict[str, str] = {}

    def add(self, event: RowsRead) -> None:
        """Count the rows of a batch."""
        self._counts["read"] += event.rows
        self._counts["rejected"] += event.rejected
        for row in event.bad_rows:
            self._counts[f"reason.{row.reason}"] += 1
            self._details[row.reason] = row.detail

    def facts(self, now: float) -> RowCounts:
        """Return the counts at a moment of the clock."""
        if self._counts["read"]:
            self._push(now)
        reasons = {
            name.removeprefix("reason."): count
            for name, count in self._sums.items()
            if count > 0 and name.startswith("reason.")
        }
        details = {reason: self._details[reason] for reason in reasons}
        return RowCounts(self._sums["read"], self._sums["rejected"], reasons, details)

    def _push(self, now: float) -> None:
        """Add what was counted; forget what is too old, unless too few rows would be left."""
        self._parts.append((now, self._counts))
        self._sums.update(self._counts)
        self._counts = Counter()
        while now - self._parts[0][0] >= self._seconds:
            _, old = self._parts[0]
            if self._sums["read"] - old["read"] < LEAST_ROWS:
                break
            self._parts.popleft()
            self._sums.subtract(old)
