"""Time, and where facts go."""

from typing import Protocol

from dispatcher.domain.events import Event


class EventSink(Protocol):
    """Where facts go. Never blocks, never raises."""

    def emit(self, event: Event) -> None:
        """Take one fact."""
        ...


class Clock(Protocol):
    """Time, so that tests can make it."""

    def time(self) -> float:
        """Seconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds that never jump."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...
