"""Where the contacts of a world come from: files, or a server that is not killed with the runs."""

import csv
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

from tests.support.servers.kafka import Topic, kafka

SOURCES = ("file", "glob", "folder")
REMOTE_SOURCES = ("kafka", "sql")
"""Worlds whose files of contacts are copied to a server, which the runs read."""
PARTITIONS = 3


class Remote(Protocol):
    """A server of contacts."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings with which a run reads it."""
        ...

    def publish(self, path: Path) -> None:
        """Append the contacts of a file."""
        ...


class KafkaTopic:
    """A topic with some partitions; the rows of a file are dealt out to all of them."""

    def __init__(self, topic: Topic) -> None:
        self._topic = topic
        self.settings = {
            "source.kind": "kafka",
            "source.watch": "true",
            "source.poll_seconds": 0.1,
            "source.kafka.bootstrap_servers": topic.servers,
            "source.kafka.topic": topic.name,
        }

    def publish(self, path: Path) -> None:
        """Append the contacts of a file as messages."""
        rows = _rows(path)
        for number in range(PARTITIONS):
            values = [json.dumps(row).encode() for row in rows[number::PARTITIONS]]
            self._topic.put(*values, partition=number)


class SqlTable:
    """A table of a database in a file."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "contacts.db"
        with closing(sqlite3.connect(self._path)) as connection:
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
            connection.execute("CREATE TABLE contacts (id integer PRIMARY KEY, content text)")
        self._columns = ""
        self.settings = {
            "source.kind": "sql",
            "source.watch": "true",
            "source.poll_seconds": 0.1,
            "source.sql.url": f"sqlite:///{self._path}",
            "source.sql.key": "id",
            "source.sql.page_rows": 40,
        }

    def publish(self, path: Path) -> None:
        """Append the contacts of a file as rows, in one transaction."""
        rows = _rows(path)
        names = ", ".join(
            f"json_extract(content, '$.{name}') AS {name}" for name in (rows[0] if rows else ())
        )
        self.settings["source.sql.query"] = f"SELECT id, {names} FROM contacts"
        values = [(json.dumps(row),) for row in rows]
        with closing(sqlite3.connect(self._path)) as connection, connection:
            connection.executemany("INSERT INTO contacts (content) VALUES (?)", values)


@contextmanager
def remote_for(source: str, folder: Path) -> Iterator[Remote | None]:
    """Have the server of a kind of source; None for one that reads files."""
    if source == "kafka":
        with kafka() as broker:
            yield KafkaTopic(broker.topic(PARTITIONS))
    elif source == "sql":
        yield SqlTable(folder)
    else:
        yield None


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))
