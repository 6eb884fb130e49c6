"""Measures for how long the sandbox was stopped: a platform shows nothing while it does not run."""

import asyncio

PERIOD_SECONDS = 0.05
"""How often it is measured; a stop that is shorter may be missed."""


class StallClock:
    """Sets a timer again and again, and keeps the longest time by which one was late.

    A request waits as long as such a timer, before it is read. Where the machine is too busy, the
    sandbox therefore shows effects later than its scenario says.
    """

    def __init__(self) -> None:
        self.longest = 0.0
        """The longest stop in seconds."""
        self._loop = asyncio.get_running_loop()
        self._set_timer()

    def stop(self) -> None:
        """End the measurement."""
        self._timer.cancel()

    def measure(self) -> float:
        """Return the longest stop in seconds, with one that ends now."""
        self.longest = max(self.longest, self._loop.time() - self._due)
        return self.longest

    def _set_timer(self) -> None:
        self._due = self._loop.time() + PERIOD_SECONDS
        self._timer = self._loop.call_at(self._due, self._renew)

    def _renew(self) -> None:
        self.measure()
        self._set_timer()
