"""Delivers spans in a thread of their own, and counts those that were dropped."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from dispatcher.telemetry.traces.endpoint import place

MOST_SPANS = 2048
"""Spans that wait for the receiver; further ones are dropped and counted."""
_BATCH_SPANS = 512
_EXPORT_MILLISECONDS = 1000.0
_CLOSE_SECONDS = 1.7
_ABORT_SECONDS = 0.2
_WARN_SECONDS = 60.0
_STATUSES: Mapping[object, int] = {status.phrase: status.value for status in HTTPStatus}
"""HTTP statuses by their names: where it tries again, the exporter's message has only a name."""
_NO_ANSWER = "no answer in time"
_FULL = f"{MOST_SPANS} spans wait"
_ENDED = "the run has ended"


def otlp_queue(endpoint: str) -> "SpanQueue":
    """Return a queue that posts to ``endpoint``; ``OTEL_EXPORTER_OTLP_*`` set the rest."""
    return SpanQueue(OTLPSpanExporter(endpoint=endpoint), place(endpoint))


class SpanQueue(BatchSpanProcessor):
    """Takes spans without waiting; ``receiver`` is what the log calls the place they go to.

    ``clock`` is monotonic. Dropped spans are logged at most once a minute, and at the end.
    """

    def __init__(
        self, exporter: SpanExporter, receiver: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._exporter = _CountingExporter(exporter)
        self._drops = DropLog(receiver, clock)
        self._exporter.on_failure = self._drops.add
        self._accepted = 0
        super().__init__(
            self._exporter,
            max_queue_size=MOST_SPANS,
            schedule_delay_millis=_EXPORT_MILLISECONDS,
            max_export_batch_size=_BATCH_SPANS,
        )

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span that has ended, or drop it if too many wait."""
        if self._accepted - self._exporter.taken >= MOST_SPANS:
            self._drops.add(1, _FULL)
            return
        self._accepted += 1
        super().on_end(span)

    def shutdown(self) -> None:
        """Deliver what waits, within 2 seconds; what is left then is dropped and counted."""
        end = threading.Thread(target=super().shutdown, name="traces-close", daemon=True)
        end.start()
        end.join(_CLOSE_SECONDS)
        if end.is_alive():
            self._exporter.abort()
            end.join(_ABORT_SECONDS)
        self._drops.close(self._accepted - self._exporter.done, _ENDED)


class _CountingExporter(SpanExporter):
    """Counts what an exporter was given, and what it is done with."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self.cause = _Cause()
        self.cause.install()
        self.on_failure: Callable[[int, str], None] = lambda _spans, _detail: None
        self.taken = self.done = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.taken += len(spans)
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            self.done += len(spans)
            if result is not SpanExportResult.SUCCESS:
                self.on_failure(len(spans), self.cause.take())
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()
        self.cause.remove()

    def abort(self) -> None:
        """End the retries of the export that is running."""
        self._exporter.shutdown()


class DropLog:
    """Logs how many spans were dropped, at most once a minute. Any thread may call it."""

    def __init__(self, receiver: str, clock: Callable[[], float]) -> None:
        self._receiver = receiver
        self._clock = clock
        self._lock = threading.Lock()
        self._spans, self._detail, self._next = 0, "", float("-inf")

    def add(self, spans: int, detail: str) -> None:
        """Count dropped spans; ``detail`` is why."""
        with self._lock:
            self._spans, self._detail = self._spans + spans, detail
            if self._clock() >= self._next:
                self._write()

    def close(self, spans: int, detail: str) -> None:
        """Log what was not logged yet, and ``spans`` more that were left at the end."""
        with self._lock:
            if spans:
                self._spans, self._detail = self._spans + spans, detail
            if self._spans:
                self._write()

    def _write(self) -> None:
        self._next = self._clock() + _WARN_SECONDS
        spans, self._spans = self._spans, 0
        structlog.get_logger("dispatcher.telemetry").warning(
            "traces.undelivered", spans=spans, receiver=self._receiver, detail=self._detail
        )


class _Cause(logging.Handler):
    """Keeps the exporter's messages out of the streams, and the cause of its last failure.

    A message may quote an address with a password: only a status and the type of an exception are
    kept.
    """

    _library = logging.getLogger("opentelemetry")
    _last = ""

    def take(self) -> str:
        """Return the cause of the export that has just failed."""
        last, self._last = self._last, ""
        return last or _NO_ANSWER

    def install(self) -> None:
        self._library.addHandler(self)
        self._library.propagate = False

    def remove(self) -> None:
        self._library.removeHandler(self)
        self._library.propagate = not self._library.handlers

    def emit(self, record: logging.LogRecord) -> None:
        for found in record.args if isinstance(record.args, tuple) else ():
            if isinstance(found, Exception):
                self._last = type(found).__name__
            elif isinstance(found, int) or found in _STATUSES:
                self._last = f"status {_STATUSES.get(found, found)}"
