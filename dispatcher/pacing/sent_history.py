"""How many requests were sent until a time."""

from collections import deque


class SentHistory:
    """Records of how many requests were sent so far. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._records: deque[tuple[float, int]] = deque()

    def record(self, now: float, sent: int, kept: float) -> None:
        """Record how many were sent until now; forget what is older than ``kept`` seconds."""
        records = self._records
        records.append((now, sent))
        while len(records) > 1 and records[1][0] < now - kept:
            records.popleft()

    @property
    def newest(self) -> tuple[float, int] | None:
        """Time and number of the last record; None before the first one."""
        return self._records[-1] if self._records else None

    def until(self, time: float, total: int | None = None) -> int:
        """Return how many were sent until then, between two records in proportion.

        ``total`` is how many there are now, if that is known: the last ones were sent soon after
        the last record.
        """
        later: tuple[float, int] | None = None
        for moment, sent in reversed(self._records):
            if moment <= time:
                if later is None:
                    return sent if total is None else total
                share = (time - moment) / (later[0] - moment)
                return sent + round(share * (later[1] - sent))
            later = moment, sent
        return 0 if later is None else later[1]

    def between(self, start: float, end: float, total: int) -> int:
        """Return how many were sent from ``start`` to ``end``."""
        return self.until(end, total) - self.until(start, total)
