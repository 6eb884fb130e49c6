"""Paths, globs, places, and which source fits what was named."""

import asyncio
import os
import threading

import pytest

from dispatcher.ports import SourceError
from dispatcher.sources.factory import open_source
from dispatcher.sources.files.file_source import FileSource
from dispatcher.sources.files.folder_source import FolderSource
from dispatcher.sources.files.stream_source import StreamSource
from dispatcher.sources.options import RowRules

RULES = RowRules(text="Hello")


def read(path, known=None, **options):
    async def drain():
        return [b async for b in open_source(str(path), RULES, **options).batches(known or {})]

    return asyncio.run(drain())


def ids(batches):
    return [contact.conversation_id for batch in batches for contact in batch.contacts]


def test_which_source_fits(tmp_path):
    """A path, a glob, standard input, a named pipe, a watched folder."""
    os.mkfifo(tmp_path / "pipe")
    assert isinstance(open_source("-", RULES), StreamSource)
    assert isinstance(open_source(str(tmp_path / "pipe"), RULES), StreamSource)
    assert isinstance(open_source(str(tmp_path / "*.csv"), RULES), FileSource)
    assert isinstance(open_source(str(tmp_path), RULES, watch=True), FolderSource)


def test_only_folders_are_watched(tmp_path):
    """Watching a file or standard input is a mistake that is raised at once."""
    (tmp_path / "a.csv").touch()
    for path in ("-", str(tmp_path / "a.csv")):
        with pytest.raises(SourceError, match="watch = false"):
            open_source(path, RULES, watch=True)


@pytest.mark.parametrize(
    ("name", "words"),
    [("absent.csv", "check that it exists"), ("*.xml", "no file matches"), ("", "watch = true")],
)
def test_nothing_to_read(tmp_path, name, words):
    """The error names the path and what to do."""
    with pytest.raises(SourceError, match=words) as caught:
        read(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def test_an_unreadable_file(tmp_path):
    """A loop of links is an example of what the operating system refuses."""
    (tmp_path / "a.csv").symlink_to(tmp_path / "a.csv")
    with pytest.raises(SourceError, match=r"a\.csv: cannot be read"):
        read(tmp_path / "a.csv")


def test_a_glob_is_read_in_the_order_of_paths(tmp_path):
    """Folders that match are passed over; each file ends with a stream that is done."""
    for name in ("b", "a", "c"):
        (tmp_path / f"{name}.csv").write_text(f"conversation_id\n{name}\n")
    (tmp_path / "d.csv").mkdir()
    batches = read(tmp_path / "*.csv")
    assert ids(batches) == ["a", "b", "c"]
    assert [batch.stream.done for batch in batches] == [True] * 3


def test_a_path_with_brackets_is_a_path(tmp_path):
    """What exists is read, whatever a glob would make of its name."""
    (tmp_path / "a[1].csv").write_text("conversation_id\nc1\n")
    assert ids(read(tmp_path / "a[1].csv")) == ["c1"]


def test_the_place_counts_bytes_and_lines(tmp_path):
    """The last place has the file's whole size, with or without a last newline."""
    path = tmp_path / "a.csv"
    for data in (b"conversation_id,a\r\nc1,\xc3\xbc\r\n", b"\xef\xbb\xbfconversation_id,a\nc1,b"):
        path.write_bytes(data)
        stream = read(path)[-1].stream
        assert (stream.name, stream.at, stream.rows) == (str(path), f"{len(data)} 2", 2)


def test_batches_are_bounded_in_rows_and_bytes(tmp_path):
    """256 rows or about a mebibyte, whichever comes first; the last one says done."""
    path = tmp_path / "a.csv"
    path.write_text("conversation_id,a\n" + "".join(f"c{n},x\n" for n in range(600)))
    assert [len(batch.contacts) for batch in read(path)] == [256, 256, 88]
    path.write_text("conversation_id,a\n" + "".join(f"c{n},{'x' * 500_000}\n" for n in range(5)))
    assert [len(batch.contacts) for batch in read(path)] == [3, 2]


def test_done_files_are_passed_over_until_they_change(tmp_path):
    """Tomorrow's export under the same name is a new file; a renamed one is the old one."""
    path = tmp_path / "a.csv"
    path.write_text("conversation_id\nc1\n")
    stream = read(path)[-1].stream
    known = {stream.fingerprint: stream}
    assert read(path, known) == []
    path = path.rename(tmp_path / "b.csv")
    assert read(path, known) == []
    os.utime(path, ns=(1, 1))
    assert ids(read(path, known)) == ["c1"]
    path.write_text("conversation_id\nc1\nc2\n")
    assert ids(read(path, known)) == ["c1", "c2"]


def test_closing_early_ends_the_thread(tmp_path):
    """Nobody reads on when the iterator is closed in the middle."""
    path = tmp_path / "a.csv"
    path.write_text("conversation_id\n" + "".join(f"c{n}\n" for n in range(100_000)))

    async def first():
        batches = open_source(str(path), RULES).batches({})
        async for _ in batches:
            break
        readers = [thread for thread in threading.enumerate() if thread.name == "source"]
        await batches.aclose()
        return readers

    (reader,) = asyncio.run(first())
    reader.join(5)
    assert not reader.is_alive()
