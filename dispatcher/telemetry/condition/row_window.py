"""Counts the rows of a source, and the rejected ones by reason."""

from collections import Counter

from dispatcher.domain.condition_facts import RowCounts
from dispatcher.domain.events import RowsRead
from dispatcher.telemetry.condition.windows import RollingSums


class RowWindow:
    """The rows of the ``seconds`` up to the last row of a source.

    A source that has nothing more does not become good by that: the counts stay until it has rows.
    """

    def __init__(self, seconds: float) -> None:
        self._sums = RollingSums(seconds)
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
            self._sums.push(self._counts, now)
        self._counts.clear()
        reasons = self._sums.under("reason.")
        details = {reason: self._details[reason] for reason in reasons}
        return RowCounts(self._sums["read"], self._sums["rejected"], reasons, details)
