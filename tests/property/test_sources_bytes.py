"""Whatever the bytes: nothing raises, nothing is swallowed, nothing comes twice."""

import asyncio
import os
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.ports import SourceError
from dispatcher.sources.factory import open_source
from dispatcher.sources.options import RowRules

RULES = RowRules(text="Hello")
OPEN = ("open_quote", "bad_quote")

# one record each: its bytes, and the reasons it may be rejected with (none: a good row)
RECORDS = st.sampled_from(
    [
        (b"id,x", ()),
        (b'id,"x, ""y"""', ()),
        (b'id,"two\nlines"', ()),
        (b'id,"three\r\n\n lines"', ()),
        (b'id,""', ()),
        (b'id,6" disk', ()),
        (b"id\r", ("columns",)),
        (b"id,a,b", ("columns",)),
        (b",x", ("no_id",)),
        (b"i d,x", ("bad_id",)),
        (b"id,\xc3", ("encoding",)),
        (b"id,\0", ("encoding",)),
        (b'id,"x"y', ("bad_quote",)),
        (b'id,"open', OPEN),
    ]
)
NASTY = st.lists(
    st.one_of(
        st.sampled_from([b'"', b",", b"\n", b"\r", b"\r\n", b'""', b"c1", b"\0", b"\xff", b"{"]),
        st.sampled_from([b"\xef\xbb\xbf", b'{"conversation_id":"c"}\n', b"conversation_id\n"]),
        st.binary(max_size=4),
    ),
    max_size=30,
).map(b"".join)


def read(name, data):
    """Read a file by itself in a watched folder."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        os.utime(path, (1, 1))

        async def drain():
            source = open_source(folder, RULES, watch=True, once=True)
            return [batch async for batch in source.batches({})]

        return asyncio.run(drain())


@given(st.lists(RECORDS, max_size=30), st.booleans())
def test_every_row_comes_out_once_with_its_line(records, ends_with_a_newline):
    """Good rows in their order, bad ones with line and reason, whatever is beside them."""
    lines, good, bad = [b"conversation_id,a"], 0, []
    for record, reasons in records:
        if reasons:
            bad.append((len(lines) + 1, reasons))
        good += not reasons
        lines += record.split(b"\n")
    batches = read("a.csv", b"\n".join(lines) + b"\n" * ends_with_a_newline)
    rejected = [row for batch in batches for row in batch.rejected]
    assert sum(len(batch.contacts) for batch in batches) == good
    assert [row.line for row in rejected] == [line for line, _ in bad]
    assert all(row.reason in reasons for row, (_, reasons) in zip(rejected, bad, strict=True))


@given(
    st.sampled_from([b"", b"conversation_id,a\n"]),
    NASTY,
    st.sampled_from(["a.csv", "a.jsonl", "a", "a.tsv", "a.csv.gz", "a.csv.zst"]),
)
def test_no_rows_stop_a_watched_folder(header, data, name):
    """Any bytes under any name end with a stream that is done, and every line once.

    Wrong columns alone end the start; another header within the rows leaves the file undone.
    Values of a JSON array may share a line.
    """
    try:
        batches = read(name, header + data)
    except SourceError:
        batches = []
    if not batches:
        assert not header or name != "a.csv"
        return
    lines = [row.line for batch in batches for row in batch.rejected]
    is_array = (header + data).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
    assert lines == sorted(lines if is_array else set(lines))
    *before, last = batches
    assert not any(batch.stream.done for batch in before)
    if last.stream is None:
        assert [row.reason for row in last.rejected] == ["header"]
    else:
        assert last.stream.done


@given(NASTY)
def test_every_line_is_accounted_for(junk):
    """Lines without a quote are rows one by one: contact, rejected or blank."""
    junk = junk.replace(b'"', b"'").replace(b"\xef\xbb\xbf", b"")
    batches = read("a.csv", b"conversation_id,a\n" + junk)
    rows = [line for line in junk.split(b"\n") if line.strip(b" \r")]
    assert sum(batch.rows for batch in batches) == len(rows)
