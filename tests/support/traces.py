"""Spans of a test: the SDK's exporter in memory, and a receiver for OTLP over HTTP on loopback."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from dispatcher.engine.clients.client import ClientConnection
from dispatcher.telemetry.traces.tracing import RunTraces
from tests.support.engine import EngineFixture
from tests.support.scripted import EventList


class TracedEngine(EngineFixture):
    """An engine whose ports are wrapped as a run wraps them; ``spans`` are those that ended."""

    def __init__(self, *arguments, share=1.0, clients=("",), **more):
        self.exporter = InMemorySpanExporter()
        processor = SimpleSpanProcessor(self.exporter)
        self.tracing = RunTraces(processor, {"service.name": "dispatcher"}, share)
        self.traced = self.tracing.campaign("play")
        self.clients = clients
        super().__init__(*arguments, events=_Both(self.traced.sinks()[0]), **more)

    def connections(self):
        return [
            ClientConnection(name, self.tracing.wrap_platform(self.platform, name), self.pacer)
            for name in self.clients
        ]

    def make_campaign_run(self, source, limit=None):
        own, self.ledger = self.ledger, self.traced.wrap_ledger(self.ledger)
        try:
            run = super().make_campaign_run(source, limit)
        finally:
            self.ledger = own
        run.deliver = self.traced.wrap_delivery(run.deliver)
        return run

    @property
    def delivery(self):
        return _Delivery(self.campaign_run.deliver)

    @property
    def spans(self):
        return self.exporter.get_finished_spans()

    def tree(self):
        """Names of the spans as trees: (name, status, [children]), in the order of their begin."""
        spans = sorted(self.spans, key=lambda span: span.start_time)
        return [_tree(span, spans) for span in spans if span.parent is None]


@dataclass
class _Delivery:
    deliver: object


class _Both(EventList):
    """Keeps the events, and passes them on."""

    def __init__(self, sink):
        super().__init__()
        self._sink = sink

    def emit(self, event):
        super().emit(event)
        self._sink.emit(event)


def _tree(span, spans):
    inner = [
        _tree(s, spans) for s in spans if s.parent and s.parent.span_id == span.context.span_id
    ]
    return (span.name, inner) if inner else span.name


@dataclass
class OtlpReceiver:
    """What was posted; ``status`` is the answer, ``released`` is set unless it is to wait."""

    url: str = ""
    status: int = 200
    released: threading.Event = field(default_factory=threading.Event)
    requests: list[ExportTraceServiceRequest] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    @property
    def resource(self) -> dict[str, str]:
        """The attributes of the resource."""
        found = self.requests[0].resource_spans[0].resource.attributes
        return {one.key: one.value.string_value for one in found}

    @property
    def spans(self):
        """Every span that arrived."""
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


def attributes(span) -> dict[str, object]:
    """The attributes of a span that arrived."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


@contextlib.contextmanager
def otlp_receiver(status: int = 200, *, frozen: bool = False) -> Iterator[OtlpReceiver]:
    """Receive OTLP over HTTP; a ``frozen`` receiver takes connections and never answers."""
    received = OtlpReceiver(status=status)
    if not frozen:
        received.released.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            received.released.wait(20)
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.paths.append(self.path)
            if received.status == 200:
                received.requests.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(received.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    received.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield received
    finally:
        received.released.set()
        server.shutdown()
        server.server_close()
