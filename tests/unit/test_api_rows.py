"""Rows that a program has in memory: data frames, tables of Arrow and lists are read alike."""

import datetime as dt
import decimal
import json
import uuid

import pyarrow as pa
import pytest

from dispatcher.domain.contact import Contact, RejectedRow
from dispatcher.ports import SourceError, Stream
from dispatcher.sources.memory.row_source import BATCH_ROWS, RowSource, build_rows
from dispatcher.sources.memory.table_rows import RowsError, read_rows
from dispatcher.sources.options import RowRules
from tests.support.lazy_imports import Lazily

pd, pl = Lazily("pandas"), Lazily("polars")

RULES = RowRules(text="Hello {first_name|there}")
UTC = dt.UTC
ROWS = [
    {
        "conversation_id": f"c{number}",
        "contact_key": 4711 + number,
        "first_name": ["Ada", None, "Zoë"][number % 3],
        "cart": [1.5, 20.0, None][number % 3],
        "ended": dt.datetime(2026, 11, 20, 18, number, 7, tzinfo=UTC),
        "day": dt.date(2026, 11, number + 1),
        "price": decimal.Decimal("12.50"),
        "vip": number % 2 == 0,
        "tags": ["a", "b"],
    }
    for number in range(6)
]


def built(rows, rules=RULES):
    return build_rows(read_rows(rows), rules, "")


