"""A topic of a broker that speaks Kafka's protocol, one JSON object a message."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.sources.kind import COLUMNS, contact_rows
from tests.support.servers.kafka import Broker, kafka

_MESSAGES = 10_000
"""So many are made at a time."""


class Frozen:
    """A broker that is stopped for a while: its connections stay, and nothing is answered."""

    def __init__(self, broker: Broker) -> None:
        self.break_off = broker.freeze
        self.give_back = broker.thaw


class Messages:
    """One topic with one partition, new each time that it is filled."""

    environment: Mapping[str, str] = {}

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._topic = broker.topic()
        self.breakable = Frozen(broker)

    def fill(self, rows: int) -> None:
        """Write the messages into a topic of their own."""
        self._topic = self._broker.topic()
        waiting = []
        for row in contact_rows(rows):
            waiting.append(json.dumps(dict(zip(COLUMNS, row, strict=True))).encode())
            if len(waiting) == _MESSAGES:
                self._topic.put(*waiting)
                waiting.clear()
        self._topic.put(*waiting)

    def settings(self, *, breakable: bool) -> Mapping[str, object]:
        """Return the topic and its broker."""
        del breakable
        return {
            "source.kind": "kafka",
            "source.kafka.bootstrap_servers": self._topic.servers,
            "source.kafka.topic": self._topic.name,
            "source.kafka.timeout_seconds": 2,
        }


@contextmanager
def topic(folder: Path) -> Iterator[Messages]:
    """Run the broker for as long as the block lasts."""
    del folder
    with kafka() as broker:
        yield Messages(broker)
