"""The DogStatsD client: the only module that imports the datadog package, which has few types."""

import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from threading import Event, Lock, Thread
from typing import Any

import structlog
from datadog.dogstatsd.aggregator import Aggregator
from datadog.dogstatsd.base import DogStatsd
from datadog.dogstatsd.metric_types import MetricType
from datadog.dogstatsd.metrics import MetricAggregator

from dispatcher.telemetry.metrics.agent import AgentAddress
from dispatcher.telemetry.metrics.catalog import PREFIX, Key, format_tags
from dispatcher.telemetry.metrics.samples import Samples

MOST_SAMPLES = 256
"""Samples of one distribution that leave in one flush. Of more a random choice is kept, and sent
with its rate, so that counts and percentiles stay true."""

_QUEUE_PACKETS = 1024
_SOCKET_SECONDS = 0.25
_WARN_SECONDS = 60.0


class DogStatsdClient:
    """Aggregates metrics, and sends them to one agent every ``flush_seconds``.

    No call but `close` waits for the network. A full queue drops its oldest packet. The sending
    thread waits for a full socket, for at most a quarter of a second per packet. ``DD_ENV``,
    ``DD_SERVICE``, ``DD_VERSION``, ``DD_ENTITY_ID``, ``DD_EXTERNAL_ENV``, ``DATADOG_TAGS`` and
    ``DD_DOGSTATSD_DISABLE`` are read by the package itself.
    """

    def __init__(self, agent: AgentAddress, tags: Sequence[str], flush_seconds: float) -> None:
        self._warnings = _WarningLimit(logging.WARNING)
        self._warnings.install()
        self._statsd: Any = DogStatsd(
            host=agent.host,
            port=agent.port,
            socket_path=agent.socket_path,
            namespace=PREFIX,
            constant_tags=list(tags),
            # The package's own flush thread outlives `stop`, and ends after a fault in one flush.
            flush_interval=0,
            disable_aggregation=False,
            disable_buffering=False,
            disable_background_sender=False,
            sender_queue_size=_QUEUE_PACKETS,
            sender_queue_timeout=0,
            socket_timeout=_SOCKET_SECONDS,
            disable_telemetry=True,
            track_instance=False,
        )
        self._samples = Samples()
        self._statsd.aggregator = _SampleAggregator(self._samples)
        self._counts: defaultdict[Key, int] = defaultdict(int)
        self._counts_lock = Lock()
        self._flush_seconds = flush_seconds
        self._closed = Event()
        self._thread = Thread(target=self._run, name="statsd-flush", daemon=True)
        self._thread.start()

    def count(self, key: Key, value: int = 1) -> None:
        """Add to a count; the package, which takes three times as long, gets it with a flush."""
        with self._counts_lock:
            if key not in self._counts:
                format_tags(key)  # raises KeyError here and not in the flush
            self._counts[key] += value

    def gauge(self, key: Key, value: float) -> None:
        """Set a gauge."""
        self._statsd.gauge(key[0], value, format_tags(key))

    def distribution(self, key: Key, value: float) -> None:
        """Add a sample to a distribution; it is sent with three decimals."""
        self._samples.add(key, value)

    def event(self, title: str, text: str, *, alert_type: str, group: str) -> None:
        """Send an event; Datadog shows those of one ``group`` together.

        ``alert_type`` is "error", "warning", "info" or "success".
        """
        self._statsd.event(title, text, alert_type=alert_type, aggregation_key=group)

    def service_check(self, name: str, status: int, message: str) -> None:
        """Send the status of a service check: 0 OK, 1 WARNING, 2 CRITICAL."""
        self._statsd.service_check(name, status, message=message)

    def close(self, seconds: float) -> bool:
        """Send what is left and stop all threads; return False if that took over ``seconds``.

        What is measured afterwards is dropped.
        """
        if self._closed.is_set():
            return True
        deadline = time.monotonic() + seconds
        self._closed.set()
        self._thread.join(seconds)
        sent: bool = self._statsd.wait_for_pending(_until(deadline) / 2)
        if not sent:
            self._stop_waiting_for_socket()
        # Not `stop`, which would make later calls send at once, in the caller's thread.
        if self._statsd.disable_background_sender(_until(deadline)):
            self._statsd.close_socket()
        else:
            sent = False
        self._warnings.remove()
        return sent

    def _run(self) -> None:
        while not self._closed.wait(self._flush_seconds):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        with self._counts_lock:
            counts, self._counts = self._counts, defaultdict(int)
        try:
            for key, value in counts.items():
                self._statsd.increment(key[0], value, format_tags(key))
            self._statsd.flush_aggregated_metrics()
            self._statsd.flush_buffered_metrics()
        except Exception:  # noqa: BLE001 - a flush that fails must not end those that follow
            structlog.get_logger("dispatcher.telemetry").exception("statsd.flush_failed")

    def _stop_waiting_for_socket(self) -> None:
        """Make the sending thread drop what the agent does not take at once."""
        self._statsd.socket_timeout = 0
        sock = self._statsd.socket
        if sock is not None:
            sock.settimeout(0)


class _SampleAggregator(Aggregator):
    """Gives the package's flush the samples that were kept here, at a quarter of its own cost."""

    def __init__(self, samples: Samples) -> None:
        super().__init__()
        self._samples = samples

    def flush_aggregated_sampled_metrics(self) -> list[MetricAggregator]:
        return [
            MetricAggregator(key[0], format_tags(key), rate, MetricType.DISTRIBUTION, value)
            for key, rate, values in self._samples.take(MOST_SAMPLES)
            for value in values
        ]


def _until(deadline: float) -> float:
    return max(deadline - time.monotonic(), 0.0)


class _WarningLimit(logging.Handler):
    """Turns the package's warnings, one for each packet, into one log line a minute."""

    _package = logging.getLogger("datadog.dogstatsd")
    _next = 0.0

    def install(self) -> None:
        self._package.addHandler(self)
        self._package.propagate = False

    def remove(self) -> None:
        self._package.removeHandler(self)
        self._package.propagate = not self._package.handlers

    def emit(self, record: logging.LogRecord) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _WARN_SECONDS
            structlog.get_logger("dispatcher.telemetry").warning(
                "statsd.undelivered", detail=record.getMessage()
            )
