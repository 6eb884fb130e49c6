"""Lineage into a topic of Kafka: each row once by its key, campaign and contact key."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from dispatcher.drivers.kafka import TlsFilesError, client_arguments, load_aiokafka
from dispatcher.drivers.kafka_clients import start_client, stop_client
from dispatcher.ports.sink import LineageRange, SinkError
from dispatcher.sinks.lineage_formats import write_rows

_HINTS: Mapping[frozenset[str], str] = {
    frozenset({"AuthenticationFailedError", "SaslAuthenticationFailed"}): (
        "; check sasl_username, the password and sasl_mechanism"
    ),
    frozenset({"TopicAuthorizationFailedError", "ClusterAuthorizationFailedError"}): (
        "; grant the user DESCRIBE and WRITE on the topic"
    ),
    frozenset({"UnsupportedVersionError", "IncompatibleBrokerVersion"}): (
        "; if the brokers have no idempotent producers, set idempotent = false"
    ),
}
"""What to do about errors of the library, by the names of their classes."""


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
            await self._confirm(sent)
        except Exception as error:  # noqa: BLE001 - the library's errors share no base class
            await self.close()
            raise self._error(error) from None

    async def check(self) -> str:
        """Return what is there, in words.

        Raises:
            SinkError: the brokers are away or refuse, or the topic does not exist.

        """
        try:
            partitions = await self._count_partitions()
        except Exception as error:  # noqa: BLE001 - as above
            raise self._error(error) from None
        return f"{partitions:,} partitions in the topic {self._topic.topic}"

    async def close(self) -> None:
        """Close the connections."""
        producer, self._producer = self._producer, None
        if producer is not None:  # what was not written is known already
            await stop_client(producer, self._topic.answer_seconds)

    async def _confirm(self, sent: Sequence[asyncio.Future[Any]]) -> None:
        """Wait until all messages are written.

        There is a limit for each after the one before it: an idempotent producer itself tries for
        ever, so that nobody would learn that the brokers are away.
        """
        asyncio.gather(*sent, return_exceptions=True)  # also the errors that are not awaited below
        for future in sent:
            async with asyncio.timeout(3 * self._topic.answer_seconds):
                await future

    async def _open(self) -> Any:
        if self._producer is None:
            await self._count_partitions()
            producer = self._library.AIOKafkaProducer(
                **self._arguments, acks="all", enable_idempotence=self._topic.idempotent
            )
            await start_client(producer, 3 * self._topic.answer_seconds)
            self._producer = producer
        return self._producer

    async def _count_partitions(self) -> int:
        """Look the topic up in the list of all, since a broker may create one by its name."""
        admin = self._library.admin.AIOKafkaAdminClient(**self._arguments)
        await start_client(admin, 3 * self._topic.answer_seconds)
        try:
            topics = {topic["topic"]: topic for topic in await admin.describe_topics()}
        finally:
            await stop_client(admin, self._topic.answer_seconds)
        if (topic := topics.get(self._topic.topic)) is None:
            raise SinkError(
                f"sink {self._name}: the brokers at {self._topic.servers} have no topic "
                f"{self._topic.topic}, or this user may not see it; create it, or grant the user "
                "DESCRIBE and WRITE on it"
            )
        return len(topic["partitions"])

    def _error(self, error: Exception) -> SinkError:
        """Return the error in our words, with what to do where that is known."""
        if isinstance(error, SinkError):
            return error
        names = {kind.__name__ for kind in type(error).__mro__}
        reason = "no answer in time" if isinstance(error, TimeoutError) else str(error)
        hints = (hint for kinds, hint in _HINTS.items() if names & kinds)
        return SinkError(
            f"sink {self._name}: the brokers at {self._topic.servers} do not take messages of "
            f"the topic {self._topic.topic}: {reason or type(error).__name__}{next(hints, '')}"
        )

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
