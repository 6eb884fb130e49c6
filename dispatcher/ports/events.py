"""Where the engine's events go."""

from typing import Protocol

from dispatcher.domain.events import Event


class EventSink(Protocol):
    """Receives events. It never blocks and never raises."""

    def emit(self, event: Event) -> None:
        """Take one event."""
        ...
