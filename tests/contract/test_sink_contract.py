"""What every sink guarantees: each row once, whenever it is killed, away or repeated."""

import asyncio
import json
import sqlite3
import threading
from contextlib import closing
from dataclasses import replace

import pytest

from dispatcher.domain import growing_pause
from dispatcher.domain.ids import ID_LIMIT
from dispatcher.domain.status import Reason, Relation
from dispatcher.ports.sink import LineageRange, SinkError, SinkPlace
from dispatcher.ports.stored_rows import LineageRow
from dispatcher.sinks.kafka_target import KafkaTarget, KafkaTopic
from dispatcher.sinks.object_target import ObjectPlace, ObjectTarget
from dispatcher.sinks.pump import LineagePump, PumpOptions
from dispatcher.sinks.snowflake_target import SnowflakeTables, SnowflakeTarget
from dispatcher.sinks.sql_target import SqlTable, SqlTarget
from tests.support.lazy_imports import Lazily
from tests.support.servers.postgres import PASSWORD
from tests.support.servers.s3 import REGION
from tests.support.servers.shared import marks_of, on

psycopg, pq = Lazily("psycopg"), Lazily("pyarrow.parquet")


def row(number, **changes):
    made = LineageRow(
        number, "c", f"key-{number}", f"old-{number}", f"new-{number}", f"message-{number}",
        Relation.LINKED, Reason.DELIVERED, "x-1", "ended", 1.5, 2.5, 3.5, 1, 1, "cor",
        None, None, {"name": "Zo\u00eb"},
    )  # fmt: skip
    return replace(made, **changes)


def a_range(*rows, first="", part="rows"):
    return LineageRange("t0", part, first, str(rows[-1].id), rows)


class PostgresCase:
    """Tables of PostgreSQL."""

    def __init__(self, database):
        self.database = database

    def target(self):
        return SqlTarget("out", SqlTable(self.database.url), PASSWORD)

    def keys(self):
        url = self.database.url.replace("+psycopg", "")
        with psycopg.connect(url, password=PASSWORD) as connection:
            query = "SELECT contact_key, conversation_id FROM dispatcher_lineage ORDER BY 1, 2"
            return connection.execute(query).fetchall()


class SqliteCase:
    """Tables of SQLite."""

    def __init__(self, folder):
        self.path = folder / "warehouse.db"

    def target(self):
        return SqlTarget("out", SqlTable(f"sqlite:///{self.path}"), "")

    def keys(self):
        with closing(sqlite3.connect(self.path)) as connection:
            query = "SELECT contact_key, conversation_id FROM dispatcher_lineage ORDER BY 1, 2"
            return connection.execute(query).fetchall()


class SnowflakeCase:
    """Tables of Snowflake."""

    def __init__(self, database):
        self.database = database

    def target(self):
        return SnowflakeTarget("out", self.database.login, SnowflakeTables())

    def keys(self):
        query = "SELECT contact_key, conversation_id FROM dispatcher_lineage ORDER BY 1, 2"
        return list(self.database.execute(query))


class ObjectCase:
    """Objects of S3."""

    def __init__(self, bucket, format_):
        self.bucket, self.format = bucket, format_

    def target(self):
        config = {
            "endpoint": self.bucket.url,
            "region": REGION,
            "access_key_id": "a",
            "secret_access_key": "b",
        }
        url = f"{self.bucket.address}/lineage/"
        return ObjectTarget("out", ObjectPlace(url, self.format, config, allow_http=True))

    def keys(self):
        found = self.bucket.admin.list_objects_v2(Bucket=self.bucket.name).get("Contents", [])
        rows = [one for item in found for one in self.read(self.bucket.get(item["Key"]))]
        return sorted((one["contact_key"], one["conversation_id"]) for one in rows)

    def read(self, data):
        if self.format == "jsonl":
            return [json.loads(line) for line in data.splitlines()]
        import io  # noqa: PLC0415 - for this format alone

        return pq.read_table(io.BytesIO(data)).to_pylist()


class KafkaCase:
    """A topic: a range that comes again makes its messages again, each key has one last message."""

    def __init__(self, topic):
        self.topic = topic

    def target(self):
        return KafkaTarget("out", KafkaTopic(self.topic.servers, self.topic.name, idempotent=False))

    def keys(self):
        last = {message.key: json.loads(message.value) for message in self.topic.messages()}
        assert all(key.decode() == f"c/{one['contact_key']}" for key, one in last.items())
        return sorted((one["contact_key"], one["conversation_id"]) for one in last.values())


