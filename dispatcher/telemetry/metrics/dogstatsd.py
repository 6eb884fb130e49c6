"""The DogStatsD client: the one place that knows the datadog package, hardly typed as it is."""

import logging
import time
from collections.abc import Sequence
from typing import Any

import structlog
from datadog.dogstatsd.base import DogStatsd

from dispatcher.telemetry.metrics.agent import AgentAddress
from dispatcher.telemetry.metrics.catalog import PREFIX

_QUEUE_PACKETS = 1024
_SOCKET_SECONDS = 0.25
_COMPLAIN_SECONDS = 60.0


class DogStatsdClient:
    """Sends to one agent from a thread of its own; no call waits for the network.

    Counts and gauges are added up until `flush`. A full queue drops its oldest packet. Only
    the sending thread waits for a socket that is full, for a quarter of a second per packet.
    ``DD_ENV``, ``DD_SERVICE``, ``DD_VERSION``, ``DD_ENTITY_ID``, ``DD_EXTERNAL_ENV``,
    ``DATADOG_TAGS`` and ``DD_DOGSTATSD_DISABLE`` are read by the package itself.
    """

    def __init__(self, agent: AgentAddress, tags: Sequence[str]) -> None:
        self._relay = _Relay()
        self._relay.install()
        unix = agent.socket_path is not None
        self._statsd: Any = DogStatsd(
            host=None if unix else agent.host,
            port=None if unix else agent.port,
            socket_path=agent.socket_path,
            namespace=PREFIX,
            constant_tags=list(tags),
            flush_interval=0,  # no flush thread: the owner calls flush()
            disable_aggregation=False,
            disable_buffering=False,
            disable_background_sender=False,
            sender_queue_size=_QUEUE_PACKETS,
            sender_queue_timeout=0,
            socket_timeout=_SOCKET_SECONDS,
            disable_telemetry=True,
            track_instance=False,
        )

    def count(self, name: str, value: int, tags: list[str]) -> None:
        """Add to a count."""
        self._statsd.increment(name, value, tags)

    def gauge(self, name: str, value: float, tags: list[str]) -> None:
        """Set a gauge."""
        self._statsd.gauge(name, value, tags)

    def distribution(self, name: str, values: list[float], tags: list[str], rate: float) -> None:
        """Send samples, of which ``rate`` says what share of all they are."""
        report = self._statsd._report  # noqa: SLF001 - the public method would draw lots again
        for value in values:
            report(name, "d", value, tags, rate, sampling=False)

    def flush(self) -> None:
        """Hand everything so far to the sending thread."""
        self._statsd.flush_aggregated_metrics()
        self._statsd.flush_buffered_metrics()

    def close(self, seconds: float) -> bool:
        """Send what is left and stop the thread; false if that took longer than ``seconds``."""
        deadline = time.monotonic() + seconds
        sent: bool = self._statsd.wait_for_pending(seconds / 2)
        if not sent:
            self._hurry()
        sent = self._statsd.stop(max(deadline - time.monotonic(), 0.0)) and sent
        self._relay.remove()
        return sent

    def _hurry(self) -> None:
        """Let the thread drop what the agent does not take at once."""
        self._statsd.socket_timeout = 0
        sock = self._statsd.socket
        if sock is not None:
            sock.settimeout(0)


class _Relay(logging.Handler):
    """Turns the package's complaints, one for each packet, into one log line a minute."""

    _package = logging.getLogger("datadog.dogstatsd")

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._next = 0.0

    def install(self) -> None:
        self._package.addHandler(self)
        self._package.propagate = False

    def remove(self) -> None:
        self._package.removeHandler(self)
        self._package.propagate = not self._package.handlers

    def emit(self, record: logging.LogRecord) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _COMPLAIN_SECONDS
            structlog.get_logger("dispatcher.telemetry").warning(
                "statsd.undelivered", detail=record.getMessage()
            )
