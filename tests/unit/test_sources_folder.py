"""The watched folder."""

import asyncio
import os
from contextlib import aclosing
from types import SimpleNamespace
from zipfile import ZipFile

import pytest

from dispatcher.ports import SourceError
from dispatcher.sources.factory import open_source
from dispatcher.sources.files import folder_scan
from dispatcher.sources.files.folder_scan import UNFINISHED_SECONDS, FolderScan
from dispatcher.sources.options import RowRules, Timing
from tests.support.virtual import until

RULES = RowRules(text="Hello")
QUICK = Timing(poll_seconds=0.01, stable_seconds=0.05)


def stat(size=1, changed=1000.0, inode=1):
    return SimpleNamespace(
        st_size=size, st_mtime=changed, st_mtime_ns=int(changed * 1e9), st_ino=inode, st_dev=1
    )


def write(path, *rows, header="conversation_id"):
    path.write_text("\n".join([header, *rows, ""]))
    return path


def watch(folder, known=None, **options):
    return open_source(str(folder), RULES, watch=True, timing=QUICK, **options).batches(known or {})


def ids(batches):
    return [contact.conversation_id for batch in batches for contact in batch.contacts]


def test_a_file_is_taken_once_it_has_been_stable():
    """Every change of size, time or inode starts the wait again; the file is read once."""
    arrivals = FolderScan(2.0)
    assert arrivals.look({"a": stat(1)}, 0.0, 1000.0) == []
    assert arrivals.look({"a": stat(2)}, 1.0, 1001.0) == []
    assert arrivals.look({"a": stat(2)}, 2.9, 1003.0) == []
    assert arrivals.pending
    assert arrivals.look({"a": stat(2)}, 3.0, 1003.0) == ["a"]
    assert arrivals.look({"a": stat(2)}, 9.0, 1009.0) == []
    assert not arrivals.pending
    assert arrivals.look({"a": stat(3)}, 10.0, 1010.0) == []
    assert arrivals.look({"a": stat(3)}, 12.0, 1012.0) == ["a"]


def test_a_file_that_is_renamed_into_place_is_taken_at_once():
    """The same inode under a temporary name before means that writing has ended."""
    arrivals = FolderScan(2.0)
    for name in (".a.csv", "a.csv.tmp", "a.csv.part", "a.csv.partial", "a.CRDOWNLOAD"):
        assert arrivals.look({name: stat(inode=7)}, 0.0, 1000.0) == []
        assert not arrivals.pending
        assert arrivals.look({"a.csv": stat(inode=7)}, 0.1, 1000.0) == ["a.csv"]
        assert arrivals.look({}, 0.2, 1000.0) == []


def test_an_old_file_is_taken_at_first_sight():
    """What did not change for a minute needs no watching; a clock ahead is no reason."""
    arrivals = FolderScan(2.0)
    entries = {"b": stat(changed=900.0), "a": stat(changed=940.0), "c": stat(changed=1030.0)}
    assert arrivals.look(entries, 0.0, 1000.0) == ["a", "b"]


async def test_once_takes_what_is_there_and_ends(tmp_path):
    """Sorted by name; temporary names, folders and done files are passed over."""
    for name in ("b.csv", "a.csv", ".c.csv", "d.csv.part"):
        write(tmp_path / name, f"from-{name}")
    (tmp_path / "folder.csv").mkdir()
    batches = [batch async for batch in watch(tmp_path, once=True)]
    assert ids(batches) == ["from-a.csv", "from-b.csv"]
    known = {batch.stream.fingerprint: batch.stream for batch in batches}
    assert [batch async for batch in watch(tmp_path, known, once=True)] == []


async def test_once_with_an_empty_folder(tmp_path):
    """Nothing there is nothing to do, and no mistake."""
    assert [batch async for batch in watch(tmp_path, once=True)] == []


async def test_files_are_taken_as_they_come(tmp_path):
    """A file that is put there later, one renamed into place, and one that is overwritten."""
    async with aclosing(watch(tmp_path)) as batches:
        write(tmp_path / "a.csv", "c1")
        assert ids([await anext(batches)]) == ["c1"]
        write(tmp_path / "b.tmp", "c2").rename(tmp_path / "b.csv")
        assert ids([await anext(batches)]) == ["c2"]
        write(tmp_path / "a.csv", "c3", "c4")
        assert ids([await anext(batches)]) == ["c3", "c4"]


async def test_a_bad_header_at_the_start_ends_the_run(tmp_path):
    """A setting may be wrong for all files: none is read, and none is done."""
    write(tmp_path / "a.csv", "x,y@example.com", header="id,mail")
    write(tmp_path / "b.csv", "c1")
    write(tmp_path / "c.csv.part", "c2", header="id")
    with pytest.raises(SourceError, match=r"a\.csv: the header has no column"):
        await anext(watch(tmp_path, once=True))


async def test_a_bad_header_later_stops_nothing(tmp_path):
    """It is one rejected row, and the file is read once the settings are as it needs them."""
    async with aclosing(watch(tmp_path)) as batches:
        write(tmp_path / "b.csv", "c1")
        assert ids([await anext(batches)]) == ["c1"]
        write(tmp_path / "a.csv", "c2,Hi", header="conversation_id,text")
        bad = await anext(batches)
        (row,) = bad.rejected
        assert (row.file, row.line, row.reason) == (str(tmp_path / "a.csv"), 1, "header")
        assert row.raw == b"conversation_id,text"
        assert row.detail.startswith("the header has a column 'text'")
        assert 'source.attributes = ["text"]' in row.detail
        assert "Then restart" in row.detail
        assert bad.stream is None
        write(tmp_path / "c.csv", "c3")
        assert ids([await anext(batches)]) == ["c3"]
    (tmp_path / "b.csv").unlink()
    (tmp_path / "c.csv").unlink()
    rules = RowRules(text="Hello", attributes=["text"])
    mended = open_source(str(tmp_path), rules, watch=True, once=True, timing=QUICK)
    assert ids([batch async for batch in mended.batches({})]) == ["c2"]


