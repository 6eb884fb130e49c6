"""The configurations in config/examples, with the installed command and the real servers."""

import csv
import gzip
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support import forked_process
from tests.support.dialects import settings_for
from tests.support.forked_process import clean_environment
from tests.support.lazy_imports import Lazily
from tests.support.ledgers import place_setting
from tests.support.scenario_runner import QUICK, play
from tests.support.servers.postgres import PASSWORD
from tests.support.servers.s3 import IDENTITY
from tests.support.servers.shared import on

EXAMPLES = Path(__file__).resolve().parents[2] / "config" / "examples"
CONTACTS = 120
psycopg = Lazily("psycopg")


@pytest.fixture
def played(tmp_path):
    scenario = tmp_path / "fast.toml"
    scenario.write_text("seed = 1\n[rate]\nallowed = 60000\nwindow_seconds = 2.0\n")
    with play(tmp_path, scenario, CONTACTS) as made:
        yield made


def command(played, example, *more, verb=("run", "--once")):
    """The command with the example's configuration, and what a test must change of it."""
    line = ["-m", "dispatcher", *verb, "--config", str(EXAMPLES / f"{example}.toml")]
    values = {
        "campaign": "play",
        **place_setting(played.ledger),
        "platform.base_url": played.sandbox.url,
        "telemetry.statsd_port": played.metrics.port,
        **QUICK,
        **settings_for(played.dialect, played.sandbox.url),
    }
    for key, value in values.items():
        line += ["--set", f"{key}={value}"]
    return [*line, *(part for pair in more for part in ("--set", pair))]


def run(played, line, **environment):
    env = {**clean_environment(), **played.environment, **environment}
    return forked_process.run(line, env, 60)


def assert_everybody_once(played):
    """Each contact has one message, and the ledger has each as reached."""
    effects = [effect["conversationId"] for effect in played.sandbox.effects()]
    assert len(effects) == len(set(effects)) == CONTACTS
    assert {status for status, _ in played.settled().values()} <= {"notified", "opened"}


@on("s3_server")
def test_objects(played, s3_server):
    """Two compressed objects below a prefix; a second run reads neither again."""
    lines = played.contacts.read_bytes().splitlines(keepends=True)
    bucket = s3_server.bucket()
    half = len(lines) // 2
    for key, part in (("1", lines[1:half]), ("2", lines[half:])):
        data = gzip.compress(lines[0] + b"".join(part))
        bucket.put(f"contacts/{key}.csv.gz", data)
    sets = (
        f"source.path={bucket.address}/contacts/*.csv.gz",
        f"source.objects.endpoint={bucket.url}",
        "source.objects.allow_http=true",
    )
    line = command(played, "objects", *sets)
    ended = run(played, line, **IDENTITY)
    assert ended.returncode == 0, ended.stderr
    assert_everybody_once(played)
    again = run(played, line, **IDENTITY)
    assert again.returncode == 0, again.stderr
    assert_everybody_once(played)
    checked = run(played, command(played, "objects", *sets, verb=("check", "--online")), **IDENTITY)
    assert "2 objects with" in checked.stdout
    refused = run(played, command(played, "objects", *sets, "source.path=s3://none/*"), **IDENTITY)
    assert (refused.returncode, "NoSuchBucket" in refused.stderr) == (3, True), refused.stderr


@on("postgres_server")
def test_sql(played, postgres_server):
    """Rows of a table in PostgreSQL; the password is in a variable and is never shown."""
    database = postgres_server.database()
    fill(database, played.contacts)
    sets = (f"source.sql.url={database.url}",)
    secret = {"DATABASE_PASSWORD": PASSWORD}
    ended = run(played, command(played, "sql", *sets), **secret)
    assert ended.returncode == 0, ended.stderr
    assert_everybody_once(played)
    checked = run(played, command(played, "sql", *sets, verb=("check", "--online")), **secret)
    assert f"{CONTACTS} rows with the columns id, conversation_id" in checked.stdout
    wrong = run(played, command(played, "sql", *sets), DATABASE_PASSWORD="wrong-5X")
    assert wrong.returncode == 3
    assert "password authentication failed" in wrong.stderr
    for said in (ended, checked, wrong):
        assert PASSWORD not in said.stdout + said.stderr
        assert "wrong-5X" not in said.stdout + said.stderr


