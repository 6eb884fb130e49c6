"""Paging by a key: whatever the keys, the pages and the stops, each row is read once."""

import asyncio
import sqlite3
import tempfile
from collections import Counter
from contextlib import aclosing, closing
from datetime import UTC, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.ports import SourceError
from dispatcher.sources import key_source
from dispatcher.sources.key_pages import in_batches, read_key, whole_keys, write_key
from dispatcher.sources.key_source import KeySource
from dispatcher.sources.options import RowRules
from dispatcher.sources.sql.database import Database, SqlQuery

NAN = float("nan")
KEYS = (
    st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.datetimes()
    | st.datetimes(timezones=st.just(UTC))
    | st.dates()
    | st.uuids()
    | st.binary()
)


@given(KEYS)
def test_a_key_is_read_as_it_was_written(key):
    """The value and its type, since another type compares otherwise."""
    again = read_key(write_key(key))
    assert (again, type(again)) == (key, type(key))


@pytest.mark.parametrize("key", [True, None, timedelta(1), [1], {"a": 1}])
def test_what_cannot_be_compared_is_no_key(key):
    """A clear error, and not a place that the next run cannot read."""
    with pytest.raises(SourceError, match=r"the key has values of the type \w+; take"):
        write_key(key)


def make_source(path, page_rows):
    query = SqlQuery(f"sqlite:///{path}", "SELECT * FROM t", "id", page_rows)
    return KeySource(query, partial(Database, query, ""), RowRules(text="Hello"))


async def read(path, page_rows, known, batches):
    """Read up to so many batches, each of which moves the place; return the conversations."""
    found = []
    async with aclosing(make_source(path, page_rows).batches(known)) as coming:
        async for batch in coming:
            assert batch.before == (known[batch.stream.fingerprint].at if known else None)
            known[batch.stream.fingerprint] = batch.stream
            found += [contact.conversation_id for contact in batch.contacts]
            batches -= 1
            if not batches:
                break
    return found


@given(
    keys=st.lists(
        st.integers(-50, 50) | st.sampled_from(["a", "A", "B", "b", "\u00e9", "zz"]), max_size=60
    ),
    page_rows=st.integers(2, 20),
    batch_rows=st.integers(1, 20),
    stops=st.lists(st.integers(1, 3), max_size=4),
)
def test_each_row_is_read_once(keys, page_rows, batch_rows, stops):
    """Keys that several rows have are read together, or named if they fill a page."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.db"
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE t (id COLLATE NOCASE, conversation_id)")
            rows = [(key, f"c{number}") for number, key in enumerate(keys)]
            connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
            connection.commit()
        known, found = {}, []
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(key_source, "BATCH_ROWS", batch_rows)
                for count in [*stops, 0]:
                    found += asyncio.run(read(path, page_rows, known, count))
        except SourceError:
            assert max(Counter(str(key).lower() for key in keys).values()) >= page_rows
        else:
            assert sorted(found) == sorted(f"c{number}" for number in range(len(keys)))
        assert len(found) == len(set(found))


@given(
    st.lists(st.integers(0, 9) | st.floats(), max_size=40).map(lambda keys: sorted(keys, key=str)),
    st.integers(1, 8),
)
def test_rows_of_one_key_are_never_parted(keys, size):
    """Reading goes on behind the last key of a part, so none of its rows may be in the next."""
    rows = [{"id": key} for key in keys]
    parts = list(in_batches(rows, "id", size))
    assert [row for part in parts for row in part] == rows
    for part, following in pairwise(parts):
        assert str(part[-1]["id"]) != str(following[0]["id"])
    for part in parts:
        assert 1 <= len(part) <= size or len({str(float(row["id"])) for row in part}) == 1


@pytest.mark.parametrize(
    "keys", [("a", "A"), ("e", "\u00e9"), ("ab", "ab  "), ("\u00df", "ss"), (NAN, NAN)]
)
def test_keys_that_a_collation_may_regard_as_equal_are_read_together(keys):
    """The database returns none of them after one of them."""
    first, last = keys
    rows = [{"id": key} for key in (" ", first, last)]
    assert whole_keys(rows, "id", 3, "t") == rows[:1]
    assert list(in_batches([*rows, {"id": "x"}], "id", 2)) == [rows[:1], rows[1:], [{"id": "x"}]]
