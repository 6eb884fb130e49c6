"""A query of Snowflake: what is reported, what is waited for, a result that is taken up again."""

import asyncio
import json
import time
from contextlib import aclosing
from dataclasses import replace
from functools import partial

import pytest

from dispatcher.ports import SourceError
from dispatcher.sources.key_source import KeySource
from dispatcher.sources.options import RowRules
from dispatcher.sources.rows.columns_error import ColumnsError
from dispatcher.sources.snowflake.query import SnowflakeQuery, SnowflakeRows
from dispatcher.sources.snowflake.result_source import SnowflakeResultSource
from tests.support.servers.shared import on
from tests.support.servers.snowflake import PASSPHRASE

pytestmark = on("snowflake_server")
RULES = RowRules(text="Hello {name}", needed=("name",))
CARTS = "SELECT * FROM carts"


@pytest.fixture
def database(snowflake_server):
    """A database with three rows."""
    made = snowflake_server.database()
    made.execute(
        "CREATE TABLE carts AS SELECT seq4() + 1 AS id, 'c' || id AS conversation_id, "
        "'Ada' AS name FROM TABLE(GENERATOR(ROWCOUNT => 3))"
    )
    return made


def make_query(database, query=CARTS, key="id", **login):
    return SnowflakeQuery(replace(database.login, **login), query, key)


def make_source(query, **more):
    kind = KeySource if query.key else SnowflakeResultSource
    return kind(query, partial(SnowflakeRows, query), RULES, **more)


async def drained(source, known=()):
    return [batch async for batch in source.batches(dict(known))]


def ids(batches):
    return [contact.conversation_id for batch in batches for contact in batch.contacts]


async def test_every_type_of_column_becomes_text(database):
    """As a table of a file has it: numbers as they are, times as ISO 8601, NULL as no value."""
    query = (
        "SELECT id, conversation_id, 1.50::number(9, 2) AS name, '100%' AS share, TRUE AS yes, "
        "'2026-11-29 06:00:00.123456789'::timestamp_ntz AS at_ns, "
        "'2026-11-29'::date AS day, NULL::varchar AS nothing, 'a?b:c' AS signs FROM carts;"
    )
    (batch,) = await drained(make_source(make_query(database, query)))
    assert [contact.text for contact in batch.contacts] == ["Hello 1.50"] * 3
    attributes = batch.contacts[0].attributes
    assert attributes["SIGNS"] == "a?b:c"
    assert attributes["AT_NS"].startswith("2026-11-29T06:00:00.123456")
    assert attributes["DAY"] == "2026-11-29"


@pytest.mark.parametrize(
    "key", ["id::timestamp_ntz", "id::timestamp_tz", "id::date", "id::varchar", "id::number(9, 2)"]
)
async def test_keys_of_other_types(database, key):
    """Each page goes on behind the last key, in the order of its type."""
    if "timestamp" in key or "date" in key:
        key = key.replace("id::", "dateadd(day, id, '2026-11-29'::date)::")
    query = SnowflakeQuery(database.login, f"SELECT {key} AS k, * FROM carts", "K", page_rows=2)
    batches = await drained(make_source(query))
    assert ids(batches) == ["c1", "c2", "c3"]
    known = {batches[0].stream.fingerprint: batches[0].stream}
    assert ids(await drained(make_source(query), known)) == ids(batches[1:])


async def test_rows_without_a_key_are_named(database):
    """They cannot be read in order, and nobody is lost silently."""
    query = "SELECT NULLIF(id, 2) AS id, conversation_id, name FROM carts"
    batches = await drained(make_source(make_query(database, query)))
    assert ids(batches) == ["c1", "c3"]
    assert [row.detail for row in batches[-1].rejected] == ["1 rows have no ID: they are not read"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"query": "SELECT * FROM nothing"}, "does not exist.*USAGE on the database"),
        ({"query": "SELEC 1"}, "is not valid SQL"),
        ({"key": "nr"}, "no column nr, which is its key"),
        ({"passphrase": "wrong-5X"}, "its passphrase is wrong"),
        ({"passphrase": ""}, "its passphrase is wrong or missing"),
        ({"private_key_file": "/nowhere/key.p8"}, "private_key_file: cannot be read"),
    ],
)
async def test_what_a_person_must_mend_is_named(database, change, words):
    """It ends the source at once, and no secret is shown."""
    with pytest.raises(SourceError, match=words) as raised:
        await drained(make_source(make_query(database, **change)))
    assert "wrong-5X" not in str(raised.value)
    assert PASSPHRASE not in str(raised.value)