CASES = {
    "sql postgresql": ("postgres_server", lambda server: PostgresCase(server.database())),
    "snowflake": ("snowflake_server", lambda server: SnowflakeCase(server.database())),
    "parquet": ("s3_server", lambda server: ObjectCase(server.bucket(), "parquet")),
    "kafka": ("kafka_server", lambda server: KafkaCase(server.topic())),
    "jsonl": ("s3_server", lambda server: ObjectCase(server.bucket(), "jsonl")),
    "sql sqlite": ("tmp_path", SqliteCase),
}
"""The fixture with which a kind of sink is made, and how."""
KINDS = [pytest.param(kind, marks=marks_of(fixture)) for kind, (fixture, _) in CASES.items()]


def make_case(kind, request):
    fixture, make = CASES[kind]
    return make(request.getfixturevalue(fixture))


@pytest.fixture(params=KINDS)
def case(request):
    return make_case(request.param, request)


class Log:
    """The lineage in memory; ``stop_at`` kills the pump at the so-manieth call."""

    def __init__(self, rows, stop_at=None):
        self.rows = rows
        self.places = {}
        self.calls = 0
        self.stop_at = stop_at

    def step(self):
        self.calls += 1
        if self.calls == self.stop_at:
            raise asyncio.CancelledError

    async def sink_place(self, sink, part):
        return self.places.setdefault((sink, part), SinkPlace("t0", "", None))

    async def begin_range(self, sink, part, last):
        self.step()
        self.places[sink, part] = replace(self.places[sink, part], sending_to=last)
        self.step()

    async def end_range(self, sink, part, last):
        self.step()
        self.places[sink, part] = SinkPlace("t0", last, None)
        self.step()

    async def lineage_after(self, part, cursor, limit):
        if part == "verdicts":
            return []
        return [(str(one.id), one) for one in self.rows if one.id > int(cursor or 0)][:limit]

    async def lineage_lag(self, cursor):
        return max((one.id for one in self.rows), default=0) - int(cursor or 0)


async def pumped(case, log, rows_per_range=3, seconds=20.0):
    pump = LineagePump("out", log, case.target(), PumpOptions((), 0.01, rows_per_range))
    pump.start()
    return await pump.end(seconds)


async def test_a_range_that_comes_again_changes_nothing(case):
    """After a crash it goes out with the same rows and name."""
    target = case.target()
    for _ in range(3):
        await target.write(a_range(row(1), row(2)))
    await target.write(a_range(row(3), first="2"))
    await target.close()
    assert case.keys() == [(f"key-{n}", f"new-{n}") for n in (1, 2, 3)]


async def test_a_check_shows_what_is_there_and_writes_no_row(case):
    """A new target is found, and has nothing."""
    target = case.target()
    assert await target.check()
    assert case.keys() == []
    await target.write(a_range(row(1)))
    assert await target.check()
    await target.close()
    assert case.keys() == [("key-1", "new-1")]


async def test_the_longest_key_that_a_contact_may_have(case):
    """One row that does not fit would hold up all others for ever."""
    target, key = case.target(), "\u00fc" * ID_LIMIT
    await target.write(a_range(row(1, contact_key=key, campaign="c")))
    await target.close()
    assert case.keys() == [(key, "new-1")]


@on("postgres_server")
@pytest.mark.parametrize(
    ("statement", "lacks"),
    [
        ("ALTER TABLE dispatcher_lineage DROP COLUMN message_id", "message_id"),
        ("ALTER TABLE dispatcher_lineage DROP CONSTRAINT dispatcher_lineage_pkey", "constraint"),
        ("REVOKE INSERT ON dispatcher_lineage FROM writer", "permission denied"),
        ("REVOKE UPDATE ON dispatcher_lineage FROM writer", "permission denied"),
        ("REVOKE INSERT ON dispatcher_sink FROM writer", "permission denied"),
        ("REVOKE UPDATE ON dispatcher_sink FROM writer", "permission denied"),
    ],
)
async def test_a_check_names_what_writing_lacks(postgres_server, statement, lacks):
    """Before the run, and not only when the first rows go out."""
    database = postgres_server.database()
    owner = PostgresCase(database).target()
    await owner.check()
    await owner.close()
    database.execute("DROP ROLE IF EXISTS writer")
    database.execute(f"CREATE ROLE writer LOGIN PASSWORD '{PASSWORD}'")
    tables = "dispatcher_lineage, dispatcher_sink"
    database.execute(f"GRANT SELECT, INSERT, UPDATE ON {tables} TO writer")
    url = database.url.replace("//dispatcher@", "//writer@")
    writer = SqlTarget("out", SqlTable(url, create=False), PASSWORD)
    try:
        assert await writer.check() == "0 rows in dispatcher_lineage"
        database.execute(statement)
        with pytest.raises(SinkError, match=lacks):
            await writer.check()
    finally:
        await writer.close()
        database.execute("DROP OWNED BY writer; DROP ROLE writer")


