"""What every source guarantees, checked against each of them."""

import asyncio
import gc
import gzip
import io
import os
import threading
from contextlib import aclosing
from functools import partial

import pytest
import zstandard
from sqlalchemy import create_engine, make_url, text

from dispatcher.ports import Admitted, Post, PostLayout
from dispatcher.sources.away import AwayWait
from dispatcher.sources.factory import open_source
from dispatcher.sources.files.stream_source import StreamSource
from dispatcher.sources.intake.http_source import HttpSource
from dispatcher.sources.kafka.connection import KafkaOptions
from dispatcher.sources.kafka.kafka_source import KafkaSource
from dispatcher.sources.key_source import KeySource
from dispatcher.sources.objects.object_files import ObjectFiles, StoreOptions
from dispatcher.sources.objects.object_source import ObjectSource
from dispatcher.sources.options import RowRules, Timing
from dispatcher.sources.snowflake.query import SnowflakeQuery, SnowflakeRows
from dispatcher.sources.snowflake.result_source import SnowflakeResultSource
from dispatcher.sources.sql.database import Database, SqlQuery
from tests.support.lazy_imports import Lazily
from tests.support.servers.azure import azurite
from tests.support.servers.s3 import PublicBucket
from tests.support.servers.shared import marks_of

pa, pq = Lazily("pyarrow"), Lazily("pyarrow.parquet")

ROWS = 1000
RULES = RowRules(text="Hello {n}", filter={"status": ["open"]})


def csv():
    lines = ["conversation_id,n,status"]
    for number in range(ROWS):
        lines.append(f"c{number},{number},{'open' if number % 5 else 'done'}")
        if number % 10 == 3:
            lines[-1] = "bad"
    return "\n".join(lines).encode()


def json_lines():
    row = '{{"conversation_id":"c{0}","n":{0},"status":"{1}"}}'
    lines = [
        "bad" if number % 10 == 3 else row.format(number, "open" if number % 5 else "done")
        for number in range(ROWS)
    ]
    return "\n".join(lines).encode()


EXPECTED = [f"c{n}" for n in range(ROWS) if n % 5 and n % 10 != 3]


class OneFile:
    """A path, in one format and compression."""

    resumes = True
    ends = True

    def __init__(self, folder, name, data):
        self.path = folder / name
        self.path.write_bytes(data)

    def source(self):
        return open_source(str(self.path), RULES)

    def close(self):
        """Nothing to give back."""


class Glob(OneFile):
    """The rows split over two files."""

    def __init__(self, folder):
        lines = csv().split(b"\n")
        super().__init__(folder, "1.csv", b"\n".join(lines[:801]))
        super().__init__(folder, "2.csv", b"\n".join([lines[0], *lines[801:]]))

    def source(self):
        return open_source(str(self.path.parent / "*.csv"), RULES)


class Folder(OneFile):
    """A watched folder that ends when it is empty."""

    def source(self):
        return open_source(
            str(self.path.parent), RULES, watch=True, once=True, timing=Timing(0.01, 0.02)
        )


class Stream:
    """Standard input, fed from a pipe of its own each time."""

    resumes = False

    def __init__(self):
        self.pipes = []

    def source(self):
        read_end, write_end = os.pipe()
        self.pipes.append(read_end)

        def feed():
            try:
                with os.fdopen(write_end, "wb") as writer:
                    writer.write(csv())
            except BrokenPipeError:
                return

        threading.Thread(target=feed, name="feed").start()
        return StreamSource("-", RULES, descriptor=read_end)

    def close(self):
        end_readers()
        for pipe in self.pipes:
            os.close(pipe)
        for thread in threading.enumerate():
            if thread.name == "feed":
                thread.join(5)


def parquet():
    """The rows as a table; a bad one has no conversation."""
    numbers = range(ROWS)
    table = {
        "conversation_id": [None if n % 10 == 3 else f"c{n}" for n in numbers],
        "n": [str(n) for n in numbers],
        "status": ["open" if n % 5 else "done" for n in numbers],
    }
    file = io.BytesIO()
    pq.write_table(pa.table(table), file, row_group_size=300)
    return file.getvalue()


class Objects:
    """Objects of a bucket of their own."""

    resumes = True
    ends = True

    def __init__(self, bucket, **objects):
        self.bucket = bucket
        for key, data in objects.items():
            bucket.put(f"in/{key.replace('_', '.')}", data)

    def source(self):
        options = StoreOptions(self.bucket.config, allow_http=True)
        return ObjectSource(ObjectFiles(f"{self.bucket.address}/in/*", options, AwayWait()), RULES)

    def close(self):
        """Nothing to give back: the bucket ends with its server."""


