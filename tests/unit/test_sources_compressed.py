"""Compressed input."""

import asyncio
import gzip
import itertools

import pytest

from dispatcher.ports import SourceError
from dispatcher.sources.factory import open_source
from dispatcher.sources.files.file_place import FilePlace
from dispatcher.sources.options import RowRules, Timing
from tests.support.packed import STREAM_PACKERS, zip_files

HEADER = b"conversation_id,a\n"
ROWS = [b"c%d,%d\n" % (number, number * 7919 % 1000) for number in range(2000)]
PLAIN = HEADER + b"".join(ROWS)
NAMES = {".gz": "gzip", ".zst": "zstd", ".bz2": "bzip2", ".xz": "xz"}

all_packers = pytest.mark.parametrize("suffix", STREAM_PACKERS)


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
    pack = STREAM_PACKERS[suffix]
    data = pack(PLAIN[:1003]) + pack(b"") + pack(PLAIN[1003:])
    ids, rejected, _ = read(tmp_path / f"a.csv{suffix}", data)
    assert (len(ids), ids[-1], rejected) == (2000, "c1999", [])


@all_packers
def test_compression_is_recognised_without_its_name(tmp_path, suffix):
    """A file whose name has no known extension is decompressed by its first bytes."""
    ids, _, _ = read(tmp_path / "a.csv", STREAM_PACKERS[suffix](PLAIN))
    assert len(ids) == 2000


def test_padding_behind_gzip_and_skippable_zstd_frames(tmp_path):
    """Zeros behind the last member and frames without content are no mistake."""
    ids, rejected, _ = read(tmp_path / "a.csv.gz", gzip.compress(PLAIN) + bytes(512))
    assert (len(ids), rejected) == (2000, [])
    skippable = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"
    ids, rejected, _ = read(tmp_path / "a.csv", skippable + STREAM_PACKERS[".zst"](PLAIN))
    assert (len(ids), rejected) == (2000, [])


@all_packers
def test_what_is_cut_short_is_read_as_far_as_it_goes(tmp_path, suffix):
    """The rows before the cut are good, the torn one never goes out, reading ends once."""
    data = STREAM_PACKERS[suffix](PLAIN) + STREAM_PACKERS[suffix](b"x0,1\nx1,2\ntorn,")[:-1]
    ids, rejected, batches = read(tmp_path / f"a.csv{suffix}", data)
    assert ids[:2000] == [f"c{number}" for number in range(2000)]
    assert set(ids[2000:]) <= {"x0", "x1"}
    assert [(row.reason, row.line) for row in rejected] == [("unreadable", len(ids) + 2)]
    name = NAMES[suffix]
    assert f"the {name} content is cut short" in rejected[0].detail
    assert f"write or copy the file again ({name} -t tests it)" in rejected[0].detail
    assert batches[-1].stream is not None
    assert batches[-1].stream.done


@all_packers
@pytest.mark.parametrize("keep", [0.3, 0.7])
def test_any_cut(tmp_path, suffix, keep):
    """However much is there: a prefix of the rows, then one rejected row."""
    data = STREAM_PACKERS[suffix](PLAIN)
    ids, rejected, _ = read(tmp_path / f"a.csv{suffix}", data[: int(len(data) * keep)])
    assert ids == [f"c{number}" for number in range(len(ids))]
    assert [row.reason for row in rejected] == ["unreadable"]


@all_packers
def test_what_is_corrupt_behind_a_good_part(tmp_path, suffix):
    """Garbage behind the content is one rejected row."""
    ids, rejected, _ = read(tmp_path / f"a.csv{suffix}", STREAM_PACKERS[suffix](PLAIN) + b"garbage")
    assert len(ids) == 2000
    assert [row.reason for row in rejected] == ["unreadable"]
    assert NAMES[suffix] in rejected[0].detail


