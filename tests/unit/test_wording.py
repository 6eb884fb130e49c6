"""The script that finds words and names which the project does not use."""

import pytest

from tests.support.wording import findings, main, repeated_classes


def write(path, text):
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('"""Reads the file anew."""\n', "1: 'anew'"),
        ("x = 1\n# whoever waits\n", "2: 'whoever'"),
        ('raise ValueError("the ledger tells no one")\n', "1: 'tells'"),
        ("def f(given): ...\n", "1: name 'given'"),
        ("for each in (): ...\n", "1: name 'each'"),
        ("def told_of(): ...\n", "1: name 'told_of'"),
        ('"""Returns the standard state of understanding."""\nreach, segiven = 1, 2\n', None),
    ],
)
def test_words_and_names_are_found(tmp_path, text, found):
    """In docstrings, comments, messages and what a file defines; whole words only."""
    path = write(tmp_path / "a.py", text)
    assert list(findings([path])) == ([f"{path}:{found}"] if found else [])


def test_documents_are_read_line_by_line(tmp_path):
    path = write(tmp_path / "a.md", "A line.\nIt stands here.\n")
    assert list(findings([path])) == [f"{path}:2: 'stands'"]


def test_a_class_name_of_two_modules_is_found(tmp_path):
    """With the modules that define it; functions and nested classes may share a name."""
    write(tmp_path / "p" / "a.py", "class Same: ...\nclass Other:\n    class Inner: ...\n")
    write(tmp_path / "p" / "b.py", "class Same: ...\nclass Inner: ...\ndef Other(): ...\n")
    assert repeated_classes(tmp_path / "p") == {"Same": ["a.py", "b.py"]}


def test_the_exit_code_says_whether_something_was_found(tmp_path, capsys):
    assert main([str(write(tmp_path / "a.py", "x = 1\n"))]) == 0
    assert main([str(write(tmp_path / "b.py", "told = 1\n"))]) == 1
    assert "name 'told'" in capsys.readouterr().out