class Topic:
    """A topic with one partition, so that there is one order."""

    resumes = True
    ends = False

    def __init__(self, topic):
        self.topic = topic
        topic.put(*json_lines().split(b"\n"))

    def source(self):
        options = KafkaOptions(self.topic.servers, self.topic.name)
        return KafkaSource(options, RULES, until_end=True)

    def close(self):
        """Close what the library has left open, before another test is blamed for it."""
        gc.collect()


class Rows:
    """Rows of a table, read in pages by a key."""

    resumes = True
    ends = False

    def __init__(self, database):
        self.query = SqlQuery(database.url, "SELECT * FROM contacts", "id", page_rows=300)
        self.password = database.password
        engine = create_engine(make_url(database.url).set(password=self.password or None))
        with engine.begin() as connection:
            connection.execute(text(TABLE))
            rows = [
                {
                    "id": number,
                    "conversation_id": None if number % 10 == 3 else f"c{number}",
                    "n": number,
                    "status": "open" if number % 5 else "done",
                }
                for number in range(ROWS)
            ]
            connection.execute(text(INSERT), rows)
        engine.dispose()

    def source(self):
        return KeySource(self.query, partial(Database, self.query, self.password), RULES)

    def close(self):
        """Nothing to give back: the database ends with its server."""


class SnowflakeTable:
    """Rows of a table in Snowflake, read in pages by a key, or as one result."""

    resumes = True

    def __init__(self, database, key):
        select = "SELECT * FROM contacts ORDER BY id -- the order is for the result"
        self.query = SnowflakeQuery(database.login, select, key, page_rows=600)
        self.ends = not key
        database.execute(
            "CREATE TABLE contacts AS SELECT seq4() AS id, "
            "iff(id % 10 = 3, NULL, 'c' || id) AS conversation_id, id AS n, "
            "iff(id % 5 = 0, 'done', 'open') AS status "
            f"FROM TABLE(GENERATOR(ROWCOUNT => {ROWS}))"
        )

    def source(self):
        kind = KeySource if self.query.key else SnowflakeResultSource
        return kind(self.query, partial(SnowflakeRows, self.query), RULES)

    def close(self):
        """Nothing to give back: the database ends with its server."""


class SqliteFile:
    """A database of SQLite."""

    password = ""

    def __init__(self, folder):
        self.url = f"sqlite:///{folder / 'contacts.db'}"


TABLE = "CREATE TABLE contacts (id INTEGER, conversation_id TEXT, n INTEGER, status TEXT)"
INSERT = "INSERT INTO contacts VALUES (:id, :conversation_id, :n, :status)"
SNOWFLAKE = {
    "snowflake by key": lambda database: SnowflakeTable(database, "id"),
    "snowflake result": lambda database: SnowflakeTable(database, ""),
}
DATABASES = {
    "sql postgresql": lambda request, _: Rows(
        request.getfixturevalue("postgres_server").database()
    ),
    "sql sqlite": lambda _, folder: Rows(SqliteFile(folder)),
}
OBJECTS = {
    "s3 csv": lambda bucket: Objects(bucket, a_csv=csv()),
    "s3 csv.gz": lambda bucket: Objects(bucket, a_csv_gz=gzip.compress(csv())),
    "s3 jsonl.zst": lambda bucket: Objects(bucket, a_jsonl_zst=zstandard.compress(json_lines())),
    "s3 parquet": lambda bucket: Objects(bucket, a_parquet=parquet()),
    "gs csv": lambda bucket: Objects(bucket, a_csv=csv()),
    "az csv": lambda bucket: Objects(bucket, a_csv=csv()),
    "az parquet": lambda bucket: Objects(bucket, a_parquet=parquet()),
}


class PostedSource:
    """An HTTP source with a client that posts the rows in parts, each after the last answer."""

    def __init__(self):
        self.http = HttpSource(RULES, ROWS)

    async def batches(self, known):
        client = asyncio.ensure_future(self._post())
        try:
            async with aclosing(self.http.batches(known)) as batches:
                async for batch in batches:
                    yield batch
                    batch.done(Admitted(len(batch.contacts), 0, ()))
        finally:
            client.cancel()
            self.http.close()

    async def _post(self):
        lines = json_lines().split(b"\n")
        for first in range(0, ROWS, 400):
            await self.http.accept(Post(b"\n".join(lines[first : first + 400]), PostLayout.LINES))
        self.http.close()


class Posts:
    """Posts have no place: their client repeats those that were not answered."""

    resumes = False

    def source(self):
        return PostedSource()

    def close(self):
        """Nothing to give back."""


