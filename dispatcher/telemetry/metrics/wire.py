"""DogStatsD on the wire: the only module that imports the datadog package, which has few types.

The package writes the lines; its sender is not used, because it drops without a word what an agent
does not take at once.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from datadog.dogstatsd.base import (
    UDP_OPTIMAL_PAYLOAD_LENGTH,
    UDS_OPTIMAL_PAYLOAD_LENGTH,
    DogStatsd,
)

from dispatcher.telemetry.metrics.catalog import PREFIX, Key, format_tags
from dispatcher.telemetry.metrics.pending import MetricBatch

UDP_BYTES: int = UDP_OPTIMAL_PAYLOAD_LENGTH
"""Bytes of a packet by UDP: what fits into one frame of Ethernet."""

UNIX_BYTES: int = UDS_OPTIMAL_PAYLOAD_LENGTH
"""Bytes of a packet by a Unix socket: the agent's default buffer."""

MOST_TEXT = 4000
"""Bytes of the text of an event or a service check: what fits into one packet with the rest."""

_Line = tuple[str, Callable[..., None], tuple[Any, ...]]
"""A line, the method of a `MetricBatch` that adds what it contains, and the method's arguments."""


def is_disabled() -> bool:
    """Return whether ``DD_DOGSTATSD_DISABLE`` turns metrics off."""
    return os.environ.get("DD_DOGSTATSD_DISABLE", "").lower() in {"true", "yes", "1"}


class LineWriter:
    """Writes lines of the protocol, each with the constant tags and the container's origin.

    Source: Datadog's documentation of DogStatsD datagrams, version 1.3. ``DD_EXTERNAL_ENV`` and
    ``DD_ORIGIN_DETECTION_ENABLED`` are read by the package.
    """

    def __init__(self, tags: Sequence[str]) -> None:
        self._package = _Package(
            # An explicit host, so that the package reads no address from the environment.
            host="127.0.0.1", namespace=PREFIX, flush_interval=0, disable_telemetry=True,
            track_instance=False,
        )  # fmt: skip
        self._package.constant_tags = list(tags)  # without those that the package reads itself

    def metric(self, key: Key, kind: str, value: float) -> str:
        """Return the line of a metric; ``kind`` is ``c`` or ``g``."""
        return self._line(key, kind, value)

    def samples(self, key: Key, values: Sequence[float], rate: float) -> Iterator[str]:
        """Yield the lines of a distribution's values; only the value differs between them."""
        name, _, rest = self._line(key, "d", "", rate).partition(":")
        return (f"{name}:{value}{rest}" for value in values)

    def _line(self, key: Key, kind: str, value: float | str, rate: float = 1) -> str:
        line: str = self._package._serialize_metric(key[0], kind, value, format_tags(key), rate)  # noqa: SLF001 - the package's public methods would choose samples at random once more
        return line

    def event(
        self, title: str, text: str, alert_type: str, group: str, tags: Sequence[str] = ()
    ) -> str:
        """Return the line of an event; Datadog shows those of one ``group`` together."""
        self._package.event(
            title, _cut(text), alert_type=alert_type, aggregation_key=group,
            source_type_name=PREFIX, tags=list(tags),
        )  # fmt: skip
        return self._package.lines.pop()

    def service_check(self, name: str, status: int, message: str) -> str:
        """Return the line of a service check: 0 (OK), 1 (WARNING), 2 (CRITICAL), 3 (UNKNOWN)."""
        self._package.service_check(name, status, message=_cut(message))
        return self._package.lines.pop()


def _cut(text: str) -> str:
    return text.encode()[:MOST_TEXT].decode(errors="ignore")


class _Package(DogStatsd):
    """The package's client, which keeps its lines instead of sending them."""

    def __init__(self, **options: Any) -> None:
        self.lines: list[str] = []
        super().__init__(**options)

    def _send_to_server(self, packet: str, timestamped: bool = False) -> bool:  # noqa: ARG002, FBT001, FBT002 - the package's signature
        self.lines.append(packet.rstrip("\n"))
        return True


@dataclass(slots=True)
class Packet:
    """Lines that leave together, and the metrics that they are."""

    data: bytes
    content: MetricBatch


def pack(batch: MetricBatch, writer: LineWriter, most: int) -> Iterator[Packet]:
    """Yield the batch in packets of up to ``most`` bytes; a longer line is a packet of its own."""
    packet = Packet(b"", MetricBatch())
    for line, add_to, content in _lines(batch, writer):
        encoded = line.encode(errors="replace") + b"\n"
        if packet.data and len(packet.data) + len(encoded) > most:
            yield packet
            packet = Packet(b"", MetricBatch())
        packet.data += encoded
        add_to(packet.content, *content)
    if packet.data:
        yield packet


def _lines(batch: MetricBatch, writer: LineWriter) -> Iterator[_Line]:
    """Yield each line, and how its content is added to a batch; events first, as they are few."""
    for event in batch.events:
        yield event, MetricBatch.add_event, (event,)
    for name, check in batch.checks.items():
        yield check, MetricBatch.add_check, (name, check)
    for key, value in batch.counts.items():
        yield writer.metric(key, "c", value), MetricBatch.add_count, (key, value)
    for key, number in batch.gauges.items():
        yield writer.metric(key, "g", number), MetricBatch.add_gauge, (key, number)
    for key, choice in batch.samples.items():
        weight = choice.total / len(choice.values)
        lines = writer.samples(key, choice.values, choice.rate)
        for number, line in zip(choice.values, lines, strict=True):
            yield line, MetricBatch.add_sample, (key, number, weight)
