"""Counts the rows of a source, and the rejected ones by reason."""

from collections import Counter, deque

from dispatcher.domain.condition_facts import RowCounts
from dispatcher.domain.condition_rows import REJECTED_SHARE
from dispatcher.domain.events import RowsRead

LEAST_ROWS = 20
"""So many of the last rows are counted however old they are: a stream may have a row a minute."""


class RowWindow:
    """The rows of the ``seconds`` up to the last row of a source, and at least the last few.

    A source that has nothing more does not become good by that: the counts stay until it has rows.
    But if its last file is good, as a corrected one is, what was before that is forgotten after so
    many ``seconds``, too.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._parts: deque[tuple[float, Counter[str]]] = deque()
        self._sums: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._file: Counter[str] = Counter()
        self._last_file: Counter[str] = Counter()
        self._details: dict[str, str] = {}

    def add(self, event: RowsRead) -> None:
        """Count the rows of a batch, which are of one file."""
        found = Counter(read=event.rows, rejected=event.rejected)
        for row in event.bad_rows:
            found[f"reason.{row.reason}"] += 1
            self._details[row.reason] = row.detail
        self._counts.update(found)
        self._file.update(found)
        if event.file_done is not None and self._file["read"]:
            self._last_file, self._file = self._file, Counter()

    def facts(self, now: float) -> RowCounts:
        """Return the counts at a moment of the clock."""
        if self._counts["read"]:
            self._push(now)
        elif self._is_corrected(now):
            self._sums = Counter(self._last_file)
            self._parts = deque([(self._parts[-1][0], self._last_file)])
        reasons = {
            name.removeprefix("reason."): count
            for name, count in self._sums.items()
            if count > 0 and name.startswith("reason.")
        }
        details = {reason: self._details[reason] for reason in reasons}
        return RowCounts(self._sums["read"], self._sums["rejected"], reasons, details)

    def _is_corrected(self, now: float) -> bool:
        """Return True if the last file ended long ago, it is good, and no row came since."""
        read, rejected = self._last_file["read"], self._last_file["rejected"]
        is_good = read >= LEAST_ROWS and rejected <= REJECTED_SHARE * read
        is_last = self._sums["read"] > read and not self._file["read"]
        return is_good and is_last and now - self._parts[-1][0] >= self._seconds

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
