"""Large and malicious input."""

import asyncio
import gc
import itertools
import time
import tracemalloc

import pytest

from dispatcher.sources.factory import open_source
from dispatcher.sources.options import RowRules

RULES = RowRules(text="Hello {a}")

KINDS = {
    b"%d,ok": None,
    b'%d,"quoted, ""ok"""': None,
    b'%d,"two\nlines"': None,
    b"%d": "columns",
    b"%d,a,b": "columns",
    b'%d,"x"y': "bad_quote",
    b'%d,"x': "bad_quote",
    b"%d,\xff": "encoding",
    b"%d,\0": "encoding",
    b" ,%d": "no_id",
    b"a/%d,x": "bad_id",
    b"%d,": "missing_placeholder",
    b"%d," + b"x" * 2000: "text_too_long",
}


async def totals(path):
    """Return the ids, the (line, reason) of rejected rows, and the sum of all rows."""
    ids, rejected, rows = [], [], 0
    async for batch in open_source(str(path), RULES).batches({}):
        ids += [contact.conversation_id for contact in batch.contacts]
        rejected += [(row.line, row.reason) for row in batch.rejected]
        rows += batch.rows
    return ids, rejected, rows


def test_a_malicious_file(tmp_path):
    """Rows of every kind: all good ones come out, every bad one with its reason."""
    path = tmp_path / "a.csv"
    ids, rejected, line = [], [], 2
    with path.open("wb") as file:
        file.write(b"conversation_id,a\n")
        # after an open quote there is a row that closes it with text after the quote
        order = [kind for kind in KINDS if kind != b'%d,"x'] + [b'%d,"x', b'%d,"quoted, ""ok"""']
        for number, kind in zip(range(30_000), itertools.cycle(order), strict=False):
            file.write(kind % number + b"\n")
            if KINDS[kind]:
                rejected.append((line, KINDS[kind]))
            else:
                ids.append(str(number))
            line += 1 + kind.count(b"\n")
    found = asyncio.run(totals(path))
    assert found == (ids, sorted(rejected), 30_000)


@pytest.mark.parametrize(
    "line", [b'a,"', b'x",",y', b'"' * 100, b'a,"' + b'""' * 100, b'","' * 30, b'a,"b"c']
)
def test_quotes_that_want_every_line_read_again_and_again(tmp_path, line):
    """Looking ahead is bounded, so that no file takes longer than its size allows."""
    path = tmp_path / "a.csv"
    path.write_bytes(b"conversation_id,a\n" + (line + b"\n") * 5000)
    began = time.process_time()
    _, _, rows = asyncio.run(totals(path))
    assert 0 < rows <= 5000
    assert time.process_time() - began < 10


@pytest.fixture
def collected_as_usual():
    """Cycles are collected as in a new process.

    The tests before may have changed the thresholds, and have left many objects: a full collection
    waits until a quarter as many are new, so the old ones are frozen.
    """
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    gc.collect()
    gc.freeze()
    yield
    gc.set_threshold(*before)


@pytest.mark.usefixtures("collected_as_usual")
def test_memory_is_flat(tmp_path):
    """Ten times the rows need no more memory."""
    peaks = []
    for count in (3_000, 30_000):
        path = tmp_path / f"{count}.csv"
        with path.open("wb") as file:
            file.write(b"conversation_id,a\n")
            file.writelines(b"c%d,%d\n" % (number, number) for number in range(count))
        tracemalloc.start()
        rows = asyncio.run(_count(path))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert rows == count
    assert peaks[1] < peaks[0] + 1_000_000


async def _count(path):
    return sum([batch.rows async for batch in open_source(str(path), RULES).batches({})])