@all_packers
def test_what_is_not_compressed_is_read_whatever_its_name_says(tmp_path, suffix):
    """The first bytes decide."""
    ids, rejected, _ = read(tmp_path / f"a.csv{suffix}", PLAIN)
    assert (len(ids), rejected) == (2000, [])


@all_packers
def test_what_is_not_compressed_and_no_text_either_is_refused(tmp_path, suffix):
    """The file is not silently passed over."""
    words = f"not readable as a line of CSV.* is that of a {NAMES[suffix]} file"
    with pytest.raises(SourceError, match=words):
        read(tmp_path / f"a.csv{suffix}", bytes(100))


@all_packers
def test_what_is_compressed_twice_is_read(tmp_path, suffix):
    """As a web server compresses a file that is compressed already."""
    ids, _, _ = read(tmp_path / f"a.csv{suffix}", gzip.compress(STREAM_PACKERS[suffix](PLAIN)))
    assert len(ids) == 2000


@pytest.mark.parametrize(
    "encoded",
    [
        PLAIN.decode().encode("utf-16"),
        b"\xfe\xff" + PLAIN.decode().encode("utf-16-be"),
        PLAIN.decode().encode("utf-32"),
        gzip.compress(PLAIN.decode().encode("utf-16")),
    ],
    ids=["UTF-16", "UTF-16 big endian", "UTF-32", "UTF-16 compressed"],
)
def test_a_byte_order_mark_of_utf_16_decides_the_encoding(tmp_path, encoded):
    """As spreadsheets save "Unicode text", and some shells every output."""
    ids, rejected, batches = read(tmp_path / "a.csv", encoded)
    assert (len(ids), rejected, FilePlace.of(batches[-1].stream).offset) == (2000, [], len(PLAIN))


def test_half_a_character_of_utf_16_ends_the_content(tmp_path):
    """The rows before it are good."""
    data = (HEADER + b"c1,1\n").decode().encode("utf-16") + b"\x00\xd8\n\0"
    _, rejected, _ = read(tmp_path / "a.csv", data)
    assert [row.reason for row in rejected] == ["unreadable"]


def test_the_only_file_of_a_zip_archive_is_read(tmp_path):
    """Folders and what systems add beside it do not count; it may be compressed once more."""
    extras = {"__MACOSX/._a.csv": b"\0\5", "x/.DS_Store": b"\0"}
    ids, rejected, _ = read(tmp_path / "a.zip", zip_files({"x/a.csv": PLAIN} | extras))
    assert (len(ids), rejected) == (2000, [])
    ids, _, _ = read(tmp_path / "b.zip", zip_files({"a.csv": gzip.compress(PLAIN)}))
    assert len(ids) == 2000


