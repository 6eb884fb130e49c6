"""Parquet files and Excel workbooks."""

import asyncio
import io
import os
from datetime import UTC, date, datetime
from decimal import Decimal
from unittest.mock import patch

import openpyxl
import pyarrow as pa
import pytest
from pyarrow import parquet

from dispatcher.ports import SourceError
from dispatcher.sources.factory import open_source
from dispatcher.sources.files.stream_source import StreamSource
from dispatcher.sources.files.table_values import number_text
from dispatcher.sources.options import RowRules

RULES = RowRules(text="Hello", filter={"f": ["x"]})
TEN = datetime(2030, 11, 22, 10, tzinfo=UTC)


def batches(path, known=None, rules=RULES):
    async def drain():
        return [batch async for batch in open_source(str(path), rules).batches(known or {})]

    return asyncio.run(drain())


async def first_batch(source):
    return await anext(source.batches({}), None)


def read(path, data, rules=None):
    path.write_bytes(data)
    got = batches(path, rules=rules or RowRules(text="Hello"))
    return (
        [contact for batch in got for contact in batch.contacts],
        [(row.line, row.reason) for batch in got for row in batch.rejected],
    )


def packed(table, **options):
    data = io.BytesIO()
    parquet.write_table(table, data, **options)
    return data.getvalue()


def workbook(*sheets, hidden=()):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for number, rows in enumerate(sheets):
        sheet = book.create_sheet()
        for row in rows:
            sheet.append(row)
        if number in hidden:
            sheet.sheet_state = "hidden"
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


@pytest.fixture
def file(tmp_path):
    return tmp_path / "a.csv"


def test_a_parquet_file_is_read_with_all_types(file):
    """Dates, decimals and whole numbers are exact; nothing depends on the file's name."""
    at = [TEN]
    table = pa.table(
        {
            "conversation_id": pa.array(["c1"]).dictionary_encode(),
            "expires_at": pa.array(at, pa.timestamp("ns", tz="Europe/Berlin")),
            "not_before": pa.array([TEN.replace(tzinfo=None)], pa.timestamp("us")),
            "contact_key": pa.array([18446744073709551615], pa.uint64()),
            "address": pa.array([b"a@example.com"], pa.binary()),
            "whole": pa.array([12345.0]),
            "fraction": pa.array([0.1], pa.float32()),
            "none": pa.array([float("nan")]),
            "null": pa.array([None], pa.string()),
            "money": pa.array([Decimal("1.10")]),
            "day": pa.array([date(2030, 11, 22)]),
            "flag": pa.array([True]),
            "list": pa.array([[{"x": 1.5}]]),
            "lost": pa.array([1234567890123456789.0]),
        }
    )
    contacts, rejected = read(file, packed(table))
    assert rejected == []
    (contact,) = contacts
    assert (contact.conversation_id, contact.key) == ("c1", "18446744073709551615")
    assert (contact.expires_at, contact.not_before) == (TEN.timestamp(), TEN.timestamp())
    assert contact.address == "a@example.com"
    assert contact.attributes == {
        "whole": "12345",
        "fraction": "0.1",
        "money": "1.10",
        "day": "2030-11-22",
        "flag": "true",
        "list": '[{"x":1.5}]',
        "lost": "1.2345678901234568e+18",
    }


def test_a_bad_row_of_a_table_stops_nothing(file):
    """It is kept with its number; its neighbours come through."""
    ids = pa.array([b"c1", None, b"\xff", b"a/b", b"c5"], pa.binary())
    table = pa.table({"conversation_id": ids, "a": ["x"] * 5})
    contacts, rejected = read(file, packed(table))
    assert [contact.key for contact in contacts] == ["c1", "c5"]
    assert rejected == [(2, "no_id"), (3, "encoding"), (4, "bad_id")]


def test_text_that_is_not_utf_8_costs_its_row_only(file):
    """A writer may have put anything into a column of texts."""
    ids = pa.array([b"c1", b"c\xff", b"c3"], pa.binary()).view(pa.string())
    contacts, rejected = read(file, packed(pa.table({"conversation_id": ids})))
    assert [contact.key for contact in contacts] == ["c1", "c3"]
    assert rejected == [(2, "encoding")]


def test_a_time_in_a_list_that_python_cannot_hold_costs_no_row(file):
    """Its column is not used, and the rows behind it are read."""
    times = pa.array([[1], None, [10**9]], pa.list_(pa.timestamp("ns")))
    data = packed(pa.table({"conversation_id": ["c1", "c2", "c3"], "times": times}))
    contacts, rejected = read(file, data)
    assert ([contact.conversation_id for contact in contacts], rejected) == (["c1", "c2", "c3"], [])


def rows_of(number):
    return {"conversation_id": f"c{number}" if number % 7 else None, "f": "xy"[number % 5 == 0]}


