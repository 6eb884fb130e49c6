"""What the copy of a ledger copies: all of it, and how rows are compared."""

from contextlib import closing

from dispatcher.ledgers.copying.checksum import Checksum
from dispatcher.ledgers.copying.tables import TABLES
from dispatcher.ledgers.moves import Move
from dispatcher.ledgers.schema import open_for_writing

OF_THE_PLACE = {"location", "move", "moved_cursor"}
"""Tables that say where a file is, and where it came from."""
OF_A_FILE = {"contact": {"lately"}, "reached": {"lately"}}
"""Columns that a file alone has."""
KINDS = {"INTEGER": {"whole", "flag"}, "REAL": {"real"}, "TEXT": {"text"}, "BLOB": {"bytes"}}


def test_every_table_and_column_of_a_file_is_copied(tmp_path):
    """A new one must be added to tables.py, or here if it belongs to the place."""
    with closing(open_for_writing(tmp_path / "ledger.db")) as connection:
        names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        found = {name for (name,) in names if not name.startswith("sqlite_")} - OF_THE_PLACE
        assert found == {table.name for table in TABLES}
        for table in TABLES:
            columns = connection.execute(f"PRAGMA table_info({table.name})").fetchall()
            types = {name: kind for _, name, kind, *_ in columns}
            assert set(types) - OF_A_FILE.get(table.name, set()) == set(table.columns)
            assert all(kind in KINDS[types[name]] for name, kind in table.columns.items())
            assert set(table.key) <= set(table.columns)


def test_the_order_of_rows_does_not_matter_and_each_value_does():
    """Also whether a number is whole, what is missing, and how often a row is there."""
    rows = [(1, "a", None, 1.5, b"x"), (2, "", "b", 0.0, b"")]
    one, other = Checksum(), Checksum()
    one.add(rows)
    other.add(rows[1:])
    other.add(rows[:1])
    assert (one, str(one)) == (other, str(other))
    for changed in ([(1, "a", "", 1.5, b"x"), rows[1]], [rows[0], rows[0]], [rows[0]], [*rows, ()]):
        third = Checksum()
        third.add(changed)
        assert third != one


def test_a_mark_comes_back_from_its_row():
    for move in (
        Move("leaving", "id", "place", 1.5),
        Move("arriving", "id", "place", 1.5, ("reached", ["p", 7]), 9),
    ):
        assert Move.of_row(move.row()) == move
    assert Move.of_row(None) is None
