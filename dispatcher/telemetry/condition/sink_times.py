"""Which sinks fail, and since when."""

from collections.abc import Callable

from dispatcher.domain.condition_facts import FailingSink
from dispatcher.domain.events import SinkLagged


class SinkTimes:
    """Remembers since when each sink fails; one that takes rows again is forgotten."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._failing: dict[str, tuple[float, SinkLagged]] = {}

    def add(self, event: SinkLagged) -> None:
        """Take note of a sink's state."""
        if not event.error:
            self._failing.pop(event.sink, None)
            return
        since, _ = self._failing.get(event.sink, (self._monotonic(), event))
        self._failing[event.sink] = since, event

    def failing(self) -> tuple[FailingSink, ...]:
        """Return the sinks that fail now."""
        now = self._monotonic()
        return tuple(
            FailingSink(last.sink, last.rows, now - since, last.error)
            for since, last in self._failing.values()
        )
