"""Measures how late the event loop is."""

import asyncio

PERIOD_SECONDS = 0.2
"""How often it is measured; a delay that is shorter may be missed."""


class LoopLag:
    """Sets a timer again and again, and remembers by how much the latest one was late."""

    def __init__(self) -> None:
        self._longest = 0.0
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to measure the running loop."""
        self._set_timer(asyncio.get_running_loop())

    def stop(self) -> None:
        """Measure no more."""
        if self._timer is not None:
            self._timer.cancel()

    def take(self) -> float:
        """Return the longest delay since the last call in seconds."""
        longest, self._longest = self._longest, 0.0
        return longest

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due = loop.time() + PERIOD_SECONDS
        self._timer = loop.call_at(self._due, self._measure, loop)

    def _measure(self, loop: asyncio.AbstractEventLoop) -> None:
        self._longest = max(self._longest, loop.time() - self._due)
        self._set_timer(loop)