@pytest.mark.parametrize(
    ("head", "package"), [(b"PAR1" + b"x" * 20 + b"PAR1", "pyarrow"), (None, "openpyxl")]
)
async def test_a_package_that_is_missing(tmp_path, monkeypatch, head, package):
    """It ends the start; later it is one rejected row, and the file is not done."""
    module = "parquet_file" if package == "pyarrow" else "workbook"
    monkeypatch.setattr(f"dispatcher.sources.files.{module}.find_spec", lambda _name: None)
    path = tmp_path / "a"
    async with aclosing(watch(tmp_path)) as batches:
        write(tmp_path / "b.csv", "c1")
        await anext(batches)
        if head is None:
            with ZipFile(path, "w") as book:
                book.writestr("[Content_Types].xml", "<Types/>")
                book.writestr("xl/workbook.xml", "<workbook/>")
        else:
            path.write_bytes(head)
        bad = await anext(batches)
        assert ([row.reason for row in bad.rejected], bad.stream) == (["format"], None)
    with pytest.raises(SourceError, match=package):
        await anext(watch(tmp_path, once=True))


async def test_an_unreadable_file_stops_nothing(tmp_path, monkeypatch):
    """It is one rejected row without a place; a file that is gone is nothing at all."""
    gone = write(tmp_path / "a.csv", "c0")
    write(tmp_path / "b.csv", "c1")
    write(tmp_path / "c.csv", "c2")
    real = os.fstat

    def refusing(descriptor):
        found = real(descriptor)
        for name in ("a.csv", "b.csv"):
            if (tmp_path / name).exists() and found.st_ino == (tmp_path / name).stat().st_ino:
                gone.unlink(missing_ok=True)
                raise PermissionError(13, "Permission denied")
        return found

    monkeypatch.setattr("dispatcher.sources.files.byte_source.os.fstat", refusing)
    bad, good = [batch async for batch in watch(tmp_path, once=True)]
    assert [(row.file, row.reason) for row in bad.rejected] == [
        (str(tmp_path / "b.csv"), "unreadable")
    ]
    assert bad.stream is None
    assert ids([good]) == ["c2"]


async def test_any_file_name_can_be_stored(tmp_path):
    """A name that is not UTF-8 is read, and shown with its odd bytes replaced."""
    (tmp_path / os.fsdecode(b"\xff.csv")).write_bytes(b"conversation_id\nc1\nbad/\n")
    (batch,) = [batch async for batch in watch(tmp_path, once=True)]
    assert ids([batch]) == ["c1"]
    assert batch.stream.name == batch.rejected[0].file == str(tmp_path / "\ufffd.csv")


async def test_a_folder_that_is_not_there(tmp_path):
    """The error names it and says what to do."""
    with pytest.raises(SourceError, match="absent: the folder cannot be listed"):
        await anext(watch(tmp_path / "absent"))


async def test_cancelling_a_watch(tmp_path):
    """An empty folder is watched for ever, and left at once when asked."""
    task = asyncio.ensure_future(anext(watch(tmp_path)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def settled_state(source, expected):
    """Wait until the source says so."""
    await until(lambda: source.waits_for == expected, seconds=5)


def test_a_file_that_grows_is_an_upload_for_a_quarter_of_an_hour():
    """Only a file that is never complete is named: an upload is no reason for an alarm."""
    scan = FolderScan(stable_seconds=2)
    for watched in range(1000):
        assert scan.look({"a.csv": stat(watched, watched)}, watched, watched) == []
        assert scan.pending
        assert scan.incomplete(watched) == (["a.csv"] if watched >= UNFINISHED_SECONDS else [])


async def test_which_files_are_not_read_and_why(tmp_path, monkeypatch):
    """A file that grows, one whose columns are wrong, and one that may not be read."""
    monkeypatch.setattr(folder_scan, "UNFINISHED_SECONDS", 0.0)
    timing = Timing(poll_seconds=0.01, stable_seconds=60.0)
    source = open_source(str(tmp_path), RULES, watch=True, timing=timing)
    assert source.watched
    write(tmp_path / "a.csv", "c1")
    os.utime(tmp_path / "a.csv", (1000, 1000))
    async with aclosing(source.batches({})) as batches:
        assert ids([await anext(batches)]) == ["c1"]
        await settled_state(source, "")
        write(tmp_path / "growing.csv", "c2")
        await settled_state(source, "growing.csv is not complete yet")
        write(tmp_path / ".b.csv", "x", header="id")
        (tmp_path / ".b.csv").rename(tmp_path / "b.csv")
        os.utime(tmp_path / "b.csv", (1000, 1000))
        why = "b.csv does not have the columns that the settings need, and 1 more"
        await settled_state(source, why)
        (tmp_path / "b.csv").unlink()
        (tmp_path / "growing.csv").unlink()
        await settled_state(source, "")


async def test_a_folder_that_is_read_once_is_not_watched(tmp_path):
    """It ends; so does a file."""
    assert not open_source(str(tmp_path), RULES, watch=True, once=True, timing=QUICK).watched
    assert not open_source(str(write(tmp_path / "a.csv", "c1")), RULES).watched
