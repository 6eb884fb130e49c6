"""Emits events to several sinks, none of which can disturb another."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

from dispatcher.domain.events import Event
from dispatcher.ports import EventSink

EventHandler = Callable[[Any], None]
"""Takes the events of one type."""


class HandlerSink:
    """Base of a sink with a handler for each event type; other events are ignored."""

    handlers: Mapping[type[Event], EventHandler]

    def emit(self, event: Event) -> None:
        """Take one event."""
        handler = self.handlers.get(type(event))
        if handler is not None:
            handler(event)


class Fanout:
    """Emits each event to several sinks, in their order.

    A sink that raises stops neither the other sinks nor the caller; its first error is logged.
    """

    def __init__(self, sinks: Sequence[EventSink]) -> None:
        self._sinks = tuple(sinks)
        self._failed: set[int] = set()
        self._handlers: dict[type[Event], list[tuple[EventSink, EventHandler]]] = {}

    def emit(self, event: Event) -> None:
        """Emit the event to every sink that handles its type."""
        kind = type(event)
        handlers = self._handlers.get(kind)
        if handlers is None:
            handlers = self._handlers[kind] = self._find_handlers(kind)
        for sink, handle in handlers:
            try:
                handle(event)
            except Exception as error:  # noqa: BLE001 - telemetry never stops the run
                self._log_first(sink, event, error)

    def _find_handlers(self, kind: type[Event]) -> list[tuple[EventSink, EventHandler]]:
        found = []
        for sink in self._sinks:
            handler = sink.handlers.get(kind) if isinstance(sink, HandlerSink) else sink.emit
            if handler is not None:
                found.append((sink, handler))
        return found

    def _log_first(self, sink: EventSink, event: Event, error: Exception) -> None:
        if id(sink) not in self._failed:
            self._failed.add(id(sink))
            with contextlib.suppress(Exception):  # the log may be what failed
                structlog.get_logger("dispatcher.telemetry").error(
                    "telemetry.sink_failed",
                    sink=type(sink).__name__,
                    fact=type(event).__name__,
                    error=type(error).__name__,
                    exc_info=error,
                )
