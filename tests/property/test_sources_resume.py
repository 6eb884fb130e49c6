"""Resuming from any place gives exactly the rows that are left."""

import asyncio
import tempfile
from pathlib import Path
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.sources.factory import open_source
from dispatcher.sources.files.file_place import FilePlace
from dispatcher.sources.options import RowRules
from tests.support.packed import PACKERS

RULES = RowRules(text="Hello", filter={"a": ["x", "y"]})


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
JSON_VALUES = st.sampled_from(
    [
        b'{"conversation_id":"c","a":"x"}',
        b'{\n "conversation_id": "c",\r\n "a": "y", "o": {"n": [1, {"q": "}\\""}]}\n}',
        b'{"a":"x"}',
        b'{"conversation_id":"c","a":"z"}',
        b'{"conversation_id":"c","a":"x}',
        b'{"conversation_id":"c","a":NaN}',
        b'{"conversation_id":"c","a":"\xff"}',
        b'"text, ]"',
        b"[1, [2]]",
        b"17",
        b"null",
        b"{",
        b"}",
        b"nonsense",
    ]
)
JSON_SEPARATORS = st.sampled_from([b",", b" ,\n  ", b"\n", b"\r\n\r\n", b" "])
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


def check(name, data, batch_rows, *, to_the_end=True):
    with (
        tempfile.TemporaryDirectory() as folder,
        patch("dispatcher.sources.batching.BATCH_ROWS", batch_rows),
    ):
        path = Path(folder) / name
        path.write_bytes(PACKERS[path.suffix if path.suffix in PACKERS else ""](data))
        batches = drained(path, {})
        assert [batch.stream.done for batch in batches] == [False] * (len(batches) - 1) + [True]
        assert FilePlace.of(batches[-1].stream).offset == len(data) or not to_the_end
        for number, batch in enumerate(batches, 1):
            known = {batch.stream.fingerprint: batch.stream}
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


@given(
    st.lists(JSON_VALUES, max_size=12),
    JSON_SEPARATORS,
    st.sampled_from([(b"[", b"]"), (b"\xef\xbb\xbf[\n", b"\n]\n"), (b"[", b""), (b"", b"")]),
    st.integers(1, 4),
    st.data(),
)
def test_resuming_a_json_document(values, separator, brackets, batch_rows, data):
    """An array or objects one behind the other, whole or cut short, plain and compressed."""
    suffix = data.draw(st.sampled_from(list(PACKERS)))
    content = (
        brackets[0] + separator.join([b'{\n"a":"z","conversation_id":"c"}', *values]) + brackets[1]
    )
    with patch(
        "dispatcher.sources.files.seekable_content.CHUNK_BYTES",
        data.draw(st.sampled_from([3, 1 << 16])),
    ):
        check(f"a.json{suffix}", content, batch_rows, to_the_end=False)
