"""Brokers that do not answer a sink: the reason is named, and nothing of a client stays."""

import asyncio
import struct
from contextlib import asynccontextmanager, suppress

import pytest

from dispatcher.ports.sink import SinkError
from dispatcher.sinks.kafka_target import KafkaTarget, KafkaTopic
from tests.contract.test_sink_contract import a_range, row
from tests.support.servers.kafka import free_port, kafka

PRODUCE, INIT_PRODUCER_ID = 0, 22


@asynccontextmanager
async def mute_front(servers, front):
    """Pass requests to a broker, but let no produce request be answered.

    A request for the id of an idempotent producer is answered here: the broker knows none.
    """

    async def requests(reader, writer, answers):
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                size = await reader.readexactly(4)
                body = await reader.readexactly(int.from_bytes(size))
                kind, _, correlation = struct.unpack(">hhi", body[:8])
                if kind == INIT_PRODUCER_ID:
                    answer = struct.pack(">iihqh", correlation, 0, 0, 7, 0)
                    answers.write(len(answer).to_bytes(4) + answer)
                elif kind != PRODUCE:
                    writer.write(size + body)
        writer.close()

    async def responses(reader, writer):
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    async def join(reader, writer):
        joins.add(asyncio.current_task())
        inner_reader, inner_writer = await asyncio.open_connection(*servers.split(":"))
        await asyncio.gather(
            requests(reader, inner_writer, writer), responses(inner_reader, writer)
        )

    joins = set()
    host, port = front.split(":")
    server = await asyncio.start_server(join, host, int(port))
    try:
        yield
    finally:
        server.close()
        await asyncio.gather(*joins)


@pytest.mark.parametrize("idempotent", [True, False])
async def test_brokers_that_confirm_no_message_are_away(idempotent):
    """Also for an idempotent producer, which by itself tries for ever."""
    front = f"127.0.0.1:{free_port()}"
    with kafka(advertised=front) as broker:
        async with mute_front(broker.servers, front):
            topic = await asyncio.to_thread(broker.topic)
            place = KafkaTopic(front, topic.name, idempotent=idempotent, answer_seconds=0.3)
            target = KafkaTarget("out", place)
            with pytest.raises(SinkError, match=r"do not take messages of the topic contacts-"):
                await asyncio.wait_for(target.write(a_range(row(1))), 20)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_close_while_a_broker_does_not_answer_leaves_nothing():
    """A client that stayed would connect and write again when the broker is back."""
    with kafka() as broker:
        topic = broker.topic()
        place = KafkaTopic(topic.servers, topic.name, idempotent=False, answer_seconds=0.3)
        target = KafkaTarget("out", place)
        await target.write(a_range(row(1)))
        broker.freeze()
        writing = asyncio.ensure_future(target.write(a_range(row(2), first="1")))
        await asyncio.sleep(0)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        await target.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}
