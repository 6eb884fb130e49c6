"""Lineage into a topic of Kafka: each row once by its key, campaign and contact key."""

from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from dispatcher.drivers.kafka import TlsFilesError, client_arguments, load_aiokafka
from dispatcher.ports.sink import LineageRange, SinkError
from dispatcher.sinks.lineage_formats import write_rows


@dataclass(frozen=True, slots=True)
class KafkaTopic:
    """The topic, and how its brokers are reached; see `Brokers`.

    An ``idempotent`` producer writes a message once although it repeats a request. The brokers must
    support that, and the user must have the right IDEMPOTENT_WRITE in older clusters.
    """

    servers: str
    topic: str
    protocol: str = "PLAINTEXT"
    mechanism: str = "PLAIN"
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    answer_seconds: float = 10.0
    idempotent: bool = True


class KafkaTarget:
    """Writes each row as a message: JSON as in an export, its key ``CAMPAIGN/CONTACT_KEY``.

    The header ``cursor`` has the end of the row's range. A range that goes out again after a crash
    makes its messages again: consumers take the last one of a key, as a compacted topic keeps it.

    Raises:
        SinkError: the package is not installed, or a file of TLS cannot be read.

    """

    def __init__(self, name: str, topic: KafkaTopic) -> None:
        self._name = name
        self._topic = topic
        self._producer: Any = None
        try:
            self._library = load_aiokafka()
            self._arguments = client_arguments(topic)
        except ImportError:
            raise SinkError(
                f"sink {name}: the package aiokafka is missing: pip install 'dispatcher[kafka]'"
            ) from None
        except TlsFilesError as error:
            raise SinkError(f"sink {name}: a file of TLS cannot be read: {error}") from None

    async def write(self, lineage: LineageRange) -> None:
        """Write the messages of a range, and wait until all brokers that matter have them.

        Raises:
            SinkError: a message was perhaps not written.

        """
        if not lineage.rows:
            return
        try:
            producer = await self._open()
            sent = [
                await producer.send(self._topic.topic, value, key, headers=headers)
                for key, value, headers in self._messages(lineage)
            ]
            await producer.flush()
            for future in sent:
                await future
        except (self._library.errors.KafkaError, OSError) as error:
            await self.close()
            raise SinkError(
                f"sink {self._name}: the brokers at {self._topic.servers} do not take messages of "
                f"the topic {self._topic.topic}: {str(error) or type(error).__name__}"
            ) from None

    async def close(self) -> None:
        """Close the connections."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

    async def _open(self) -> Any:
        if self._producer is None:
            producer = self._library.AIOKafkaProducer(
                **self._arguments, acks="all", enable_idempotence=self._topic.idempotent
            )
            try:
                await producer.start()
            except BaseException:
                await producer.stop()
                raise
            self._producer = producer
        return self._producer

    def _messages(
        self, lineage: LineageRange
    ) -> list[tuple[bytes, bytes, list[tuple[str, bytes]]]]:
        out = BytesIO()
        write_rows("jsonl", lineage.rows, out)
        headers = [("cursor", lineage.last.encode()), ("part", lineage.part.encode())]
        return [
            (f"{row.campaign}/{row.contact_key}".encode(), line, headers)
            for row, line in zip(lineage.rows, out.getvalue().splitlines(), strict=True)
        ]
