"""Failure rate of the last contacts that ended."""

from collections import deque

from dispatcher.domain.status import Status

FAILED = frozenset({Status.PARKED, Status.REJECTED})
"""Final statuses that count as failed."""


class FailureRate:
    """Counts how many of the last ``contacts`` contacts that ended were parked or rejected.

    The limit is exceeded when more than ``share`` (above 0, up to 1) times ``contacts`` failed,
    even if fewer than ``contacts`` have ended so far.
    """

    def __init__(self, share: float, contacts: int) -> None:
        self._limit = round(share * contacts, 9)  # 0.29 * 100 is a little less than 29
        self._last: deque[bool] = deque(maxlen=contacts)
        self._failed = 0

    def record(self, status: Status) -> bool:
        """Add a contact's final status; return True if the limit is exceeded now."""
        failed = status in FAILED
        if len(self._last) == self._last.maxlen:
            self._failed -= self._last[0]
        self._last.append(failed)
        self._failed += failed
        return self._failed > self._limit
