"""Log lines for rejected rows: the first ones of each reason, then counts, by file."""

from collections import Counter
from collections.abc import Sequence

from structlog.typing import FilteringBoundLogger

from dispatcher.domain.events import BadRow, RowsRead

FIRST_ROWS = 3
"""How many rows of a file and a reason have a line each."""

_STEP = 10
"""Afterwards a line counts them whenever there are so many times more."""


class RejectedRowLog:
    """Writes a few lines for the rejected rows of a file, and one for each file that was read.

    A line has the row's file, line and reason and what is wrong with it, never its content.
    """

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        self._by_reason: dict[str, Counter[str]] = {}

    def rows_read(self, event: RowsRead) -> None:
        """Write the lines of one batch."""
        self._log_rows(event.bad_rows)
        if event.file_done is None:
            return
        by_reason = self._by_reason.pop(event.file_done, Counter())
        if by_reason:
            self._log.warning(
                "file.bad_rows",
                file=event.file_done,
                rows=by_reason.total(),
                reasons=dict(by_reason.most_common()),
            )

    def _log_rows(self, rows: Sequence[BadRow]) -> None:
        for row in rows:
            counts = self._by_reason.setdefault(row.file, Counter())
            counts[row.reason] += 1
            number = counts[row.reason]
            if number <= FIRST_ROWS:
                self._log.warning(
                    "row.rejected",
                    file=row.file,
                    row_line=row.line,
                    reason=row.reason,
                    detail=row.detail,
                )
            elif _is_power(number):
                self._log.warning("rows.rejected", file=row.file, reason=row.reason, rows=number)


def _is_power(number: int) -> bool:
    """Return whether a number is a power of `_STEP`."""
    while number % _STEP == 0:
        number //= _STEP
    return number == 1
