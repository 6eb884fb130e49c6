"""A query of a real database: what it must be, what is reported, what is waited for."""

import asyncio
import sqlite3
import time
from contextlib import aclosing, closing
from functools import partial

import pytest

from dispatcher.ports import SourceError
from dispatcher.sources.away import AwayWait
from dispatcher.sources.key_source import KeySource
from dispatcher.sources.options import RowRules
from dispatcher.sources.rows.columns_error import ColumnsError
from dispatcher.sources.sql.database import Database, SqlQuery
from tests.support.servers.postgres import PASSWORD
from tests.support.servers.shared import on

pytestmark = on("postgres_server")
RULES = RowRules(text="Hello {name}", needed=("name",))


@pytest.fixture
def database(postgres_server):
    """A database with three rows."""
    made = postgres_server.database()
    made.execute("CREATE TABLE carts (id int PRIMARY KEY, conversation_id text, name text)")
    made.execute("INSERT INTO carts SELECT n, 'c' || n, 'Ada' FROM generate_series(1, 3) AS n")
    return made


def make_source(database, query="SELECT * FROM carts", key="id", password=PASSWORD, **more):
    made = SqlQuery(database.url, query, key, **more)
    return KeySource(made, partial(Database, made, password), RULES)


async def drained(source, known=()):
    return [batch async for batch in source.batches(dict(known))]


def ids(batches):
    return [contact.conversation_id for batch in batches for contact in batch.contacts]


async def test_every_type_of_column_becomes_text(database):
    """As a table of a file has it: dates as ISO 8601, numbers as they are, NULL as no value."""
    query = (
        "SELECT id, conversation_id, 1.50::numeric AS name, now() AS at, '\\x01'::bytea AS raw, "
        "gen_random_uuid() AS uuid, NULL AS nothing, 'a:b' AS colons, ARRAY[1] AS list FROM carts"
    )
    (batch,) = await drained(make_source(database, query))
    assert [contact.text for contact in batch.contacts] == ["Hello 1.50"] * 3


async def test_a_date_that_python_cannot_hold_costs_no_other_row(database):
    """It is the text that the database shows."""
    for value in ("'infinity'::timestamptz", "'0044-03-15 BC'::date", "'12026-01-01'::timestamp"):
        query = f"SELECT *, CASE id WHEN 2 THEN {value} END AS until FROM carts"
        assert ids(await drained(make_source(database, query))) == ["c1", "c2", "c3"]
    query = (
        "SELECT *, CASE id WHEN 2 THEN date 'infinity' ELSE date '2026-01-01' + id END AS day "
        "FROM carts"
    )
    found = ids(await drained(make_source(database, query, "day", page_rows=2)))
    assert found == ["c1", "c3", "c2"]


async def test_rows_without_a_key_are_named(database):
    """They cannot be read in order, and nobody is lost silently."""
    database.execute(
        "CREATE TABLE loose AS SELECT NULLIF(id, 2) AS id, conversation_id, name FROM carts"
    )
    batches = await drained(make_source(database, "SELECT * FROM loose"))
    assert ids(batches) == ["c1", "c3"]
    (row,) = batches[-1].rejected
    assert (row.reason, row.detail) == ("unreadable", "1 rows have no id: they are not read")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"query": "SELECT * FROM nothing"}, 'relation "nothing" does not exist'),
        ({"query": "SELEC 1"}, "syntax error"),
        ({"key": "nr"}, 'column "nr" does not exist'),
        ({"query": "SELECT * FROM carts FOR UPDATE"}, "read-only transaction"),
        (
            {"query": "SELECT id, conversation_id, 1 / (id - 2) AS name FROM carts"},
            "division by zero",
        ),
        ({"password": "wrong-5X"}, "password authentication failed"),
    ],
)
async def test_what_a_person_must_mend_is_named(database, change, words):
    """It ends the source at once, and no password is shown."""
    with pytest.raises(SourceError, match=words) as raised:
        await drained(make_source(database, **change))
    assert "wrong-5X" not in str(raised.value)
    assert PASSWORD not in str(raised.value)


async def test_a_column_that_the_text_needs(database):
    """It is checked before the first row, as a header is."""
    with pytest.raises(ColumnsError, match="name"):
        await drained(make_source(database, "SELECT id, conversation_id FROM carts"))


async def test_a_query_may_only_read(database):
    """The transaction is read-only: a mistake in a query changes nothing."""
    query = "WITH gone AS (DELETE FROM carts RETURNING *) SELECT * FROM gone"
    with pytest.raises(SourceError, match="refuses the query"):
        await drained(make_source(database, query))
    assert len(ids(await drained(make_source(database)))) == 3