def test_sql_of_sqlite(played, tmp_path):
    """Rows of a file, with a text as their key; a column that is missing is named, online too."""
    path = tmp_path / "crm.db"
    with closing(sqlite3.connect(path)) as crm, played.contacts.open(newline="") as lines:
        rows = [
            (f"Cart-{number}", row["conversation_id"], row.get("external_contact_id"), "abandoned")
            for number, row in enumerate(csv.DictReader(lines))
        ]
        columns = "id TEXT UNIQUE COLLATE NOCASE, conversation_id, external_contact_id, status"
        crm.execute(f"CREATE TABLE carts ({columns}, first_name DEFAULT 'Ada')")
        statement = "INSERT INTO carts (id, conversation_id, external_contact_id, status) "
        crm.executemany(statement + "VALUES (?, ?, ?, ?)", rows)
        crm.commit()
    sets = (f"source.sql.url=sqlite:///{path}", "source.sql.page_rows=50")
    ended = run(played, command(played, "sql-sqlite", *sets))
    assert ended.returncode == 0, ended.stderr
    assert_everybody_once(played)
    again = run(played, command(played, "sql-sqlite", *sets))
    assert again.returncode == 0, again.stderr
    assert_everybody_once(played)
    query = "source.sql.query=SELECT id, conversation_id FROM carts"
    checked = run(played, command(played, "sql-sqlite", *sets, query, verb=("check", "--online")))
    assert (checked.returncode, "first_name" in checked.stdout) == (5, True), checked.stdout


@on("kafka_server")
def test_kafka(played, kafka_server):
    """Messages in two partitions, with the key of the contact; a second run reads none again."""
    with played.contacts.open(newline="") as lines:
        topic = kafka_server.topic(2)
        rows = list(csv.DictReader(lines))
        for number in range(2):
            part = rows[number::2]
            keys = [f"key-{row['conversation_id']}".encode() for row in part]
            values = [json.dumps(row).encode() for row in part]
            topic.put(b"[]", *values, partition=number, keys=[b"bad", *keys])
        sets = (
            f"source.kafka.bootstrap_servers={kafka_server.servers}",
            f"source.kafka.topic={topic.name}",
            "source.kafka.security_protocol=PLAINTEXT",
            "source.kafka.sasl_username=",
            "source.kafka.password_variable=",
        )
        ended = run(played, command(played, "kafka", *sets))
        assert ended.returncode == 0, ended.stderr
        assert_everybody_once(played)
        again = run(played, command(played, "kafka", *sets))
        assert again.returncode == 0, again.stderr
        assert_everybody_once(played)
        checked = run(played, command(played, "kafka", *sets, verb=("check", "--online")))
        assert "2 partitions with about" in checked.stdout
        source = run(played, command(played, "kafka", *sets, verb=("check", "--source")))
        assert f"{CONTACTS} " in source.stdout, source.stdout
        other = [*sets, f"source.kafka.topic={topic.name}-other"]
        refused = run(played, command(played, "kafka", *other))
        assert (refused.returncode, "does not exist" in refused.stderr) == (3, True)
        planned = run(played, command(played, "kafka", *sets, verb=("plan",)))
        assert planned.returncode == 0, planned.stdout + planned.stderr


def fill(database, contacts):
    """Write the contacts of a file into the table of the example."""
    columns = "id int GENERATED ALWAYS AS IDENTITY, conversation_id text, external_contact_id text"
    database.execute(f"CREATE TABLE carts ({columns}, first_name text, status text)")
    with contacts.open(newline="") as lines:
        rows = [
            (row["conversation_id"], row.get("external_contact_id"), row.get("first_name"))
            for row in csv.DictReader(lines)
        ]
    insert = "INSERT INTO carts (conversation_id, external_contact_id, first_name, status) "
    with psycopg.connect(database.url.replace("+psycopg", ""), password=PASSWORD) as connection:
        statement = insert + "VALUES (%s, %s, %s, 'abandoned')"
        connection.cursor().executemany(statement, rows)
