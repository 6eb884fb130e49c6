"""Events of traced contacts: what they add to the spans, and log lines with the ids of a span."""

from collections.abc import Callable

from dispatcher.domain.events import (
    AddressesDiffer,
    Answered,
    ClosedConflict,
    Deferred,
    Event,
    InDoubt,
    RetryLoop,
    ScopeError,
    Settled,
)
from dispatcher.telemetry.fanout import EventHandler, HandlerSink
from dispatcher.telemetry.logs.sink import LogSink
from dispatcher.telemetry.traces.contact_trace import ContactTrace

FindTrace = Callable[[str], ContactTrace | None]
"""Returns the trace of a contact by its key."""
_OF_CONTACT: frozenset[type[Event]] = frozenset(
    {
        Answered,
        Settled,
        Deferred,
        ScopeError,
        ClosedConflict,
        RetryLoop,
        AddressesDiffer,
        InDoubt,
    }
)
"""Events with a ``contact_key``."""


class TraceSink(HandlerSink):
    """Adds to a contact's span what only an event says."""

    def __init__(self, find: FindTrace) -> None:
        self._find = find
        self.handlers = {
            Deferred: self._deferred,
            ScopeError: self._scope_error,
            ClosedConflict: self._closed_conflict,
            RetryLoop: self._retry_loop,
            InDoubt: self._in_doubt,
        }

    def _deferred(self, event: Deferred) -> None:
        if (trace := self._find(event.contact_key)) is not None:
            seconds = round(event.seconds, 3)
            trace.span.set_attribute("dispatcher.reason", event.reason.value)
            trace.span.set_attribute("dispatcher.due_in_seconds", seconds)

    def _scope_error(self, event: ScopeError) -> None:
        if (trace := self._find(event.contact_key)) is not None:
            found = {
                "dispatcher.source": event.source.value,
                "dispatcher.endpoint": event.step.value,
                "dispatcher.missing": list(event.missing),
                "dispatcher.correlation_id": event.correlation_id,
            }
            trace.span.add_event("scope.error", found)

    def _closed_conflict(self, event: ClosedConflict) -> None:
        if (trace := self._find(event.contact_key)) is not None:
            found = {
                "dispatcher.endpoint": event.step.value,
                "http.response.status_code": event.status,
                "dispatcher.correlation_id": event.correlation_id,
            }
            trace.span.add_event("session.conflict", found)

    def _retry_loop(self, event: RetryLoop) -> None:
        if (trace := self._find(event.contact_key)) is not None:
            trace.span.add_event("retry.loop", {"dispatcher.endpoint": event.step.value})

    def _in_doubt(self, event: InDoubt) -> None:
        if (trace := self._find(event.contact_key)) is not None:
            trace.span.set_attribute("dispatcher.resolution", event.resolution.value)


class TracedLog(HandlerSink):
    """The log of a campaign; lines about a traced contact have the ids of its span."""

    def __init__(self, campaign: str, find: FindTrace) -> None:
        self._campaign = campaign
        self._find = find
        plain = LogSink(campaign=campaign).handlers
        self.handlers = {
            kind: self._with_ids(write) if kind in _OF_CONTACT else write
            for kind, write in plain.items()
        }

    def _with_ids(self, plain: EventHandler) -> EventHandler:
        def write(event: Answered) -> None:  # every kind of `_OF_CONTACT` has its `contact_key`
            trace = self._find(event.contact_key)
            if trace is None:
                plain(event)
                return
            if trace.log is None:
                trace.log = LogSink(campaign=self._campaign, fields=trace.log_fields)
            trace.log.emit(event)

        return write
