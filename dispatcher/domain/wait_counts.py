"""How many contacts wait, and why, without a look at any of them."""

import heapq
from collections import Counter
from collections.abc import Mapping

from dispatcher.domain.progress import Progress
from dispatcher.domain.status import RetryReason

NOT_BEFORE = "not_before"
"""The reason of a new contact that is not due yet."""
OTHER = "other"
"""The reason of a contact that an earlier run has put off."""

Span = tuple[float, float]
"""When the first and the last of some contacts are due."""


class WaitCounts:
    """Counts the contacts that wait by reason and by the second in which they are due.

    A contact stops to wait when its time comes: no event says so. Times are in seconds since the
    epoch. The cost of a question is that of the seconds that passed since the last one.
    """

    def __init__(self) -> None:
        self._by_second: dict[int, Counter[str]] = {}
        self._seconds: list[int] = []
        self._sums: Counter[str] = Counter()

    def add(self, reason: str, due: float, contacts: int = 1) -> None:
        """Count contacts that wait until ``due``."""
        second = int(due)
        reasons = self._by_second.get(second)
        if reasons is None:
            reasons = self._by_second[second] = Counter()
            heapq.heappush(self._seconds, second)
        reasons[reason] += contacts
        self._sums[reason] += contacts

    def remove(self, reason: str, due: float) -> None:
        """Uncount a contact that does not wait any more, although its time has not come."""
        reasons = self._by_second.get(int(due))
        if reasons is not None and reasons[reason] > 0:
            reasons[reason] -= 1
            self._sums[reason] -= 1

    def by_reason(self, waiting: int, now: float) -> dict[str, int]:
        """Return how many contacts wait, by reason; their sum is always ``waiting``.

        What is not known to be waited for is `OTHER`. Of those that are due in the present second,
        some may be due already.
        """
        present = int(now)
        while self._seconds and self._seconds[0] < present:
            self._sums.subtract(self._by_second.pop(heapq.heappop(self._seconds)))
        known = Counter(self._sums)
        excess = known.total() - waiting
        for candidates in (self._by_second.get(present, Counter[str]()), Counter(known)):
            for reason, contacts in candidates.most_common():
                taken = max(min(excess, contacts, known[reason]), 0)
                known[reason] -= taken
                excess -= taken
        known[OTHER] += max(-excess, 0)
        return {reason: contacts for reason, contacts in known.items() if contacts > 0}

    def spans(self) -> Mapping[str, Span]:
        """Return by reason when the first and the last of the known contacts are due.

        It looks at every second in which a contact is due: some milliseconds for hours of them.
        """
        spans: dict[str, Span] = {}
        for second, reasons in self._by_second.items():
            for reason, contacts in reasons.items():
                if contacts > 0:
                    first, last = spans.get(reason, (second, second))
                    spans[reason] = min(first, second), max(last, second)
        return spans


def session_wait(progress: Progress) -> RetryReason:
    """Return why a contact waits whose session is waited for."""
    return RetryReason.NOT_ENDED if progress.engaged_since is None else RetryReason.ENGAGED