MAKERS = {
    "csv": lambda folder: OneFile(folder, "a.csv", csv()),
    "csv.gz": lambda folder: OneFile(folder, "a.csv.gz", gzip.compress(csv())),
    "csv.zst": lambda folder: OneFile(folder, "a.csv.zst", zstandard.compress(csv())),
    "jsonl": lambda folder: OneFile(folder, "a.jsonl", json_lines()),
    "jsonl.gz": lambda folder: OneFile(folder, "a.jsonl.gz", gzip.compress(json_lines())),
    "parquet": lambda folder: OneFile(folder, "a.parquet", parquet()),
    "glob": Glob,
    "folder": lambda folder: Folder(folder, "a.csv", csv()),
    "stream": lambda _folder: Stream(),
    "http": lambda _folder: Posts(),
}


@pytest.fixture(scope="module")
def azure():
    """One server for all cases; each has a container of its own."""
    with azurite() as running:
        yield running


def server_of(kind):
    """The name of the fixture whose server a kind needs; "" if it needs none."""
    if kind in OBJECTS:
        return "azure" if kind.startswith("az") else "s3_server"
    if kind in SNOWFLAKE:
        return "snowflake_server"
    return {"kafka": "kafka_server", "sql postgresql": "postgres_server"}.get(kind, "")


KINDS = [
    pytest.param(kind, marks=marks_of(server_of(kind)))
    for kind in (*MAKERS, *OBJECTS, *DATABASES, *SNOWFLAKE, "kafka")
]


@pytest.fixture(params=KINDS)
def case(request, tmp_path):
    if request.param == "kafka":
        made = Topic(request.getfixturevalue("kafka_server").topic())
    elif request.param in DATABASES:
        made = DATABASES[request.param](request, tmp_path)
    elif request.param in SNOWFLAKE:
        made = SNOWFLAKE[request.param](request.getfixturevalue("snowflake_server").database())
    elif request.param in OBJECTS:
        made = OBJECTS[request.param](bucket_for(request))
    else:
        made = MAKERS[request.param](tmp_path)
    yield made
    made.close()


def bucket_for(request):
    """Return a new bucket of the kind of store that the case names."""
    server = request.getfixturevalue(server_of(request.param))
    return server.bucket(PublicBucket) if request.param.startswith("gs") else server.bucket()


def end_readers():
    """Wait until no reading thread is left; return whether that is so."""
    readers = [thread for thread in threading.enumerate() if thread.name == "source"]
    for reader in readers:
        reader.join(5)
    return not any(reader.is_alive() for reader in readers)


def ids(batches):
    return [contact.conversation_id for batch in batches for contact in batch.contacts]


async def drained(source, known=()):
    return [batch async for batch in source.batches(dict(known))]


async def test_every_row_is_in_exactly_one_place(case):
    """Contacts in their order, rejected and filtered rows: together all rows, once."""
    batches = await drained(case.source())
    assert ids(batches) == EXPECTED
    assert sum(len(batch.rejected) for batch in batches) == ROWS // 10
    assert sum(batch.rows for batch in batches) == ROWS


async def test_a_position_covers_its_batch(case):
    """From every place exactly the rest follows; behind the last one, nothing."""
    batches = await drained(case.source())
    if not case.resumes:
        assert {batch.stream for batch in batches} == {None}
        return
    known = {}
    for number, batch in enumerate(batches, 1):
        known[batch.stream.fingerprint] = batch.stream
        rest = await drained(case.source(), known)
        assert ids(rest) == ids(batches[number:])
        assert sum(one.rows for one in rest) == sum(one.rows for one in batches[number:])
    assert batches[-1].stream.done == case.ends
    assert await drained(case.source(), known) == []


async def test_the_event_loop_goes_on(case):
    """Other tasks run while the source is read; one that blocks leaves them no turn."""
    turns = 0

    async def others():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    await drained(case.source())
    task.cancel()
    assert turns > 1, "the reading left the event loop no turn"


async def test_closing_early_ends_the_reading(case):
    """A consumer that goes away in the middle leaves no thread behind."""
    async with aclosing(case.source().batches({})) as batches:
        await anext(batches)
    assert await asyncio.to_thread(end_readers)


async def test_cancelling_ends_the_reading(case):
    """A consumer that is cancelled while it waits leaves no thread behind."""
    task = asyncio.create_task(drained(case.source()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(end_readers)


async def test_a_source_can_be_read_again(case):
    """Two readings at a time do not disturb one another."""
    source, other = case.source(), case.source()
    first, second = await asyncio.gather(drained(source), drained(other))
    assert ids(first) == ids(second) == EXPECTED
