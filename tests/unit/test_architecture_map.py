"""The map in docs/architecture.md."""

from tests.support.architecture_map import DOCUMENT, lines, written


def test_the_map_is_true_file_by_file():
    """``python -m tests.support.architecture_map`` writes it again."""
    assert DOCUMENT.read_text("utf-8") == written()


def test_every_module_and_folder_is_a_line(tmp_path):
    """Modules first, then folders with theirs; data folders with the names in them."""
    (tmp_path / "room" / "sql").mkdir(parents=True)
    (tmp_path / "room" / "sql" / "a.sql").write_text("")
    (tmp_path / "room" / "__init__.py").write_text('"""A room."""\n')
    (tmp_path / "room" / "part.py").write_text('"""A part.\n\nMore.\n"""\n')
    (tmp_path / "z.py").write_text('"""The last."""\n')
    assert list(lines(tmp_path)) == [
        "z.py  The last.",
        "room/  A room.",
        "  part.py  A part.",
        "  sql/  a.sql",
    ]
