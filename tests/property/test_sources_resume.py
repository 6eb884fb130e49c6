"""Resuming from any position gives exactly the rows that are left."""

import asyncio
import gzip
import tempfile
from pathlib import Path
from unittest.mock import patch

import zstandard
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.sources.factory import open_source
from dispatcher.sources.options import RowRules

RULES = RowRules(text="Hello", filter={"a": ["x", "y"]})
PACKERS = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}

CSV_LINES = st.sampled_from(
    [
        b"c,x",
        b'c,"x"',
        b'"c","y"',
        b'c,"two',
        b'lines"',
        b"",
        b"bad",
        b"c,z",
        b"\xff,x",
        b",x",
        b'"',
    ]
)
JSON_LINES = st.sampled_from(
    [b'{"conversation_id":"c","a":"x"}', b'{"a":"x"}', b'{"a":"z"}', b"", b"[", b"\xff", b"{}"]
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
BEGINNINGS = st.sampled_from([b"", b"\xef\xbb\xbf", b"\n"])


def drained(path, known):
    async def drain():
        return [batch async for batch in open_source(str(path), RULES).batches(known)]

    return asyncio.run(drain())


def summed(batches):
    return (
        [contact for batch in batches for contact in batch.contacts],
        [row for batch in batches for row in batch.rejected],
        sum(batch.filtered for batch in batches),
    )


def check(name, data, batch_rows):
    with (
        tempfile.TemporaryDirectory() as folder,
        patch("dispatcher.sources.batching.BATCH_ROWS", batch_rows),
    ):
        path = Path(folder) / name
        path.write_bytes(PACKERS[path.suffix if path.suffix in PACKERS else ""](data))
        batches = drained(path, {})
        assert [batch.position.done for batch in batches] == [False] * (len(batches) - 1) + [True]
        assert batches[-1].position.offset == len(data)
        for number, batch in enumerate(batches, 1):
            known = {batch.position.fingerprint: batch.position}
            assert summed(drained(path, known)) == summed(batches[number:])


@given(st.lists(CSV_LINES, max_size=12), ENDS, BEGINNINGS, st.integers(1, 4), st.data())
def test_resuming_a_csv_file(lines, end, beginning, batch_rows, data):
    """Every shape of line and line end, plain and compressed."""
    suffix = data.draw(st.sampled_from(list(PACKERS)))
    content = beginning.replace(b"\n", end) + end.join([b"conversation_id,a", *lines])
    check(f"a.csv{suffix}", content, batch_rows)


@given(st.lists(JSON_LINES, max_size=12), ENDS, BEGINNINGS, st.integers(1, 4), st.data())
def test_resuming_a_json_lines_file(lines, end, beginning, batch_rows, data):
    """Every shape of line and line end, plain and compressed."""
    suffix = data.draw(st.sampled_from(list(PACKERS)))
    content = beginning.replace(b"\n", end) + end.join([b'{"conversation_id":"c","a":"x"}', *lines])
    check(f"a.jsonl{suffix}", content, batch_rows)
