"""One sink made of several, none of which can harm another."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

from dispatcher.domain.events import Event
from dispatcher.ports import EventSink

Taker = Callable[[Any], None]
"""What takes one kind of event."""


class Fanout:
    """Gives each event to every sink, in their order.

    A sink that has ``handlers``, by kind of event, is not asked for any other kind.

    A sink that raises stops neither the others nor the caller: its first error is logged,
    every one is counted in `failures`.
    """

    def __init__(self, sinks: Sequence[EventSink]) -> None:
        self._sinks = tuple(sinks)
        self._failures: dict[int, int] = {}
        self._takers: dict[type[Event], list[tuple[int, Taker]]] = {}

    def emit(self, event: Event) -> None:
        """Give the event to every sink that makes something of its kind."""
        kind = type(event)
        takers = self._takers.get(kind)
        if takers is None:
            takers = self._takers[kind] = self._find_takers(kind)
        for place, take in takers:
            try:
                take(event)
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

    def _find_takers(self, kind: type[Event]) -> list[tuple[int, Taker]]:
        takers = []
        for place, sink in enumerate(self._sinks):
            handlers = getattr(sink, "handlers", None)
            take = sink.emit if handlers is None else handlers.get(kind)
            if take is not None:
                takers.append((place, take))
        return takers

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
