"""The configurations of sinks in config/examples, with the installed command and real servers."""

import io
import json
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.support.lazy_imports import Lazily
from tests.support.scenario_runner import play
from tests.support.servers.hooks import hooks
from tests.support.servers.postgres import PASSWORD
from tests.support.servers.s3 import IDENTITY
from tests.support.servers.shared import on

EXAMPLES = Path(__file__).resolve().parents[2] / "config" / "examples"
CONTACTS = 150
psycopg, pq = Lazily("psycopg"), Lazily("pyarrow.parquet")


@pytest.fixture
def played(tmp_path):
    scenario = tmp_path / "fast.toml"
    scenario.write_text("seed = 1\n[rate]\nallowed = 60000\nwindow_seconds = 2.0\n")
    with play(tmp_path, scenario, CONTACTS) as made:
        yield made


def use(played, example, changes, environment):
    """Run with the example's configuration, and what a test must change of it."""
    text = (EXAMPLES / f"{example}.toml").read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    played.config = played.folder / "sinks.toml"
    played.config.write_text(text)
    played.environment |= environment


def links(rows):
    return sorted((row["previous_conversation_id"], row["conversation_id"]) for row in rows)


def expected(played):
    rows = played.lineage().values()
    return sorted((row.previous_conversation_id, row.conversation_id) for row in rows)


def in_table(database):
    query = "SELECT previous_conversation_id, conversation_id, campaign FROM dispatcher_lineage"
    url = database.url.replace("+psycopg", "")
    with psycopg.connect(url, password=PASSWORD) as connection:
        cursor = connection.execute(query)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@on("postgres_server")
def test_sql(played, postgres_server):
    """Each link is in the table once, also after a run that was killed in the middle."""
    database = postgres_server.database()
    running = start_with_small_ranges(played, database)
    running.send_signal(signal.SIGKILL)
    running.wait(10)
    running.close()
    ended = played.run()
    assert ended.returncode in (0, 10), ended.stderr  # 10: some are in doubt, and due later
    rows = in_table(database)
    assert links(rows) == expected(played)
    assert {row["campaign"] for row in rows} == {"play"}
    assert PASSWORD not in ended.stdout + ended.stderr + played.log.read_text()


@on("s3_server")
def test_objects(played, s3_server):
    """Each link is in one object, as Parquet."""
    bucket = s3_server.bucket()
    changes = {
        "s3://exports/lineage/": f"{bucket.address}/lineage/",
        'region = "eu-central-1"': f'endpoint = "{bucket.url}"\nallow_http = true',
        "flush_seconds = 60": "flush_seconds = 0.1",
    }
    use(played, "sink-objects", changes, IDENTITY | {"AWS_REGION": "eu-central-1"})
    ended = played.run()
    assert ended.returncode == 0, ended.stderr
    found = bucket.admin.list_objects_v2(Bucket=bucket.name)["Contents"]
    tables = [pq.read_table(io.BytesIO(bucket.get(item["Key"]))) for item in found]
    assert links([row for table in tables for row in table.to_pylist()]) == expected(played)


@on("kafka_server")
def test_kafka(played, kafka_server):
    """Each link is a message, by its key."""
    topic = kafka_server.topic()
    changes = {
        "kafka-1.example.com:9093": kafka_server.servers,
        '"dispatcher-lineage"': f'"{topic.name}"\nidempotent = false',
        'security_protocol = "SASL_SSL"\n': "",
        'sasl_username = "dispatcher"\n': "",
    }
    use(played, "sink-kafka", changes, {"KAFKA_PASSWORD": "unused-2B"})
    ended = played.run()
    assert ended.returncode == 0, ended.stderr
    found = {message.key: json.loads(message.value) for message in topic.messages()}
    assert links(found.values()) == expected(played)


def test_webhook(played):
    """The end of the run, with the number of contacts of each status."""
    with hooks() as server:
        changes = {"https://hooks.example.com/dispatcher": server.url}
        use(played, "sink-webhook", changes, {"WEBHOOK_SECRET": "secret-4T"})
        ended = played.run()
        assert ended.returncode == 0, ended.stderr
        (notice,) = [json.loads(body) for _, body in server.posts]
        assert (notice["event"], notice["campaign"], notice["outcome"]) == ("ended", "play", "done")
        settled = Counter(status for status, _ in played.settled().values())
        assert {key: value for key, value in notice.items() if key in settled} == settled
        assert "secret-4T" not in played.log.read_text()


@on("postgres_server")
def test_a_sink_that_is_away_holds_nothing_up(played, postgres_server):
    """Everybody is written to; the end names what has not gone out, and the next run sends it."""
    database = postgres_server.database()
    changes = {"postgresql+psycopg://writer@db.example.com/warehouse": database.url}
    use(played, "sink-sql", changes, {"WAREHOUSE_PASSWORD": "wrong-5X"})
    ended = played.run()
    assert ended.returncode == 0, ended.stderr
    assert len(played.sandbox.effects()) == CONTACTS
    log = played.log.read_text()
    assert '"event":"sink.failed"' in log
    assert '"event":"sink.unfinished"' in log
    assert "wrong-5X" not in log + ended.stderr
    assert played.metrics.gauge("dispatcher.lineage.sink_lag") == CONTACTS
    played.environment["WAREHOUSE_PASSWORD"] = PASSWORD
    assert played.run().returncode == 0
    assert links(in_table(database)) == expected(played)


@on("postgres_server")
def test_a_sink_that_is_silent_holds_nothing_up(played, postgres_server):
    """A database that answers nothing to a statement: the run ends, and the next one sends."""
    database = postgres_server.database()
    running = start_with_small_ranges(played, database)
    postgres_server.freeze()
    try:
        wait_for_sends(played, CONTACTS)
        running.send_signal(signal.SIGTERM)
        _, said = running.communicate(timeout=30)
    finally:
        postgres_server.thaw()
    assert running.returncode == 0, said
    assert '"event":"sink.unfinished"' in played.log.read_text()
    assert played.run().returncode == 0
    assert links(in_table(database)) == expected(played)


def start_with_small_ranges(played, database):
    """Start a run whose lineage goes out as it is written, and wait for a third of the messages."""
    changes = {
        "postgresql+psycopg://writer@db.example.com/warehouse": database.url,
        'name = "warehouse"': 'name = "warehouse"\nflush_seconds = 0.1\nrows_per_range = 7',
    }
    use(played, "sink-sql", changes, {"WAREHOUSE_PASSWORD": PASSWORD})
    running = played.start()
    wait_for_sends(played, CONTACTS // 3)
    return running


def wait_for_sends(played, count):
    end = time.monotonic() + 30
    while len(played.sandbox.effects()) < count:
        assert time.monotonic() < end, "too few messages were sent"
        time.sleep(0.02)