async def test_a_column_that_the_text_needs(database):
    """It is checked before the first row, as a header is."""
    with pytest.raises(ColumnsError, match="name"):
        await drained(make_source(make_query(database, "SELECT id, conversation_id FROM carts")))


async def test_a_result_is_the_same_although_the_table_has_changed(database):
    """A later run goes on in it; a new execution would have other rows."""
    query = make_query(database, "SELECT * FROM carts ORDER BY id", "")
    (whole,) = await drained(make_source(query))
    query_id = json.loads(whole.stream.at)[0]
    source = SnowflakeRows(query, make_source(query)._away)
    row = source.table(source.result(query_id).get_result_batches()[0]).to_pylist()[0]
    source.close()
    from dispatcher.sources.snowflake import result_source  # noqa: PLC0415 - only here

    place = result_source.ResultPlace(query_id, 1, result_source._digest(row))
    stream = replace(whole.stream, at=place.write(), rows=1, done=False)
    database.execute("DELETE FROM carts")
    (rest,) = await drained(make_source(query), {stream.fingerprint: stream})
    assert ids([rest]) == ["c2", "c3"]
    moved = replace(stream, at=replace(place, digest="other").write())
    with pytest.raises(SourceError, match="has another order than before"):
        await drained(make_source(query), {moved.fingerprint: moved})


async def test_a_result_that_is_gone_is_named(database):
    """The message has what to do."""
    query = make_query(database, key="")
    (batch,) = await drained(make_source(query))
    gone = json.dumps(["01b0c0de-0000-0000-0000-000000000000", 1, "x"])
    stream = replace(batch.stream, at=gone, done=False)
    with pytest.raises(SourceError, match=r"for 24 hours.*Change the query"):
        await drained(make_source(query), {stream.fingerprint: stream})


async def test_an_empty_result_is_read_once(database):
    """It is counted as an empty source, and the next run does not execute the query again."""
    query = make_query(database, "SELECT * FROM carts WHERE id > 99", "")
    (batch,) = await drained(make_source(query))
    assert (batch.rows, batch.stream.done, batch.empty_file) == (0, True, batch.stream.name)
    assert await drained(make_source(query), {batch.stream.fingerprint: batch.stream}) == []


async def test_a_watched_query_goes_on_after_an_absence(snowflake_server, database):
    """New rows come by later keys; sessions that have ended are logged in again."""
    source = make_source(make_query(database), poll_seconds=0.05)
    async with aclosing(source.batches({})) as batches:
        assert ids([await anext(batches)]) == ["c1", "c2", "c3"]
        snowflake_server.end_sessions()
        end = time.monotonic() + 20
        while not source.waits_for and time.monotonic() < end:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.01)
        assert "Snowflake does not answer" in source.waits_for
        database.execute("INSERT INTO carts VALUES (4, 'c4', 'Ben')")
        assert ids([await anext(batches)]) == ["c4"]
        assert source.waits_for == ""


async def test_a_server_that_is_silent_is_shown(snowflake_server, database, monkeypatch):
    """The connector waits for it by itself; people see why nothing comes."""
    monkeypatch.setattr("dispatcher.drivers.slow_answers.SLOW_SECONDS", 0.3)
    source = make_source(make_query(database), poll_seconds=0.05)
    async with aclosing(source.batches({})) as batches:
        assert ids([await anext(batches)]) == ["c1", "c2", "c3"]
        snowflake_server.freeze()
        try:
            end = time.monotonic() + 20
            while not source.waits_for and time.monotonic() < end:  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.01)
            assert "has not answered yet" in source.waits_for
        finally:
            snowflake_server.thaw()
        database.execute("INSERT INTO carts VALUES (4, 'c4', 'Ben')")
        assert ids([await anext(batches)]) == ["c4"]
        assert source.waits_for == ""