def parquet_groups():
    return packed(pa.Table.from_pylist([rows_of(n) for n in range(40)]), row_group_size=7)


def sheet():
    cells = [[*rows_of(n).values()] for n in range(12)]
    return workbook([[], ["conversation_id", "f"], *cells, [], ["z"]])


@pytest.mark.parametrize("make", [parquet_groups, sheet])
def test_reading_goes_on_after_any_batch(file, make):
    """Row groups that were read are passed over; no row is lost and none comes twice."""
    file.write_bytes(make())
    with patch("dispatcher.sources.batching.BATCH_ROWS", 3):
        whole = batches(file)
        for number, batch in enumerate(whole, 1):
            rest = batches(file, {batch.stream.fingerprint: batch.stream})
            assert summed(rest) == summed(whole[number:])
    assert len(whole) > 4
    assert whole[-1].stream.done


def summed(got):
    return (
        [contact for batch in got for contact in batch.contacts],
        [row for batch in got for row in batch.rejected],
        sum(batch.filtered for batch in got),
    )


def test_the_columns_of_a_table_are_checked_as_a_header_is(file):
    """Before any row."""
    with pytest.raises(SourceError, match="no column 'conversation_id'"):
        read(file, packed(pa.table({"id": ["c1"]})))
    with pytest.raises(SourceError, match="no column 'conversation_id'"):
        read(file, workbook([["id"], ["c1"]]))


def test_a_damaged_table_is_named_and_what_was_read_is_kept(file):
    """Without its end nothing can be read; with a wrong page what is before it."""
    table = pa.table({"conversation_id": [f"c{n}-{n * 7919 % 1000}" for n in range(4000)]})
    data = packed(table, row_group_size=1000, compression="zstd")
    with pytest.raises(SourceError, match="is Parquet that is damaged"):
        read(file, data[:-8])
    damaged = bytearray(data)
    place = parquet.ParquetFile(io.BytesIO(data)).metadata.row_group(2).column(0).data_page_offset
    damaged[place : place + 400] = bytes(400)
    contacts, rejected = read(file, bytes(damaged))
    assert [contact.key for contact in contacts] == table["conversation_id"].to_pylist()[:2000]
    assert rejected == [(2001, "unreadable")]


def test_a_table_needs_a_file_and_its_package(file):
    """The error says what to do."""
    data = packed(pa.table({"conversation_id": ["c1"]}))
    file.write_bytes(data)
    read_end, write_end = os.pipe()
    os.write(write_end, data)
    os.close(write_end)
    with pytest.raises(SourceError, match="from a plain file only"):
        asyncio.run(first_batch(StreamSource("-", RULES, descriptor=read_end)))
    os.close(read_end)
    with (
        patch("dispatcher.sources.files.parquet_file.find_spec", return_value=None),
        pytest.raises(SourceError, match=r"pip install 'dispatcher\[parquet\]'"),
    ):
        batches(file)


def test_a_workbook_is_read_as_its_cells_mean(file):
    """A date is a date whatever its format, and a number that lost digits is recognised."""
    rows = [
        [],
        ["conversation_id", "expires_at", "n", "", "long", "formula"],
        ["c1", datetime(2030, 11, 22, 10), 7, "dropped", 1234567890123456, None],  # noqa: DTZ001
        [],
        [5, date(2030, 11, 22), 1.5, None, True, "x"],
        [None, None, None, None, None, "y"],
        ["c7", 45983],
    ]
    contacts, rejected = read(file, workbook(rows, [], [["lists"]], hidden={2}))
    assert [(contact.key, contact.attributes) for contact in contacts] == [
        ("c1", {"n": "7", "long": "1.2345678901234560e+15"}),
        ("5", {"n": "1.5", "long": "true", "formula": "x"}),
    ]
    assert contacts[0].expires_at == TEN.timestamp()
    assert rejected == [(6, "no_id"), (7, "bad_date")]


def test_a_workbook_with_several_sheets_of_rows_is_refused(file):
    """None of them is passed over in silence; nor is one without rows a mistake."""
    with pytest.raises(SourceError, match="2 sheets that have rows"):
        read(file, workbook([["conversation_id"]], [["conversation_id"]]))
    assert read(file, workbook([])) == ([], [])


def test_a_workbook_without_its_package_is_named(file):
    """The error says what to install."""
    file.write_bytes(workbook([["conversation_id"]]))
    with (
        patch("dispatcher.sources.files.workbook.find_spec", return_value=None),
        pytest.raises(SourceError, match=r"Excel workbook \(\.xlsx\).*'dispatcher\[excel\]'"),
    ):
        batches(file)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1"), (-0.5, "-0.5"), (2.0**53, "9.0071992547409920e+15"), (float("inf"), None)],
)
def test_a_float_is_written_without_digits_that_it_does_not_have(value, text):
    """Beyond 53 bits the text shows that digits are lost."""
    assert number_text(value) == text
