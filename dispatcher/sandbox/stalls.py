"""Measures when the event loop of the sandbox did not run, and answered no request."""

import asyncio
import time
from typing import NamedTuple

PERIOD_SECONDS = 0.05
"""How often it is measured; a stall that is shorter may be missed."""
NOTED_SECONDS = 0.25
"""A shorter stall is not noted with its time."""
MOST_NOTED = 1000


class Stall(NamedTuple):
    """When the event loop did not run, in seconds since the epoch."""

    start: float
    end: float


class StallClock:
    """Sets a timer again and again, and notes by how much it was late.

    A request waits as long as such a timer, before it is read. Where the machine is too busy, or
    the sandbox itself, effects therefore come later than the scenario says.
    """

    def __init__(self) -> None:
        self.longest = 0.0
        """The longest stall in seconds."""
        self.stalls: list[Stall] = []
        """Those of at least `NOTED_SECONDS`, up to `MOST_NOTED`."""
        self._loop = asyncio.get_running_loop()
        self._set_timer()

    def stop(self) -> None:
        """End the measurement."""
        self._timer.cancel()

    def _set_timer(self) -> None:
        self._due = self._loop.time() + PERIOD_SECONDS
        self._timer = self._loop.call_at(self._due, self._renew)

    def _renew(self) -> None:
        late = self._loop.time() - self._due
        self.longest = max(self.longest, late)
        if late >= NOTED_SECONDS and len(self.stalls) < MOST_NOTED:
            end = time.time()
            self.stalls.append(Stall(end - late - PERIOD_SECONDS, end))
        self._set_timer()
