"""Finds a time without a good answer of the platform."""

from collections import Counter
from collections.abc import Callable

from dispatcher.domain.condition_facts import Outage
from dispatcher.domain.condition_platform import OUTAGE_CONTACTS, OUTAGE_SECONDS


class BadStreak:
    """Bad answers in a row; ``monotonic`` is the clock."""

    def __init__(self, monotonic: Callable[[], float], *, sends_only: bool = False) -> None:
        self._monotonic = monotonic
        self._sends_only = sends_only
        self.answers = 0
        """How many there are; while it is 0, a good answer changes nothing."""
        self._first = self._last = 0.0
        self._refusals, self._refused = 0, float("-inf")
        self._contacts: set[str] = set()
        self._statuses: Counter[str] = Counter()

    def add(self, status: str, contact_key: str) -> None:
        """Count a bad answer."""
        now = self._monotonic()
        if not self.answers:
            self._first = now
        self.answers, self._last = self.answers + 1, now
        self._statuses[status] += 1
        if len(self._contacts) < OUTAGE_CONTACTS:
            self._contacts.add(contact_key)

    def refuse(self) -> None:
        """Note an answer 429: it is not good, and no fault either."""
        if self.answers:
            self._refusals, self._refused = self._refusals + 1, self._monotonic()

    def end(self) -> None:
        """Note a good answer."""
        self.answers = self._refusals = 0
        self._contacts.clear()
        self._statuses.clear()

    def describe(self, now: float) -> Outage | None:
        """Return the answers so far; None if the last one was good, or only 429 comes since."""
        only_refused = self._refused > self._last and now - self._last >= OUTAGE_SECONDS
        if not self.answers or only_refused:
            return None
        return Outage(
            now - self._first,
            self.answers,
            len(self._contacts),
            now - self._last,
            dict(self._statuses),
            self._sends_only,
            self._refusals,
        )
