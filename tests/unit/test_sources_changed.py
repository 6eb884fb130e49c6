"""Files that change, are replaced, or are renamed while they are read, or between two runs."""

import asyncio
from contextlib import aclosing

import pytest

from dispatcher.ports import SourceError
from dispatcher.sources.factory import open_source
from dispatcher.sources.options import RowRules, Timing

RULES = RowRules(text="Hello")
ROWS = 60_000
"""Far more than the reading thread reads ahead."""


def rows(letter, count=ROWS):
    return "conversation_id,name\n" + "".join(f"{letter}{n:06},x\n" for n in range(count))


def source(path, **options):
    return open_source(str(path), RULES, **options)


def read(path, known=None, act=None, **options):
    """Read everything; ``act`` runs behind the first batch."""

    async def drain():
        batches = []
        async with aclosing(source(path, **options).batches(known or {})) as coming:
            async for batch in coming:
                batches.append(batch)
                if act is not None and len(batches) == 1:
                    act()
        return batches

    return asyncio.run(drain())


def ids(batches):
    return [contact.conversation_id for batch in batches for contact in batch.contacts]


def rejected(batches):
    return [(row.file, row.line, row.reason) for batch in batches for row in batch.rejected]


def known_after(batches):
    return {batch.stream.fingerprint: batch.stream for batch in batches if batch.stream}


@pytest.mark.parametrize("change", ["appended", "overwritten", "cut"])
def test_a_file_that_changes_while_it_is_read_is_named_and_not_mixed(tmp_path, change):
    """Rows from before the change are taken, none from after it, and no row of both."""
    path, taken = tmp_path / "a.csv", []
    path.write_text(rows("a"))

    def act():
        if change == "appended":
            with path.open("a") as file:
                file.write("late,x\n")
        elif change == "overwritten":
            path.write_text(rows("bb"))
        else:
            path.write_text("conversation_id,name\n")

    async def drain():
        async with aclosing(source(path).batches({})) as coming:
            async for batch in coming:
                taken.append(batch)
                if len(taken) == 1:
                    act()

    with pytest.raises(SourceError, match=r"a\.csv: it changed while it was read \(.*Run again"):
        asyncio.run(drain())
    assert ids(taken) == [f"a{n:06}" for n in range(len(ids(taken)))]
    assert 0 < len(ids(taken)) < ROWS
    assert not taken[-1].stream.done


def test_a_watched_file_that_changes_while_it_is_read_is_taken_again(tmp_path):
    """It is one rejected row, `changed`; once it is complete it is read as a whole."""
    path = tmp_path / "a.csv"
    path.write_text(rows("a"))

    async def watch():
        batches, timing = [], Timing(poll_seconds=0.01, stable_seconds=0.05)
        async with aclosing(source(tmp_path, watch=True, timing=timing).batches({})) as coming:
            async for batch in coming:
                batches.append(batch)
                if len(batches) == 1:
                    path.write_text(rows("b", 300))
                if batch.stream and batch.stream.done:
                    break
        return batches

    batches = asyncio.run(watch())
    assert rejected(batches) == [(str(path), 1, "changed")]
    assert [who for who in ids(batches) if who[0] == "b"] == [f"b{n:06}" for n in range(300)]


def test_a_file_that_was_read_in_part_and_has_changed_since_is_named_once(tmp_path):
    """The row says how far it was read; the new content is read from its beginning."""
    path = tmp_path / "a.csv"
    path.write_text(rows("a", 600))
    (first, *_) = read(path)
    known = known_after([first])
    path.write_text(rows("b", 600))
    again = read(path, known)
    assert rejected(again) == [(str(path), 257, "changed")]
    assert "up to line 257" in again[0].rejected[0].detail
    assert ids(again) == [f"b{n:06}" for n in range(600)]
    known |= known_after(again[:1])
    assert not rejected(read(path, known)), "reported with the first place of the new content"
    known |= known_after(again)
    path.write_text(rows("c", 10))
    assert not rejected(read(path, known)), "the one before it was read to its end"


def test_the_content_that_was_replaced_goes_on_where_it_was_if_it_comes_back(tmp_path):
    """Its place is kept, though its file is another one."""
    path, kept = tmp_path / "a.csv", tmp_path / "kept"
    path.write_text(rows("a", 600))
    known = known_after(read(path)[:1])
    path.rename(kept)
    path.write_text(rows("b", 3))
    known |= known_after(read(path, known))
    kept.rename(path)
    assert ids(read(path, known)) == [f"a{n:06}" for n in range(256, 600)]


@pytest.mark.parametrize("watch", [False, True])
def test_a_rotated_file_goes_on_under_its_new_name(tmp_path, watch):
    """Nothing changed for it, and the new file under the old name is read beside it."""
    path = tmp_path / "a.csv"
    path.write_text(rows("a", 600))
    known = known_after(read(path)[:1])
    path.rename(tmp_path / "a.csv.1")
    path.write_text(rows("b", 3))
    options = {"watch": True, "once": True, "timing": Timing(0.01, 0.02)} if watch else {}
    again = read(tmp_path if watch else tmp_path / "a.csv*", known, **options)
    assert not rejected(again)
    assert sorted(ids(again)) == [
        *(f"a{n:06}" for n in range(256, 600)),
        *(f"b{n:06}" for n in range(3)),
    ]


def test_a_file_that_is_renamed_before_its_turn_is_read_under_its_new_name(tmp_path):
    """What a glob matched is looked for again, and nothing is read twice."""
    (tmp_path / "a.csv").write_text(rows("a"))
    (tmp_path / "b.csv").write_text(rows("b", 3))
    batches = read(tmp_path / "*", act=lambda: (tmp_path / "b.csv").rename(tmp_path / "b.csv.1"))
    assert ids(batches) == [f"a{n:06}" for n in range(ROWS)] + [f"b{n:06}" for n in range(3)]


def test_a_half_written_last_line_is_rejected_and_read_once_it_is_whole(tmp_path):
    """A row that lacks its end lacks a column; the completed file brings it."""
    path = tmp_path / "a.csv"
    path.write_text(rows("a", 3)[:-4])
    first = read(path)
    assert rejected(first) == [(str(path), 4, "columns")]
    path.write_text(rows("a", 3))
    again = read(path, known_after(first))
    assert ids(again) == ["a000000", "a000001", "a000002"]
