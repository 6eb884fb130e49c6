"""The span of one contact, and the spans below it."""

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from time import time_ns
from typing import TypeVar

from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    Tracer,
    set_span_in_context,
)

from dispatcher.domain.contact import Contact
from dispatcher.telemetry.fanout import HandlerSink

Attributes = Mapping[str, str | int | float | bool]
T = TypeVar("T")

_LOW_64_BITS = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class EndedSpan:
    """A span that ends now; it began at ``began`` (nanoseconds since the epoch).

    ``error`` is the type of its error, empty if there is none.
    """

    name: str
    began: int
    attributes: Attributes
    kind: SpanKind = SpanKind.INTERNAL
    links: Sequence[Link] = ()
    error: str = ""


class ContactTrace:
    """A contact's span while a worker has it, or while a look back resolves its doubt.

    ``id`` is the ledger's number of the contact. ``is_in_worker`` is true while a worker has it.
    """

    def __init__(
        self, tracer: Tracer, span: Span, id: int, contact: Contact,  # noqa: A002 - the ledger's word
        *, is_in_worker: bool,
    ) -> None:  # fmt: skip
        self.span = span
        self.id = id
        self.contact = contact
        self.is_in_worker = is_in_worker
        self.open_steps = 0
        """Spans below it that have not ended."""
        self.left_at: int | None = None
        """When the contact left (nanoseconds since the epoch); None while it has not."""
        self.context = span.get_span_context()
        self.log: HandlerSink | None = None
        """What writes the log lines with the ids of the span, after the first of them."""
        self._tracer = tracer
        self._below = set_span_in_context(span, Context())

    @property
    def log_fields(self) -> Mapping[str, str]:
        """The fields that join a log line to the span.

        ``dd.`` ids are decimal, of the last 64 bits (source: Datadog's documentation, "Correlate
        OpenTelemetry Traces and Logs"); the others are OpenTelemetry's hexadecimal ones.
        """
        trace_id, span_id = self.context.trace_id, self.context.span_id
        return {
            "trace_id": f"{trace_id:032x}",
            "span_id": f"{span_id:016x}",
            "dd.trace_id": str(trace_id & _LOW_64_BITS),
            "dd.span_id": str(span_id),
        }

    async def measure(self, name: str, call: Awaitable[T], attributes: Attributes) -> T:
        """Await ``call`` with a span around it; an exception makes it an error."""
        began, error = time_ns(), ""
        self.open_steps += 1
        try:
            return await call
        except BaseException as fault:
            error = type(fault).__name__
            raise
        finally:
            self.open_steps -= 1
            self.add(EndedSpan(name, began, attributes, error=error))

    def add(self, ended: EndedSpan) -> None:
        """Add a span below it."""
        add_span(self._tracer, ended, self._below)

    def leave(self, attributes: Attributes, *, failed: bool = False) -> None:
        """Note that the contact has left, and how."""
        self.left_at = time_ns()
        self.span.set_attributes(attributes)
        if failed:
            self.span.set_status(StatusCode.ERROR)

    def fail(self, error: BaseException) -> None:
        """Note the exception that ended the delivery; its message may quote anything."""
        self.span.set_attribute("error.type", type(error).__name__)
        self.span.set_status(StatusCode.ERROR)

    def end(self) -> None:
        """End the span, at the time at which the contact left."""
        self.span.end(self.left_at)


def add_span(tracer: Tracer, ended: EndedSpan, context: Context | None = None) -> SpanContext:
    """Add a span that has ended, and return its ids; without a context it begins a trace."""
    span = tracer.start_span(
        ended.name, context=context or Context(), kind=ended.kind, attributes=ended.attributes,
        links=ended.links, start_time=ended.began,
    )  # fmt: skip
    if ended.error:
        span.set_attribute("error.type", ended.error)
        span.set_status(StatusCode.ERROR)
    span.end()
    return span.get_span_context()


def below(parent: SpanContext | None) -> Context:
    """Return the context of a span below ``parent``, or of one that begins a trace."""
    if parent is None:
        return Context()
    return set_span_in_context(NonRecordingSpan(parent), Context())