FORMS = {
    "list": lambda: ROWS,
    "iterator": lambda: iter(ROWS),
    "table": lambda: pa.Table.from_pylist(ROWS),
    "batch": lambda: pa.RecordBatch.from_pylist(ROWS),
    "reader": lambda: pa.Table.from_pylist(ROWS).to_reader(max_chunksize=2),
    "pandas": lambda: pd.DataFrame(ROWS),
    "pandas, filtered": lambda: pd.DataFrame(ROWS, index=range(1, 7))[lambda f: f.vip == f.vip],
    "pandas, an id as index": lambda: pd.DataFrame(ROWS).set_index("conversation_id"),
    "pandas, a mixed column": lambda: pd.DataFrame(ROWS).assign(first_name=[
        "Ada", None, "Zoë", "Ada", float("nan"), "Zoë"]),
    "polars": lambda: pl.DataFrame(ROWS),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_all_forms_give_the_same_contacts(form):
    """Also numbers, times, nulls and lists are the same texts, whatever library has them."""
    expected = built(pa.Table.from_pylist(ROWS)).outcomes
    found = built(FORMS[form]()).outcomes
    assert [vars_of(one) for one in found] == [vars_of(one) for one in expected]
    assert found[1].text == "Hello there"
    assert found[1].key == "4712"
    attributes = found[1].attributes
    assert (attributes["cart"], attributes["price"], attributes["vip"]) == ("20", "12.50", "false")
    assert attributes["ended"].startswith("2026-11-20 18:01:07.000000")
    assert json.loads(attributes["tags"]) == ["a", "b"]


def vars_of(contact):
    return contact.key, contact.conversation_id, contact.text, dict(contact.attributes)


def test_the_same_rows_are_the_same_stream():
    """Whatever form they have; other rules, or another value, make another one."""
    fingerprint = built(ROWS).fingerprint
    assert built(ROWS).fingerprint == fingerprint
    assert built([*ROWS[:-1], {**ROWS[-1], "vip": True}]).fingerprint != fingerprint
    assert build_rows(read_rows(ROWS), RULES, "other").fingerprint != fingerprint


class Evil:
    """A value that does harm if anything is done with it."""

    def __str__(self):
        raise RuntimeError("str of a hostile value")

    __repr__ = __hash__ = __len__ = __iter__ = __str__


class EvilRow(dict):
    """A mapping that cannot be read."""

    def keys(self):
        raise RuntimeError("keys of a hostile row")

    __iter__ = keys


def loop():
    own = []
    own.append(own)
    return own


HOSTILE = {
    "no row": (None, "json"),
    "a list": ([1], "json"),
    "keys that are no text": ({1: "c1"}, "json"),
    "a hostile mapping": (EvilRow(conversation_id="c1"), "json"),
    "nothing": ({}, "no_id"),
    "only nulls": ({"conversation_id": None}, "no_id"),
    "a hostile value": ({"conversation_id": "c1", "x": Evil()}, "json"),
    "itself": ({"conversation_id": "c1", "x": loop()}, "json"),
    "half a character": ({"conversation_id": "c1", "x": "\ud800"}, "encoding"),
    "bytes": ({"conversation_id": "c1", "x": b"\xff"}, "encoding"),
    "a NUL": ({"conversation_id": "c1", "x": "\0"}, "encoding"),
    "a path": ({"conversation_id": "../../admin"}, "bad_id"),
    "a header": ({"conversation_id": "conversation_id"}, "columns"),
    "a number that lost digits": ({"conversation_id": 1.2345678901234567e19}, "mangled_number"),
    "a long text": ({"conversation_id": "c1", "first_name": "x" * 3000}, "text_too_long"),
    "a huge row": ({"conversation_id": "c1", "x": "x" * (1 << 21)}, "too_long"),
    "not a number": ({"conversation_id": float("nan")}, "no_id"),
    "a name that is no text": ({"conversation_id": "c1", "\ud800": 1}, "json"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_bad_row_is_rejected_alone(name):
    """It has a reason and its number, and the rows around it are contacts."""
    row, reason = HOSTILE[name]
    before, bad, after = built([{"conversation_id": "a"}, row, {"conversation_id": "z"}]).outcomes
    assert (before.key, after.key) == ("a", "z")
    assert (bad.reason, bad.line) == (reason, 2), bad.detail
    assert "hostile" not in bad.detail


def test_values_that_look_odd_are_texts():
    """Integers of any size, identifiers, and a text in a column of numbers."""
    key = uuid.UUID(int=7)
    first, second = built(
        [{"conversation_id": key, "x": 2**80}, {"conversation_id": 4711, "x": "many"}]
    ).outcomes
    assert (first.key, first.attributes) == (str(key), {"x": str(2**80)})
    assert (second.key, second.attributes) == ("4711", {"x": "many"})


@pytest.mark.parametrize(
    "rows", ["contacts.csv", b"x", {"conversation_id": ["c1"]}, 7, None, pa.array([1, 2])]
)
def test_what_is_no_table_is_refused_in_words(rows):
    """The message says what to give, and nothing of a value."""
    with pytest.raises(RowsError, match="DataFrame of pandas or polars"):
        read_rows(rows)


def test_columns_are_checked_as_those_of_a_file():
    """A table without ids, and one that has a column twice, is refused before any row."""
    with pytest.raises(SourceError, match="conversation_id"):
        built([{"id": "c1"}])
    twice = pa.table([["c1"], ["c2"]], names=["conversation_id", "conversation_id"])
    with pytest.raises(SourceError, match="conversation_id"):
        built(twice)
    with pytest.raises(SourceError, match="text is set"):
        built([{"conversation_id": "c1", "text": "Hello"}])
    with pytest.raises(RowsError, match="column 2"):
        built(
            pd.DataFrame(
                [["c1", "c2"]], columns=pd.Index(["conversation_id", "\ud800"], dtype=object)
            )
        )
    frame = pd.DataFrame([["c1", "c2"]], columns=["conversation_id", "conversation_id"])
    with pytest.raises(SourceError, match="more than once"):
        built(frame)


def test_without_pyarrow_the_extra_is_named(monkeypatch):
    """The message is a command that can be copied."""
    monkeypatch.setattr("dispatcher.sources.memory.table_rows.find_spec", lambda _: None)
    with pytest.raises(RowsError, match=r"pip install 'dispatcher\[notebook\]'"):
        read_rows(ROWS)


async def drained(source, known):
    return [batch async for batch in source.batches(known)]


async def test_a_source_of_rows_goes_on_where_the_ledger_is():
    """Every row is in one batch; a stream that is done is not read again."""
    rows = [{"conversation_id": f"c{number}"} for number in range(BATCH_ROWS + 2)]
    rows[1] = {"conversation_id": ""}
    source = RowSource(built(rows))
    first, second = await drained(source, {})
    assert (len(first.contacts), len(first.rejected), first.before) == (BATCH_ROWS - 1, 1, None)
    assert (second.before, second.stream.done, second.stream.rows) == ("500", True, 502)
    assert await drained(source, {second.stream.fingerprint: second.stream}) == []
    assert await drained(source, {first.stream.fingerprint: first.stream}) == [second]


async def test_a_table_without_rows_is_a_stream_that_is_done():
    """So the log says that it is empty."""
    (batch,) = await drained(RowSource(built([])), {})
    assert (batch.rows, batch.stream.done, batch.empty_file) == (0, True, batch.stream.name)


async def test_a_place_of_another_table_is_an_error():
    """A ledger that was changed by hand must not skip rows."""
    source = RowSource(built(ROWS))
    (batch,) = await drained(source, {})
    for at in ("x", "7", "-1"):
        wrong = Stream("rows", batch.stream.fingerprint, at, 1, done=False)
        with pytest.raises(SourceError, match="not one of its rows"):
            await drained(source, {wrong.fingerprint: wrong})


def test_the_filter_excludes_rows():
    """They are neither contacts nor rejected."""
    rules = RowRules(text="Hello", filter={"vip": ["true"]})
    outcomes = built(ROWS, rules).outcomes
    assert [type(one) for one in outcomes[:2]] == [Contact, type(None)]
    assert not any(isinstance(one, RejectedRow) for one in outcomes)