@on("snowflake_server")
async def test_a_check_of_snowflake_names_a_column_that_is_missing(snowflake_server):
    """Before the run, and not only when the first rows go out."""
    database = snowflake_server.database()
    target = SnowflakeCase(database).target()
    await target.check()
    database.execute("ALTER TABLE dispatcher_lineage DROP COLUMN message_id")
    with pytest.raises(SinkError, match=r"(?i)message_id"):
        await target.check()
    await target.close()


@on("s3_server")
async def test_a_check_of_objects_leaves_nothing(s3_server):
    """The object that shows whether objects may be written is deleted again."""
    bucket = s3_server.bucket()
    await ObjectCase(bucket, "jsonl").target().check()
    assert "Contents" not in bucket.admin.list_objects_v2(Bucket=bucket.name)


@on("kafka_server")
async def test_messages_of_a_range_that_comes_again_have_the_same_header(kafka_server):
    """The last one of a key is the same row."""
    topic = kafka_server.topic()
    target = KafkaCase(topic).target()
    for _ in range(2):
        await target.write(a_range(row(1), row(2)))
    await target.close()
    headers = [dict(message.headers) for message in topic.messages()]
    assert headers == [{"cursor": b"2", "part": b"rows"}] * 4


@on("kafka_server")
async def test_a_topic_that_is_missing_is_named_and_not_created(kafka_server):
    """A broker may create one for every name that it gets."""
    target = KafkaTarget("out", KafkaTopic(kafka_server.servers, "absent", idempotent=False))
    with pytest.raises(SinkError, match=r"sink out: .* have no topic absent"):
        await target.write(a_range(row(1)))
    with pytest.raises(SinkError, match="have no topic absent"):
        await target.check()
    await target.close()


@on("kafka_server")
async def test_a_broker_that_is_away_is_named(kafka_server):
    """The same target writes when it is back."""
    topic = kafka_server.topic()
    place = KafkaTopic(topic.servers, topic.name, idempotent=False, answer_seconds=0.3)
    target = KafkaTarget("out", place)
    await target.write(a_range(row(1)))
    kafka_server.freeze()
    try:
        with pytest.raises(SinkError, match=r"sink out: the brokers at .* do not take"):
            await target.write(a_range(row(2), first="1"))
    finally:
        kafka_server.thaw()
    await target.write(a_range(row(2), first="1"))
    await target.close()
    assert KafkaCase(topic).keys() == [("key-1", "new-1"), ("key-2", "new-2")]


async def test_everything_goes_out_once_wherever_it_is_killed(case):
    """Before and after each step of each of three ranges, and then to the end."""
    log = Log([row(n) for n in range(1, 8)])
    for stop_at in range(1, 14):
        log.calls, log.stop_at = 0, stop_at
        await pumped(case, log)
    log.stop_at = None
    assert await pumped(case, log)
    assert case.keys() == [(f"key-{n}", f"new-{n}") for n in range(1, 8)]
    assert await log.lineage_lag(log.places["out", "rows"].cursor) == 0


async def test_the_newest_row_of_a_contact_stays(tmp_path):
    """A contact that is put back and sent to again has one row in a table."""
    case = SqliteCase(tmp_path)
    target = case.target()
    await target.write(a_range(row(1), row(2, contact_key="key-1")))
    await target.write(a_range(row(3, contact_key="key-1", conversation_id="last"), first="2"))
    await target.close()
    assert case.keys() == [("key-1", "last")]


async def test_a_cursor_that_somebody_else_moved_is_named(tmp_path):
    """Nothing is written: rows could be missing."""
    case = SqliteCase(tmp_path)
    target = case.target()
    await target.write(a_range(row(1)))
    with pytest.raises(SinkError, match=r"is at '1', and the range begins after '5'"):
        await target.write(a_range(row(6), first="5"))
    await target.close()
    assert case.keys() == [("key-1", "new-1")]


AWAY = SinkError("sink out: the database does not answer")


