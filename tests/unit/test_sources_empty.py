"""Files and streams without a row: the run shows them."""

import asyncio
import os

import pytest

from dispatcher.sources.factory import open_source
from dispatcher.sources.files.stream_source import StreamSource
from dispatcher.sources.options import RowRules

RULES = RowRules(text="Hello", filter={"a": ["x"]})


def batches(source, known=()):
    async def drain():
        return [batch async for batch in source.batches(dict(known))]

    return asyncio.run(drain())


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xef\xbb\xbf", b"conversation_id,a\n", b"[]"])
def test_a_file_without_a_row_is_named(tmp_path, data):
    """It is read to its end, and named once."""
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    (batch,) = batches(open_source(str(path), RULES))
    assert (batch.empty_file, batch.stream.done, batch.rows) == (str(path), True, 0)
    assert batches(open_source(str(path), RULES), {batch.stream.fingerprint: batch.stream}) == []


@pytest.mark.parametrize("row", [b"c1,x\n", b"c1,filtered\n", b"c1\n"])
def test_a_file_with_any_row_is_not_empty(tmp_path, row):
    """Rows that the filter excludes and rejected rows are counted elsewhere."""
    path = tmp_path / "a.csv"
    path.write_bytes(b"conversation_id,a\n" + row)
    (batch,) = batches(open_source(str(path), RULES))
    assert (batch.empty_file, batch.rows) == (None, 1)


def test_an_empty_stream_is_named():
    """Standard input has no place, and is named all the same."""
    read_end, write_end = os.pipe()
    os.close(write_end)
    (batch,) = batches(StreamSource("-", RULES, descriptor=read_end))
    os.close(read_end)
    assert (batch.empty_file, batch.stream) == ("-", None)
