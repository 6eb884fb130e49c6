"""Compressed input."""

import asyncio
import gzip

import pytest
import zstandard

from dispatcher.sources.factory import open_source
from dispatcher.sources.options import RowRules

HEADER = b"conversation_id,a\n"
ROWS = [b"c%d,%d\n" % (number, number * 7919 % 1000) for number in range(5000)]
PLAIN = HEADER + b"".join(ROWS)
PACKERS = {".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}

all_packers = pytest.mark.parametrize("suffix", PACKERS)


def read(path, data, known=()):
    path.write_bytes(data)

    async def drain():
        source = open_source(str(path), RowRules(text="Hello"))
        return [batch async for batch in source.batches(dict(known))]

    batches = asyncio.run(drain())
    ids = [contact.conversation_id for batch in batches for contact in batch.contacts]
    return ids, [row for batch in batches for row in batch.rejected], batches


@all_packers
def test_many_members_are_one_file(tmp_path, suffix):
    """Members or frames one behind the other, cut in the middle of a row, read as one."""
    pack = PACKERS[suffix]
    data = pack(PLAIN[:1003]) + pack(b"") + pack(PLAIN[1003:])
    ids, rejected, _ = read(tmp_path / f"a.csv{suffix}", data)
    assert (len(ids), ids[-1], rejected) == (5000, "c4999", [])


@all_packers
def test_compression_is_recognised_without_its_name(tmp_path, suffix):
    """A file whose name has no known extension is decompressed by its first bytes."""
    ids, _, _ = read(tmp_path / "a.csv", PACKERS[suffix](PLAIN))
    assert len(ids) == 5000


def test_padding_behind_gzip_and_skippable_zstd_frames(tmp_path):
    """Zeros behind the last member and frames without content are no mistake."""
    ids, rejected, _ = read(tmp_path / "a.csv.gz", gzip.compress(PLAIN) + bytes(512))
    assert (len(ids), rejected) == (5000, [])
    skippable = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"
    ids, rejected, _ = read(tmp_path / "a.csv", skippable + PACKERS[".zst"](PLAIN))
    assert (len(ids), rejected) == (5000, [])


@all_packers
def test_what_is_cut_short_is_read_as_far_as_it_goes(tmp_path, suffix):
    """The rows before the cut are good, the torn one never goes out, reading ends once."""
    data = PACKERS[suffix](PLAIN) + PACKERS[suffix](b"x0,1\nx1,2\ntorn,")[:-1]
    ids, rejected, batches = read(tmp_path / f"a.csv{suffix}", data)
    assert ids[:5000] == [f"c{number}" for number in range(5000)]
    assert set(ids[5000:]) <= {"x0", "x1"}
    assert [(row.reason, row.line) for row in rejected] == [("unreadable", len(ids) + 2)]
    assert batches[-1].position is not None
    assert batches[-1].position.done


@all_packers
@pytest.mark.parametrize("keep", [0.3, 0.7])
def test_any_cut(tmp_path, suffix, keep):
    """However much is there: a prefix of the rows, then one rejected row."""
    data = PACKERS[suffix](PLAIN)
    ids, rejected, _ = read(tmp_path / f"a.csv{suffix}", data[: int(len(data) * keep)])
    assert ids == [f"c{number}" for number in range(len(ids))]
    assert [row.reason for row in rejected] == ["unreadable"]


@all_packers
def test_what_is_corrupt_behind_a_good_part(tmp_path, suffix):
    """Garbage behind the content is one rejected row."""
    ids, rejected, _ = read(tmp_path / f"a.csv{suffix}", PACKERS[suffix](PLAIN) + b"garbage")
    assert len(ids) == 5000
    assert [row.reason for row in rejected] == ["unreadable"]


@all_packers
@pytest.mark.parametrize("data", [b"conversation_id\nc1\n", bytes(100)])
def test_what_only_claims_to_be_compressed(tmp_path, suffix, data):
    """Not a single row comes out, and the file is not silently passed over."""
    ids, rejected, _ = read(tmp_path / f"a.csv{suffix}", data)
    assert (ids, [row.reason for row in rejected]) == ([], ["unreadable"])


@all_packers
def test_a_bomb_does_not_fill_the_memory(tmp_path, suffix):
    """A gibibyte of one letter in some kilobytes is one line that is too long."""
    if suffix == ".gz":
        data = gzip.compress(HEADER) + gzip.compress(b"x" * (1 << 26), 9) * 4
    else:
        data = b"".join(map(PACKERS[suffix], (HEADER, *[b"x" * (1 << 26)] * 4)))
    _, rejected, _ = read(tmp_path / f"a.csv{suffix}", data)
    assert [(row.line, row.reason) for row in rejected] == [(2, "too_long")]


@all_packers
def test_resuming_skips_what_was_read(tmp_path, suffix):
    """The offset counts decompressed bytes."""
    path = tmp_path / f"a.csv{suffix}"
    data = PACKERS[suffix](PLAIN)
    ids, _, batches = read(path, data)
    stat = path.stat()
    position = batches[3].position
    assert position is not None
    assert PLAIN[: position.offset].count(b"\n") == position.line

    async def rest():
        source = open_source(str(path), RowRules(text="Hello"))
        return [
            contact.conversation_id
            async for batch in source.batches({position.fingerprint: position})
            for contact in batch.contacts
        ]

    assert path.stat() == stat
    assert asyncio.run(rest()) == ids[4 * 256 :]
