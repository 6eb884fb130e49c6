"""Events of a scenario: changes at a time, or after a number of messages took effect."""

import asyncio
from collections.abc import Callable, Iterable

from dispatcher.sandbox.scenario.model import Event


class EventSchedule:
    """Applies every event once; times count from the first request."""

    def __init__(self, events: Iterable[Event], apply: Callable[[Event], None]) -> None:
        self._apply = apply
        self._timed = [event for event in events if event.at_seconds is not None]
        counted = [event for event in events if event.after_effects is not None]
        self._counted = sorted(counted, key=lambda event: event.after_effects or 0)
        self._timers: list[asyncio.TimerHandle] = []

    def start(self) -> None:
        """Start to count time."""
        for event in self._timed:
            self._later((event.at_seconds or 0.0) + event.delay_seconds, event)

    def on_effect(self, count: int) -> None:
        """Apply the events that wait for this number of effects."""
        while self._counted and count >= (self._counted[0].after_effects or 0):
            event = self._counted.pop(0)
            if event.delay_seconds:
                self._later(event.delay_seconds, event)
            else:
                self._apply(event)

    def _later(self, seconds: float, event: Event) -> None:
        loop = asyncio.get_running_loop()
        self._timers.append(loop.call_later(seconds, self._apply, event))

    def stop(self) -> None:
        """Cancel all events that have not happened yet."""
        for timer in self._timers:
            timer.cancel()
        self._counted.clear()
