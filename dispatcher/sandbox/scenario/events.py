"""Events of a scenario: what happens at a time, or when so many messages took effect."""

import asyncio
from collections.abc import Callable, Iterable

from dispatcher.sandbox.scenario.model import Event


class EventSchedule:
    """Lets every event happen once; times count from the first request."""

    def __init__(self, events: Iterable[Event], act: Callable[[Event], None]) -> None:
        self._act = act
        self._timed = [event for event in events if event.at_seconds is not None]
        counted = [event for event in events if event.after_effects is not None]
        self._counted = sorted(counted, key=lambda event: event.after_effects or 0)
        self._timers: list[asyncio.TimerHandle] = []

    def start(self) -> None:
        """Begin to count time."""
        for event in self._timed:
            self._later((event.at_seconds or 0.0) + event.delay_seconds, event)

    def on_effect(self, count: int) -> None:
        """Let the events happen that wait for this many effects."""
        while self._counted and count >= (self._counted[0].after_effects or 0):
            event = self._counted.pop(0)
            if event.delay_seconds:
                self._later(event.delay_seconds, event)
            else:
                self._act(event)

    def _later(self, seconds: float, event: Event) -> None:
        loop = asyncio.get_running_loop()
        self._timers.append(loop.call_later(seconds, self._act, event))

    def stop(self) -> None:
        """Let nothing more happen."""
        for timer in self._timers:
            timer.cancel()
        self._counted.clear()
