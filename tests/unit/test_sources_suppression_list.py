"""The suppression list: a file that changes while the dispatcher runs."""

import pytest

from dispatcher.ports import SourceError
from dispatcher.sources.suppression_list import SuppressionList


@pytest.fixture
def listed(tmp_path):
    """A list in a file, and what was said when it could not be read."""
    path, said = tmp_path / "list.csv", []

    def write(text):
        beside = tmp_path / "beside"
        beside.write_bytes(text.encode() if isinstance(text, str) else text)
        beside.replace(path)

    write("first\n")
    people = SuppressionList(path, said.append)
    return people, write, said


def test_what_a_line_can_be(tmp_path):
    """The first column, quoted or not; comments, empty lines and letter case do not matter."""
    path = tmp_path / "list.csv"
    path.write_bytes(
        b"\xef\xbb\xbfid,why\r\n# comment\n\n  Ann@Example.org  ,asked\r\n"
        b'"Smith, Jo",x\n\xc3\x9cnal\nlast'
    )
    people = SuppressionList(path, pytest.fail)
    held = ["ann@example.org", "SMITH, JO", "ünal", "last", "id"]
    assert all(people.matches([None, "", name]) for name in held)
    assert not people.matches(["asked", "# comment", "comment", "", None, "first"])
    assert len(people) == 5


def test_a_change_counts_from_the_next_look_on(listed):
    """What is new counts at once; what is gone, when the file rests."""
    people, write, _ = listed
    write("second\n")
    assert not people.matches(["second"])
    people.look()
    assert people.matches(["second"])
    assert people.matches(["first"])
    people.look()
    assert people.matches(["second"])
    assert not people.matches(["first"])


def test_a_half_written_file_frees_nobody(listed, tmp_path):
    """While the file grows in place, people who were on it stay on it."""
    people, _, _ = listed
    path = tmp_path / "list.csv"
    path.write_text("")
    people.look()
    path.write_text("other\nfirst\n")
    people.look()
    people.look()
    assert people.matches(["first"])
    assert people.matches(["other"])


@pytest.mark.parametrize("damage", ["gone", "binary"])
def test_the_last_good_list_stays(listed, tmp_path, damage):
    """A list that is gone or broken is reported once, kept, and followed again once repaired."""
    people, write, said = listed
    if damage == "gone":
        (tmp_path / "list.csv").unlink()
    else:
        write(b"\xff\xfe\x00")
    for _ in range(3):
        people.look()
    assert people.matches(["first"])
    assert len(said) == 1
    write("second\n")
    people.look()
    assert people.matches(["second"])
    (tmp_path / "list.csv").unlink()
    people.look()
    assert len(said) == 2


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_list_that_cannot_be_read_at_the_start(tmp_path, content):
    """The message has the file and the setting."""
    path = tmp_path / "list.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError, match=r"list\.csv: .*rules\.suppression_file"):
        SuppressionList(path, pytest.fail)