class Away:
    """A target that is away for some calls, and then another."""

    def __init__(self, target, times, error=AWAY):
        self._target, self.left, self._error = target, times, error

    async def write(self, lineage):
        if self.left:
            self.left -= 1
            raise self._error
        await self._target.write(lineage)

    async def close(self):
        await self._target.close()


async def test_a_sink_that_is_away_is_tried_again(tmp_path):
    """Its state has the reason and the lag meanwhile."""
    case, log = SqliteCase(tmp_path), Log([row(n) for n in range(1, 5)])
    away = Away(case.target(), 1)
    pump = LineagePump("out", log, away, PumpOptions((), 0.01, 10))
    pump.start()
    while not pump.state.error:  # noqa: ASYNC110 - no event
        await asyncio.sleep(0.01)
    await pump.measure()
    assert (pump.state.lag, pump.state.error) == (4, "sink out: the database does not answer")
    assert await pump.end(10)
    assert (pump.state.error, len(case.keys())) == ("", 4)


@pytest.mark.parametrize("name", KINDS[:2])
async def test_a_sink_that_is_silent_counts_as_one_that_fails(name, request):
    """Until it has taken the range; the end does not wait for it."""
    case, log = make_case(name, request), Log([row(1)])
    options = PumpOptions((), 0.01, 10, slow_seconds=0.2)
    pump = LineagePump("out", log, case.target(), options)
    pump.start()
    while not pump.state.ranges:  # noqa: ASYNC110 - no event
        await asyncio.sleep(0.01)
    frozen = request.getfixturevalue(CASES[name][0])
    frozen.freeze()
    try:
        log.rows.append(row(2))
        while not pump.state.error:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.01)
        assert pump.state.error == "sink out: it has not taken a range of rows for 0.2 s"
        async with asyncio.timeout(15):
            assert not await pump.end(0.1)
    finally:
        frozen.thaw()
    for thread in threading.enumerate():  # two that write would wait for each other
        if thread.name == "driver":
            await asyncio.to_thread(thread.join, 20)
    if name == "snowflake":
        frozen.end_sessions()  # of clients that are gone, as Snowflake does
    assert await pumped(case, log, seconds=60.0)
    assert case.keys() == [("key-1", "new-1"), ("key-2", "new-2")]


async def test_a_defect_of_a_target_does_not_end_it(tmp_path):
    """An unexpected error is tried again as well; its text, which may be a row's, is not shown."""
    case, log = SqliteCase(tmp_path), Log([row(1)])
    away = Away(case.target(), 1, ZeroDivisionError("secret-9Q"))
    pump = LineagePump("out", log, away, PumpOptions((), 0.01, 10))
    pump.start()
    while not pump.state.error:  # noqa: ASYNC110 - no event
        await asyncio.sleep(0.01)
    assert pump.state.error == "sink out: ZeroDivisionError, which is not expected"
    assert await pump.end(10)
    assert case.keys() == [("key-1", "new-1")]


async def test_a_run_does_not_wait_for_a_sink_for_ever(tmp_path):
    """What has not gone out goes out in the next run."""
    case, log = SqliteCase(tmp_path), Log([row(1)])
    pump = LineagePump("out", log, Away(case.target(), 10**6), PumpOptions((), 0.01, 10))
    pump.start()
    assert not await pump.end(0.2)
    assert await pumped(case, log)
    assert case.keys() == [("key-1", "new-1")]


async def test_the_end_of_a_run_tries_at_once(tmp_path, monkeypatch):
    """It does not wait for a pause that has grown long: the sink may be back."""
    monkeypatch.setattr(growing_pause, "FIRST_PAUSE", 60.0)
    case, log = SqliteCase(tmp_path), Log([row(1)])
    pump = LineagePump("out", log, Away(case.target(), 1), PumpOptions((), 0.01, 10))
    pump.start()
    while not pump.state.error:  # noqa: ASYNC110 - no event
        await asyncio.sleep(0.01)
    assert await pump.end(20)
    assert case.keys() == [("key-1", "new-1")]


async def test_only_the_campaigns_that_are_named(tmp_path):
    """Other rows are passed over, and the cursor moves on."""
    case, log = SqliteCase(tmp_path), Log([row(1), row(2, campaign="other"), row(3)])
    pump = LineagePump("out", log, case.target(), PumpOptions(("other",), 0.01, 1))
    pump.start()
    assert await pump.end(10)
    assert case.keys() == [("key-2", "new-2")]
    assert log.places["out", "rows"].cursor == "3"
