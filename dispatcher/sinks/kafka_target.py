"""Lineage into a topic of Kafka: the last message of a key is the row of its contact."""

import asyncio
import logging
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from dispatcher.ports.sink import LineageRange, SinkError
from dispatcher.sinks.lineage_formats import json_line


@dataclass(frozen=True, slots=True)
class TopicPlace:
    """The topic that messages go to, and how its brokers are reached.

    ``servers`` are host:port, separated by commas. An ``idempotent`` producer writes no message of
    one attempt twice; the brokers must support it. ``answer_seconds`` is how long an answer may
    take.
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
    idempotent: bool = True
    answer_seconds: float = 10.0


class KafkaTarget:
    """Writes each row as a message with the key ``campaign/contact_key``.

    A range that comes again is written again: a reader that keeps the last message of each key, as
    a compacted topic does, has each row once. The header ``range`` is the same in both.

    Raises:
        SinkError: the package is not installed.

    """

    def __init__(self, name: str, place: TopicPlace) -> None:
        if find_spec("aiokafka") is None:
            raise SinkError(
                f"sink {name}: Kafka needs the package aiokafka: pip install 'dispatcher[kafka]'"
            )
        self._title = f"sink {name}: kafka {place.servers}, topic {place.topic}"
        self._place = place
        self._producer: Any = None

    async def write(self, lineage: LineageRange) -> None:
        """Write the messages of a range, and wait until all replicas in sync have them.

        Raises:
            SinkError: the brokers are away or refuse.

        """
        if not lineage.rows:
            return
        try:
            if self._producer is None:
                self._producer = await self._open()
            await self._send(lineage)
        except Exception as error:  # noqa: BLE001 - errors of sockets, TLS and the library
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
        return f"topic {self._place.topic} with {partitions:,} partitions"

    async def close(self) -> None:
        """Close its connections."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(Exception):  # the connection is of no use any more
                async with asyncio.timeout(self._place.answer_seconds):
                    await producer.stop()

    async def _send(self, lineage: LineageRange) -> None:
        name = f"{lineage.token}-{lineage.first}-{lineage.last}"
        headers = [("range", name.encode()), ("part", lineage.part.encode())]
        sent = []
        for row in lineage.rows:
            key = f"{row.campaign}/{row.contact_key}".encode()
            value, topic = json_line(row).encode(), self._place.topic
            sent.append(await self._producer.send(topic, value, key=key, headers=headers))
        results = await asyncio.gather(*sent, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _open(self) -> Any:
        await self._count_partitions()
        place = self._place
        producer = import_module("aiokafka").AIOKafkaProducer(
            **self._arguments(), acks="all", enable_idempotence=place.idempotent
        )
        await self._start(producer.start, producer.stop)
        return producer

    async def _count_partitions(self) -> int:
        """Look the topic up in the list of all, since a broker may create one by its name.

        Raises:
            SinkError: the topic does not exist.

        """
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it reports is an error here
        admin = import_module("aiokafka.admin").AIOKafkaAdminClient(**self._arguments())
        await self._start(admin.start, admin.close)
        try:
            topics = {topic["topic"]: topic for topic in await admin.describe_topics()}
        finally:
            with suppress(Exception):  # the connection is of no use any more
                await admin.close()
        if (topic := topics.get(self._place.topic)) is None:
            raise SinkError(
                f"{self._title}: the topic does not exist, or this user may not see it; create it, "
                "or grant the user DESCRIBE and WRITE on it"
            )
        return len(topic["partitions"])

    async def _start(self, start: Any, stop: Any) -> None:
        try:
            async with asyncio.timeout(3 * self._place.answer_seconds):
                await start()
        except BaseException:
            with suppress(Exception):  # it has nothing that could be lost
                await stop()
            raise

    def _arguments(self) -> dict[str, Any]:
        """Return the arguments that every client of the library takes."""
        place = self._place
        arguments: dict[str, Any] = {
            "bootstrap_servers": [one.strip() for one in place.servers.split(",") if one.strip()],
            "client_id": "dispatcher",
            "request_timeout_ms": int(place.answer_seconds * 1000),
            "security_protocol": place.protocol,
        }
        if place.protocol.endswith("SSL"):
            context = ssl.create_default_context(cafile=place.ca_file or None)
            if place.certificate_file:
                context.load_cert_chain(place.certificate_file, place.key_file or None)
            arguments["ssl_context"] = context
        if place.protocol.startswith("SASL"):
            arguments["sasl_mechanism"] = place.mechanism
            arguments["sasl_plain_username"] = place.username
            arguments["sasl_plain_password"] = place.password
        return arguments

    def _error(self, error: Exception) -> SinkError:
        """Return the error in our words, with what to do where that is known."""
        if isinstance(error, SinkError):
            return error
        names = {kind.__name__ for kind in type(error).__mro__}
        reason = "no answer in time" if isinstance(error, TimeoutError) else str(error)
        hint = ""
        if names & {"AuthenticationFailedError", "SaslAuthenticationFailed"}:
            hint = "; check sasl_username, the password and sasl_mechanism"
        elif names & {"TopicAuthorizationFailedError", "ClusterAuthorizationFailedError"}:
            hint = "; grant the user DESCRIBE and WRITE on the topic"
        elif names & {"UnsupportedVersionError", "IncompatibleBrokerVersion"}:
            hint = "; if the brokers have no idempotent producers, set idempotent = false"
        elif names & {"SSLError", "FileNotFoundError", "PermissionError"}:
            hint = "; check security_protocol, ssl_cafile, ssl_certfile and ssl_keyfile"
        return SinkError(f"{self._title}: {reason or type(error).__name__}{hint}")
