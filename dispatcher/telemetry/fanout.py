"""One sink made of several, none of which can harm another."""

import contextlib
from collections.abc import Mapping, Sequence

import structlog

from dispatcher.domain.events import Event
from dispatcher.ports import EventSink


class Fanout:
    """Gives each event to every sink, in their order.

    A sink that raises stops neither the others nor the caller: its first error is logged,
    every one is counted in `failures`.
    """

    def __init__(self, sinks: Sequence[EventSink]) -> None:
        self._sinks = tuple(sinks)
        self._failures: dict[int, int] = {}

    def emit(self, event: Event) -> None:
        """Give the event to every sink."""
        for place, sink in enumerate(self._sinks):
            try:
                sink.emit(event)
            except Exception as error:  # noqa: BLE001 - telemetry never stops the run
                self._failed(place, event, error)

    @property
    def failures(self) -> Mapping[str, int]:
        """How many events each sink failed to take, by the sink's class; only those that did."""
        counts: dict[str, int] = {}
        for place, count in self._failures.items():
            name = type(self._sinks[place]).__name__
            counts[name] = counts.get(name, 0) + count
        return counts

    def _failed(self, place: int, event: Event, error: Exception) -> None:
        self._failures[place] = self._failures.get(place, 0) + 1
        if self._failures[place] == 1:
            with contextlib.suppress(Exception):  # the log may be what failed
                structlog.get_logger("dispatcher.telemetry").error(
                    "telemetry.sink_failed",
                    sink=type(self._sinks[place]).__name__,
                    fact=type(event).__name__,
                    error=type(error).__name__,
                    exc_info=error,
                )
