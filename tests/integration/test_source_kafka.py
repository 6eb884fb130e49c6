"""A topic of a real broker: bad messages, lost ones, new partitions, and a broker that is away."""

import asyncio
import gc
from contextlib import aclosing, asynccontextmanager, suppress

import pytest

from dispatcher.domain.growing_pause import GrowingPause
from dispatcher.ports import Admitted, SourceError
from dispatcher.sources.kafka.connection import KafkaOptions
from dispatcher.sources.kafka.kafka_source import KafkaSource
from dispatcher.sources.kafka.topic_count import count_topic
from dispatcher.sources.options import RowRules
from tests.support.rawserver import self_signed, server_tls
from tests.support.servers.kafka import free_port, kafka
from tests.support.servers.shared import on

pytestmark = on("kafka_server")
RULES = RowRules(text="Hello {name|there}")


@pytest.fixture(autouse=True)
def collected():
    """A connection that a test leaves open fails this test, and not a later one."""
    yield
    gc.collect()


@pytest.fixture
def topic(kafka_server):
    """A topic with one partition and three messages."""
    made = kafka_server.topic()
    made.put(*map(message, range(3)))
    return made


def message(number, extra=""):
    return b'{"conversation_id": "c%d"%s}' % (number, extra.encode())


def make_source(topic, *, rules=RULES, until_end=True, key=False, patient=True, **more):
    options = KafkaOptions(topic.servers, topic.name, **{"look_seconds": 0.05, **more})
    return KafkaSource(options, rules, until_end=until_end, key_is_contact_key=key, patient=patient)


async def drained(source, known=()):
    async with asyncio.timeout(20):
        return [batch async for batch in source.batches(dict(known))]


def ids(batches):
    return [contact.conversation_id for batch in batches for contact in batch.contacts]


def places(batches):
    return {batch.stream.fingerprint: batch.stream for batch in batches}


def bad_rows(batches):
    return [(row.file, row.line, row.reason) for batch in batches for row in batch.rejected]


async def batches_until(batches, enough):
    """Take batches until they are enough."""
    taken = []
    async with asyncio.timeout(20):
        while not enough(taken):
            taken.append(await anext(batches))
    return taken


@asynccontextmanager
async def waiting(batches):
    """Read on in a task; a test looks at the source meanwhile."""
    task = asyncio.ensure_future(anext(batches))
    try:
        yield task
    finally:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def seen(condition):
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - a sentence of a source is no event
            await asyncio.sleep(0.01)


async def test_bad_messages_are_kept_with_their_partition_and_offset(kafka_server):
    """A tombstone, an array, bytes that are not UTF-8, no JSON, no id: the others go on."""
    topic = kafka_server.topic(2)
    values = [None, b"[]", b'{"conversation_id": "\xff"}', b"no", b"{}", message(1)]
    topic.put(*values, partition=1, keys=[b"k"] * len(values))
    batches = await drained(make_source(topic))
    assert ids(batches) == ["c1"]
    reasons = ["tombstone", "json", "encoding", "json", "no_id"]
    assert bad_rows(batches) == [(f"{topic.name}[1]", n, why) for n, why in enumerate(reasons)]
    raws = [row.raw for batch in batches for row in batch.rejected]
    assert raws == [b"", b"[]", b'{"conversation_id": "\xff"}', b"no", b"{}"]


async def test_the_key_of_a_message_is_the_contact_key(kafka_server):
    """Without one, or with another one in the object, the message is rejected."""
    topic = kafka_server.topic()
    differs = message(3, ', "contact_key": "other"')
    topic.put(message(1), message(2), differs, keys=[b"k1", None, b"k3"])
    batches = await drained(make_source(topic, key=True))
    assert [contact.key for batch in batches for contact in batch.contacts] == ["k1"]
    assert [reason for _, _, reason in bad_rows(batches)] == ["bad_id", "columns"]


async def test_a_column_that_the_settings_name_must_be_somewhere(topic):
    """A misspelt one is named before anybody is admitted; one message that has it is enough."""
    rules = RowRules(text="Hello {name|there}", needed=("name",))
    with pytest.raises(SourceError, match="no message has 'name'"):
        await drained(make_source(topic, rules=rules))
    topic.put(message(5, ', "name": null'))
    batches = await drained(make_source(topic, rules=rules))
    assert ids(batches) == ["c0", "c1", "c2", "c5"]
    topic.put(message(6))
    assert ids(await drained(make_source(topic, rules=rules), places(batches))) == ["c6"]