def test_a_zip_archive_with_a_wrong_byte_ends_there(tmp_path):
    """Its check sum is compared."""
    data = bytearray(zip_files({"a.csv": PLAIN}))
    data[len(data) // 2] ^= 0xFF
    ids, rejected, _ = read(tmp_path / "a.zip", bytes(data))
    assert ids == [f"c{number}" for number in range(len(ids))]
    assert [row.reason for row in rejected] == ["unreadable"]


def test_a_zip_archive_with_a_feature_that_is_not_read(tmp_path):
    """A patched file: found out when the file in it is opened."""
    data = bytearray(zip_files({"a.csv": PLAIN}))
    for flags in (6, data.index(b"PK\1\2") + 8):
        data[flags] |= 0x20
    ids, rejected, _ = read(tmp_path / "a.zip", bytes(data))
    assert (ids, [row.reason for row in rejected]) == ([], ["unreadable"])


def of_version(version, data):
    """Return an archive whose directory asks for a version of the format."""
    changed = bytearray(data)
    place = changed.index(b"PK\1\2") + 6
    changed[place : place + 2] = version.to_bytes(2, "little")
    return bytes(changed)


def encrypted(data):
    changed = bytearray(data)
    changed[6] |= 1  # the flag of the file's own header and of the directory's entry
    changed[data.index(b"PK\1\2") + 8] |= 1
    return bytes(changed)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (zip_files({"a.csv": PLAIN, "b.csv": PLAIN}), "zip archive of 2 files"),
        (zip_files({}), "zip archive of 0 files"),
        (zip_files({"a.csv": PLAIN})[:-40], "damaged or cut short"),
        (b"PK\3\4" + bytes(60), "damaged or cut short"),
        (encrypted(zip_files({"a.csv": PLAIN})), "with a password"),
        (of_version(99, zip_files({"a.csv": PLAIN})), "of a version that is not read"),
        (zip_files({"content.xml": b"<x/>"}), r"OpenDocument file \(.ods\)"),
        (zip_files({"xl/workbook.bin": b""}), r"binary Excel workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), r"old Excel file \(.xls\)"),
        (b"Obj\1" + bytes(60), "Avro"),
        (b"ORC" + bytes(60), "ORC"),
        (b"SQLite format 3\0" + bytes(60), "an SQLite database"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(60), "7-Zip"),
        (b"a.csv" + bytes(252) + b"ustar" + bytes(300), "a tar archive"),
        (gzip.compress(b"a.csv" + bytes(252) + b"ustar" + bytes(300)), "a tar archive"),
        (gzip.compress(b"PAR1" + bytes(60)), "Parquet"),
        (gzip.compress(zip_files({"a.csv": PLAIN})), "a zip archive"),
        (b" \n<!DOCTYPE html><title>Sign in</title>", "an HTML page"),
        (b"\xef\xbb\xbf<?xml version='1.0'?><r/>", "XML"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS"),
        (gzip.compress(gzip.compress(gzip.compress(gzip.compress(PLAIN)))), "more than 3 times"),
    ],
    ids=itertools.count(),
)
def test_a_format_that_is_not_read_is_named(tmp_path, data, words):
    """With what to do; in a watched folder it is one rejected row, and is not tried again."""
    path = tmp_path / "folder" / "a.csv"
    path.parent.mkdir()
    with pytest.raises(SourceError, match=f"{path.name}: is .*{words}.*"):
        read(path, data)
    rows, known = watched(path.parent, {})
    assert [(row.file, row.line, row.reason) for row in rows] == [(str(path), 1, "format")]
    assert watched(path.parent, known)[0] == []


def watched(folder, known):
    async def drain():
        timing = Timing(poll_seconds=0.01, stable_seconds=0.0)
        source = open_source(
            str(folder), RowRules(text="Hello"), watch=True, once=True, timing=timing
        )
        return [batch async for batch in source.batches(known)]

    batches = asyncio.run(drain())
    rows = [row for batch in batches for row in batch.rejected]
    return rows, {b.stream.fingerprint: b.stream for b in batches if b.stream}


@all_packers
def test_a_bomb_does_not_fill_the_memory(tmp_path, suffix):
    """64 MiB of one letter in some kilobytes are one line that is too long."""
    data = STREAM_PACKERS[suffix](HEADER) + STREAM_PACKERS[suffix](b"x" * (1 << 24)) * 4
    _, rejected, _ = read(tmp_path / f"a.csv{suffix}", data)
    assert [(row.line, row.reason) for row in rejected] == [(2, "too_long")]


@all_packers
def test_resuming_skips_what_was_read(tmp_path, suffix):
    """The offset counts decompressed bytes."""
    path = tmp_path / f"a.csv{suffix}"
    data = STREAM_PACKERS[suffix](PLAIN)
    ids, _, batches = read(path, data)
    stat = path.stat()
    stream = batches[3].stream
    assert stream is not None
    place = FilePlace.of(stream)
    assert PLAIN[: place.offset].count(b"\n") == place.line == stream.rows

    async def rest():
        source = open_source(str(path), RowRules(text="Hello"))
        return [
            contact.conversation_id
            async for batch in source.batches({stream.fingerprint: stream})
            for contact in batch.contacts
        ]

    assert path.stat() == stat
    assert asyncio.run(rest()) == ids[4 * 256 :]
