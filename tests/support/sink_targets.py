"""The targets of all kinds of sinks on real servers, each empty, with its settings and its rows."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.contract.test_sink_contract import (
    ObjectCase,
    PostgresCase,
    SnowflakeCase,
    SqliteCase,
)
from tests.support.servers.kafka import Topic, kafka
from tests.support.servers.postgres import PASSWORD, postgres
from tests.support.servers.s3 import IDENTITY, REGION, s3
from tests.support.servers.snowflake import PASSPHRASE, snowflake

Key = tuple[str, str]
"""What a row is recognised by: its contact and the conversation of the message."""


@dataclass(frozen=True)
class SinkInPlace:
    """A target and how the command reaches it.

    ``keys`` returns the key of each row that is there, twice if it is there twice. ``after_kill``
    does what the server itself would do after a client is dead. An export is killed in one of its
    first ``ranges``.
    """

    kind: str
    settings: Mapping[str, Any]
    keys: Callable[[], Sequence[Key]]
    environment: Mapping[str, str] = field(default_factory=dict)
    after_kill: Callable[[], None] = lambda: None
    ranges: int = 3


@contextmanager
def _postgres(_: Path) -> Iterator[SinkInPlace]:
    with postgres() as server:
        case = PostgresCase(server.database())
        settings = {"url": case.database.url, "password_variable": "SINK_PASSWORD"}
        yield SinkInPlace("sql", settings, case.keys, {"SINK_PASSWORD": PASSWORD})


@contextmanager
def _sqlite(folder: Path) -> Iterator[SinkInPlace]:
    case = SqliteCase(folder)
    yield SinkInPlace("sql", {"url": f"sqlite:///{case.path}"}, case.keys)


@contextmanager
def _snowflake(_: Path) -> Iterator[SinkInPlace]:
    with snowflake() as server:
        case = SnowflakeCase(server.database())
        settings = {key[1:]: value for key, value in case.database.settings("").items()}
        settings["passphrase_variable"] = "SINK_PASSPHRASE"
        secrets = {"SINK_PASSPHRASE": PASSPHRASE}
        yield SinkInPlace(
            "snowflake", settings, case.keys, secrets, server.end_sessions, ranges=1
        )  # the server is slow


@contextmanager
def _objects(format_: str) -> Iterator[SinkInPlace]:
    with s3() as server:
        case = ObjectCase(server.bucket(), format_)
        settings = {
            "url": f"{case.bucket.address}/lineage/", "endpoint": case.bucket.url,
            "format": format_, "allow_http": True,
        }  # fmt: skip
        yield SinkInPlace("objects", settings, case.keys, {**IDENTITY, "AWS_REGION": REGION})


@contextmanager
def _kafka(_: Path) -> Iterator[SinkInPlace]:
    with kafka() as broker:
        topic = broker.topic()
        settings = {
            "bootstrap_servers": topic.servers, "topic": topic.name, "idempotent": False,
        }  # fmt: skip
        yield SinkInPlace("kafka", settings, lambda: _distinct(topic))


def _distinct(topic: Topic) -> Sequence[Key]:
    """Return the keys of different messages: one that came again is the same with its headers."""
    messages = {(one.key, one.value, tuple(one.headers)) for one in topic.messages()}
    rows = [json.loads(value) for _, value, _ in messages]
    return [(row["contact_key"], row["conversation_id"]) for row in rows]


TARGETS: Mapping[str, Callable[[Path], Any]] = {
    "snowflake (fakesnow)": _snowflake,
    "sql, PostgreSQL": _postgres,
    "sql, SQLite": _sqlite,
    "objects, Parquet (S3 by moto)": lambda _: _objects("parquet"),
    "objects, JSON Lines (S3 by moto)": lambda _: _objects("jsonl"),
    "kafka (tansu)": _kafka,
}
"""Targets of each kind by their titles, there for as long as a block lasts; the slowest first."""