async def test_each_partition_has_its_own_place(kafka_server):
    """What is known of one says nothing about the others."""
    topic = kafka_server.topic(3)
    for number in range(3):
        topic.put(*map(message, range(10 * number, 10 * number + 4)), partition=number)
    batches = await drained(make_source(topic))
    assert sorted(ids(batches)) == sorted(f"c{10 * n + m}" for n in range(3) for m in range(4))
    known = places(batches)
    assert sorted(stream.name for stream in known.values()) == [
        f"{topic.name}[{n}]" for n in (0, 1, 2)
    ]
    topic.put(message(99), partition=2)
    (batch,) = await drained(make_source(topic), known)
    assert (ids([batch]), batch.before, batch.stream.at) == (["c99"], "4", "5")


async def test_the_end_is_that_of_the_start(topic):
    """A run that ends does not follow messages that come while it reads."""
    source = make_source(topic)
    async with aclosing(source.batches({})) as batches:
        first = await anext(batches)
        topic.put(*map(message, range(3, 600)))
        rest = [batch async for batch in batches]
    assert len(ids([first, *rest])) < 600


async def test_messages_are_read_as_they_come(topic):
    """The lag is what the ledger does not have yet."""
    source = make_source(topic, until_end=False)
    assert source.watched
    async with aclosing(source.batches({})) as batches:
        first = await anext(batches)
        assert source.lag == 3
        first.done(Admitted(3, 0, (), ()))
        assert source.lag == 0
        topic.put(message(7))
        assert ids([await anext(batches)]) == ["c7"]
        assert source.lag == 1


async def test_latest_means_from_now_on(topic):
    """Also after a restart before the first message: the place is in the ledger at once."""
    source = make_source(topic, until_end=False, start="latest")
    async with aclosing(source.batches({})) as batches:
        noted = [await anext(batches), await anext(batches)]
    assert ids(noted) == []
    topic.put(message(8))
    again = await drained(make_source(topic, start="latest"), places(noted))
    assert ids(again)[-1:] == ["c8"]
    assert "c0" not in ids(again)


async def test_a_topic_that_was_created_again_is_reported(topic):
    """The place is behind the end: one rejected row, and reading goes on from the beginning."""
    known = places(await drained(make_source(topic)))
    topic.recreate(2)
    topic.put(message(10))
    topic.put(message(11), partition=1)
    batches = await drained(make_source(topic), known)
    assert bad_rows(batches) == [(f"{topic.name}[0]", 3, "lost")]
    assert sorted(ids(batches)) == ["c10", "c11"]
    (lost,) = [batch for batch in batches if batch.rejected]
    assert (lost.before, lost.stream.at) == ("3", "0")
    assert "ends at offset 1, and was read up to 3" in lost.rejected[0].detail
    assert await drained(make_source(topic), {**known, **places(batches)}) == []


async def test_a_topic_is_created_again_while_it_is_read(topic):
    """With one more partition, which is found and read from its beginning."""
    source = make_source(topic, until_end=False)
    async with aclosing(source.batches({})) as batches:
        await batches_until(batches, lambda taken: len(ids(taken)) == 3)
        topic.recreate(2)
        topic.put(message(20))
        topic.put(message(21), partition=1)
        taken = await batches_until(batches, lambda taken: len(ids(taken)) == 2)
    assert sorted(ids(taken)) == ["c20", "c21"]
    assert bad_rows(taken) == [(f"{topic.name}[0]", 3, "lost")]


async def test_another_generation_is_another_stream(topic):
    """For a topic that was created again and has more messages than were read."""
    known = places(await drained(make_source(topic)))
    assert await drained(make_source(topic), known) == []
    assert len(ids(await drained(make_source(topic, generation="2"), known))) == 3


async def test_a_broker_that_does_not_answer_is_waited_for(monkeypatch):
    """The reason is shown, and the next message comes once it answers again."""
    monkeypatch.setattr(GrowingPause, "next", lambda _: 0.05)
    with kafka() as own:
        topic = own.topic()
        topic.put(message(1))
        source = make_source(topic, until_end=False, answer_seconds=0.3)
        async with aclosing(source.batches({})) as batches:
            assert ids([await anext(batches)]) == ["c1"]
            own.freeze()
            async with waiting(batches) as reading:
                await seen(lambda: "no answer in time" in source.waits_for)
                own.thaw()
                await seen(lambda: not source.waits_for)
                topic.put(message(2))
                assert ids([await asyncio.wait_for(reading, 20)]) == ["c2"]