async def test_texts_are_compared_as_they_are_ordered(database):
    """Also those of a type that ignores case, or that has an order of its own."""
    database.execute("CREATE EXTENSION citext")
    database.execute("CREATE TYPE size AS ENUM ('s', 'm', 'l')")
    database.execute("CREATE TABLE texts (id citext, size size, conversation_id text)")
    database.execute("INSERT INTO texts VALUES ('a', 'l', '1'), ('B', 'm', '2'), ('c', 's', '3')")
    for key, found in (("id", ["1", "2", "3"]), ("size", ["3", "2", "1"])):
        source = make_source(database, "SELECT *, 'Ada' AS name FROM texts", key, page_rows=2)
        assert ids(await drained(source)) == found


async def test_a_query_may_end_in_a_comment(database):
    """It is put into brackets."""
    source = make_source(database, "SELECT * FROM carts WHERE name LIKE '%a'; -- all\n")
    with pytest.raises(SourceError, match="syntax error"):
        await drained(source)
    source = make_source(database, "SELECT * FROM carts WHERE name LIKE '%a' -- all")
    assert len(ids(await drained(source))) == 3


async def test_a_watched_query_goes_on_after_the_database_was_away(postgres_server, database):
    """New rows come by later keys; meanwhile the reason is shown."""
    made = SqlQuery(database.url, "SELECT * FROM carts", "id")
    source = KeySource(made, partial(Database, made, PASSWORD), RULES, poll_seconds=0.05)
    async with aclosing(source.batches({})) as batches:
        assert ids([await anext(batches)]) == ["c1", "c2", "c3"]
        postgres_server.execute(f'ALTER DATABASE "{database.name}" WITH ALLOW_CONNECTIONS false')
        postgres_server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            f"WHERE datname = '{database.name}'"
        )
        end = time.monotonic() + 20
        while not source.waits_for and time.monotonic() < end:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.02)
        assert "the database does not answer" in source.waits_for
        postgres_server.execute(f'ALTER DATABASE "{database.name}" WITH ALLOW_CONNECTIONS true')
        database.execute("INSERT INTO carts VALUES (4, 'c4', 'Ben')")
        assert ids([await anext(batches)]) == ["c4"]
        assert source.waits_for == ""


async def test_a_server_that_is_silent_is_shown(postgres_server, database, monkeypatch):
    """The driver waits for it by itself; people see why nothing comes."""
    monkeypatch.setattr("dispatcher.drivers.slow_answers.SLOW_SECONDS", 0.3)
    made = SqlQuery(database.url, "SELECT * FROM carts", "id")
    source = KeySource(made, partial(Database, made, PASSWORD), RULES, poll_seconds=0.05)
    async with aclosing(source.batches({})) as batches:
        assert ids([await anext(batches)]) == ["c1", "c2", "c3"]
        postgres_server.freeze()
        try:
            async with asyncio.timeout(20):
                while not source.waits_for:  # noqa: ASYNC110 - no event
                    await asyncio.sleep(0.01)
            assert "the database has not answered yet" in source.waits_for
        finally:
            postgres_server.thaw()
        database.execute("INSERT INTO carts VALUES (4, 'c4', 'Ben')")
        assert ids([await anext(batches)]) == ["c4"]
        assert source.waits_for == ""


def sqlite_source(path, query="SELECT * FROM carts"):
    made = SqlQuery(f"sqlite:///{path}", query, "id")
    return KeySource(made, partial(Database, made, ""), RULES)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT * FRM carts", "syntax error"),
        ("SELECT * FROM missing", "no such table"),
        ("SELECT id, abs(name, 1) FROM carts", "wrong number of arguments"),
    ],
)
async def test_what_sqlite_refuses_is_named(tmp_path, query, words):
    """It has the same type of error for these as for a database that is locked."""
    with closing(sqlite3.connect(tmp_path / "carts.db")) as connection:
        connection.execute("CREATE TABLE carts (id, conversation_id, name)")
    with pytest.raises(SourceError, match=words):
        await drained(sqlite_source(tmp_path / "carts.db", query))


async def test_sqlite_waits_for_a_lock(tmp_path):
    """Another program that writes does not end the run."""
    with closing(sqlite3.connect(tmp_path / "carts.db", isolation_level=None)) as writer:
        writer.execute("CREATE TABLE carts (id, conversation_id, name)")
        writer.execute("BEGIN EXCLUSIVE")
        away = AwayWait(patient=False)
        made = SqlQuery(f"sqlite:///{tmp_path / 'carts.db'}?timeout=0", "SELECT * FROM carts", "id")
        source = KeySource(made, partial(Database, made, ""), RULES, away=away)
        with pytest.raises(SourceError, match="does not answer: database is locked"):
            await drained(source)


async def test_a_file_of_sqlite_that_is_missing(tmp_path):
    """It is named, and not created."""
    with pytest.raises(SourceError, match="there is no file"):
        await drained(sqlite_source(tmp_path / "carts.db"))
    assert not (tmp_path / "carts.db").exists()
