"""Connects to the brokers, and names what is wrong if that is not possible."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from dispatcher.drivers.kafka import TlsFilesError, client_arguments, load_aiokafka
from dispatcher.drivers.kafka_clients import start_client, stop_client
from dispatcher.ports import SourceError

FETCH_BYTES = 4 << 20
PARTITION_BYTES = 1 << 20
"""Bytes of messages that one request returns at most, in all and of one partition."""


class AwayError(Exception):
    """The brokers cannot be reached now; the message says why."""


@dataclass(frozen=True, slots=True)
class KafkaOptions:
    """Which topic is read, and how the brokers are reached.

    ``servers`` are host:port, separated by commas. ``generation`` makes the partitions of a topic
    that was created again other streams than those of the earlier topic. If the ledger has no place
    of the topic, reading begins at ``start``. ``answer_seconds`` is how long an answer may take,
    ``look_seconds`` the time between two looks for new partitions and for the ends of all.
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
    generation: str = ""
    start: str = "earliest"
    answer_seconds: float = 10.0
    look_seconds: float = 5.0

    @property
    def title(self) -> str:
        """What errors call it."""
        return f"kafka {self.servers}, topic {self.topic}"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic of a cluster, with the numbers of its partitions."""

    cluster: str
    partitions: tuple[int, ...]


def load_library() -> Any:
    """Return aiokafka, without its log: what it would report is in ``waits_for``.

    Raises:
        SourceError: it is not installed.

    """
    try:
        return load_aiokafka()
    except ImportError:
        raise SourceError(
            "source.kind = \"kafka\" needs the library aiokafka: pip install 'dispatcher[kafka]'"
        ) from None


async def find_topic(options: KafkaOptions) -> Topic:
    """Return the topic. It is looked up in the list of all, since a broker may create one by name.

    Raises:
        AwayError: no broker answers.
        SourceError: a person must mend it: the topic does not exist, or the login is refused.

    """
    library = load_library()
    admin = library.admin.AIOKafkaAdminClient(**_common(options))
    async with _connected(admin, options):
        cluster = await admin.describe_cluster()
        topics = {topic["topic"]: topic for topic in await admin.describe_topics()}
    topic = topics.get(options.topic)
    if topic is None:
        raise SourceError(
            f"{options.title}: the topic does not exist, or this user may not see it; create it, "
            "or grant the user DESCRIBE and READ on it"
        )
    numbers = sorted(part["partition"] for part in topic["partitions"])
    return Topic(cluster.get("cluster_id") or "", tuple(numbers))


@asynccontextmanager
async def open_consumer(options: KafkaOptions, wait_ms: int) -> AsyncIterator[Any]:
    """Have a consumer without a group; a fetch waits up to ``wait_ms`` for messages.

    Raises:
        AwayError: no broker answers.
        SourceError: a person must mend it.

    """
    library = load_library()
    consumer = library.AIOKafkaConsumer(
        **_common(options),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed",
        fetch_max_wait_ms=wait_ms,
        fetch_max_bytes=FETCH_BYTES,
        max_partition_fetch_bytes=PARTITION_BYTES,
        metadata_max_age_ms=int(options.look_seconds * 1000),
    )
    async with _connected(consumer, options):
        yield consumer


@asynccontextmanager
async def _connected(client: Any, options: KafkaOptions) -> AsyncIterator[None]:
    errors = import_module("aiokafka.errors")
    try:
        try:
            await start_client(client, 3 * options.answer_seconds)
        except (errors.KafkaConnectionError, TimeoutError, KeyError) as error:
            await _find_cause(options)
            raise AwayError(f"{options.title}: {_words(error)}") from None
        try:
            yield
        finally:
            await stop_client(client, options.answer_seconds)
    except (errors.KafkaError, OSError) as error:  # a timeout and a failure of TLS, too
        if problem := _needs_person(error, options):
            raise SourceError(problem) from None
        raise AwayError(f"{options.title}: {_words(error)}") from None


async def _find_cause(options: KafkaOptions) -> None:
    """Connect to each server once more: the library does not say why it could not connect.

    Raises:
        KafkaError, OSError, TimeoutError: the cause.

    """
    connect = import_module("aiokafka.conn").create_conn
    arguments = _common(options)
    for server in arguments.pop("bootstrap_servers"):
        host, _, port = server.rpartition(":")
        async with asyncio.timeout(options.answer_seconds):
            try:
                connection = await connect(host.strip("[]"), int(port), **arguments)
            except KeyError:  # the library looks for a proof in the refusal of SCRAM
                errors = import_module("aiokafka.errors")
                raise errors.AuthenticationFailedError from None
        await asyncio.wait([connection.close()], timeout=options.answer_seconds)


def _needs_person(error: Exception, options: KafkaOptions) -> str:
    """Return what a person must mend; empty if the brokers are only away."""
    names = {kind.__name__ for kind in type(error).__mro__}
    where = f"{options.title}: "
    if names & {"AuthenticationFailedError", "SaslAuthenticationFailed"}:
        return (
            f"{where}the login of user {options.username!r} with {options.mechanism} is refused; "
            "check source.kafka.sasl_username, the password and sasl_mechanism"
        )
    if names & {"UnsupportedSaslMechanismError", "IllegalSaslStateError"}:
        return (
            f"{where}the brokers do not support source.kafka.sasl_mechanism = "
            f'"{options.mechanism}" with security_protocol = "{options.protocol}"'
        )
    if names & {"TopicAuthorizationFailedError", "ClusterAuthorizationFailedError"}:
        return f"{where}the user may not read it; grant the user DESCRIBE and READ on the topic"
    cause = error.__cause__
    if isinstance(error, ssl.SSLError) or isinstance(cause, ssl.SSLError):
        shown = error if isinstance(error, ssl.SSLError) else cause
        return f"{where}TLS fails: {shown}; check source.kafka.ssl_cafile and security_protocol"
    return ""


def _words(error: Exception) -> str:
    """Return an error in words: some have no text."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__


def _common(options: KafkaOptions) -> dict[str, Any]:
    """Return the arguments that every client of the library takes."""
    try:
        return client_arguments(options)
    except TlsFilesError as error:
        raise SourceError(
            f"{options.title}: source.kafka.ssl_cafile, ssl_certfile or ssl_keyfile cannot be "
            f"read: {error}"
        ) from None