async def test_a_broker_that_ends_is_waited_for(monkeypatch):
    """It refuses connections, which must not end the reading; nothing of the old one is left."""
    monkeypatch.setattr(GrowingPause, "next", lambda _: 0.05)
    port = free_port()
    nowhere = KafkaOptions(f"127.0.0.1:{port}", "contacts", look_seconds=0.3, answer_seconds=0.3)
    source = KafkaSource(nowhere, RULES)
    async with aclosing(source.batches({})) as batches:
        with kafka(port=port) as own:
            own.topic(name="contacts").put(message(1))
            assert ids([await asyncio.wait_for(anext(batches), 20)]) == ["c1"]
        async with waiting(batches) as reading:
            await seen(lambda: "Connect call failed" in source.waits_for or reading.done())
            assert asyncio.all_tasks() == {asyncio.current_task(), reading}
            with kafka(port=port) as own:
                own.topic(name="contacts").put(message(2), message(3))
                assert ids([await asyncio.wait_for(reading, 20)]) == ["c3"]


async def test_closing_ends_the_connection(topic):
    """Also while the first batches may be held back for their columns."""
    source = make_source(topic, until_end=False)
    async with aclosing(source.batches({})) as batches:
        await anext(batches)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_broker_may_be_away_at_the_start(monkeypatch):
    """A run waits for it; a check reports it."""
    monkeypatch.setattr(GrowingPause, "next", lambda _: 0.05)
    port = free_port()
    nowhere = KafkaOptions(f"127.0.0.1:{port}", "contacts", answer_seconds=1)
    source = KafkaSource(nowhere, RULES)
    async with aclosing(source.batches({})) as batches, waiting(batches) as reading:
        await seen(lambda: "Connect call failed" in source.waits_for)
        with kafka(port=port) as own:
            own.topic(name="contacts").put(message(1))
            assert ids([await asyncio.wait_for(reading, 20)]) == ["c1"]
    with pytest.raises(SourceError, match="check that it runs and can be reached"):
        await drained(KafkaSource(nowhere, RULES, patient=False))


async def test_a_topic_that_does_not_exist_is_named(kafka_server, topic):
    """And is not created by the question."""
    topic.name = "other"
    for _ in range(2):
        with pytest.raises(SourceError, match="topic other: the topic does not exist"):
            await drained(make_source(topic))


async def test_the_messages_are_counted(topic):
    """For a check of the configuration."""
    counted = await count_topic(KafkaOptions(topic.servers, topic.name))
    assert counted.startswith("1 partitions with about ")


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_a_refused_login_is_named(mechanism):
    """At once, and without the password."""
    with kafka("--authentication") as own:
        options = KafkaOptions(
            own.servers, "contacts", protocol="SASL_PLAINTEXT", mechanism=mechanism,
            username="reader", password="wrong-5X", answer_seconds=2,
        )  # fmt: skip
        assert "wrong-5X" not in repr(options)
        with pytest.raises(SourceError, match=r"login of user 'reader' .* is refused") as refused:
            await drained(KafkaSource(options, RULES, until_end=True))
        assert "wrong-5X" not in str(refused.value)


async def test_a_broker_with_tls(tmp_path):
    """Its certificate must be one that is trusted."""
    certificate, key = self_signed(tmp_path)
    front = f"127.0.0.1:{free_port()}"
    with kafka(advertised=front) as own:
        async with tls_before(own.servers, front, server_tls(certificate, key)):
            tls = {"protocol": "SSL", "answer_seconds": 2}
            trusting = KafkaOptions(front, "contacts", ca_file=str(certificate), **tls)
            with pytest.raises(SourceError, match="the topic does not exist"):
                await drained(KafkaSource(trusting, RULES, until_end=True))
            with pytest.raises(SourceError, match="certificate verify failed"):
                await drained(KafkaSource(KafkaOptions(front, "contacts", **tls), RULES))


@asynccontextmanager
async def tls_before(servers, front, context):
    """Accept TLS at ``front``, and pass the bytes on to a broker without it."""

    async def pump(reader, writer):
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def join(reader, writer):
        joins.add(asyncio.current_task())
        inner_reader, inner_writer = await asyncio.open_connection(*servers.split(":"))
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))
        for end in (writer, inner_writer):
            end.transport.abort()

    joins = set()
    host, port = front.split(":")
    server = await asyncio.start_server(join, host, int(port), ssl=context)
    try:
        yield
    finally:
        server.close()
        await asyncio.gather(*joins)
