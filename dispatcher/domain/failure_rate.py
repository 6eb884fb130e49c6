"""Noticing that too large a share of the last contacts failed."""

from collections import deque

from dispatcher.domain.status import Status

FAILED = frozenset({Status.PARKED, Status.REJECTED})
"""Ends that nobody wanted."""


class FailureRate:
    """Counts how many of the last ``of`` contacts that ended were parked or rejected.

    It is exceeded as soon as more than ``share`` (above 0, up to 1) of ``of`` contacts failed,
    though fewer than ``of`` ended so far.
    """

    def __init__(self, share: float, of: int) -> None:
        self._most = round(share * of, 9)  # 0.29 * 100 is a little less than 29
        self._last: deque[bool] = deque(maxlen=of)
        self._failed = 0

    def record(self, status: Status) -> bool:
        """Take a contact's end; tell whether the share is exceeded now."""
        failed = status in FAILED
        if len(self._last) == self._last.maxlen:
            self._failed -= self._last[0]
        self._last.append(failed)
        self._failed += failed
        return self._failed > self._most
