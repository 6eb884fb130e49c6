"""How many requests a contact takes, over the last minutes."""

from collections import deque
from collections.abc import Callable

SPAN_SECONDS = 300.0
"""The time over which the ratio is taken."""
_STEP_SECONDS = 10.0


class RequestRatio:
    """Requests for each contact that became final in the last five minutes.

    ``requests`` and ``settled`` count what happened so far. ``monotonic`` is in seconds.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self.requests = 0
        self.settled = 0
        self._past: deque[tuple[float, int, int]] = deque(((monotonic(), 0, 0),))

    def value(self) -> float:
        """Return the ratio; the number of requests while no contact became final."""
        now, past = self._monotonic(), self._past
        while len(past) > 1 and past[1][0] <= now - SPAN_SECONDS:
            past.popleft()
        _, requests, settled = past[0]
        if now - past[-1][0] >= _STEP_SECONDS:
            past.append((now, self.requests, self.settled))
        return (self.requests - requests) / max(self.settled - settled, 1)
