"""How many contacts of a campaign are due, without counting a large number every few seconds."""

from collections.abc import Callable

LARGE = 50_000
"""A larger number takes more than some milliseconds, in which nothing can be committed."""
KEPT_SECONDS = 60.0
"""How long a large number is used again."""


class DueCount:
    """Counts the contacts of one campaign that are due."""

    def __init__(self) -> None:
        self._last, self._counted_at = 0, 0.0

    def count(self, count_due: Callable[[], int], now: float, ready: int) -> int:
        """Return how many are due at ``now`` of those that are ``ready``, by ``count_due``.

        A number above `LARGE` may be up to a minute old. It is never more than ``ready``.
        """
        age = now - self._counted_at
        if self._last <= LARGE or not 0 <= age < KEPT_SECONDS:
            self._last = count_due()
            self._counted_at = now
        return min(self._last, ready)
