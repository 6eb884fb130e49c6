"""Checks the columns of rows that are objects: each has its own, and there is no header."""

from collections.abc import Iterator

from dispatcher.domain.contact import Contact, RejectedRow
from dispatcher.sources.rows.columns_error import ColumnsError
from dispatcher.sources.rows.contact_builder import ContactBuilder

CHECKED_ROWS = 100
"""Rows of which all columns are checked at the start; a wrong one later rejects its row."""
HELD_ROWS = 1000
"""Rows of a stream that wait for a column that the settings name."""

Row = Contact | RejectedRow | None


def check_objects(rows: Iterator[Row], file: str, builder: ContactBuilder) -> None:
    """Read as many rows of a file as are needed to know its columns.

    An object without a column is a row with an empty cell. So a file is read to its end if it has
    no row with a column that the settings name.

    Raises:
        ColumnsError: no row has such a column, or a column looks like one with a meaning.

    """
    for number, _ in enumerate(rows, 1):
        if number >= CHECKED_ROWS and not builder.missing_columns:
            break
    _check(file, builder)


def hold_back(rows: Iterator[Row], file: str, builder: ContactBuilder) -> Iterator[Row]:
    """Yield the rows of a stream, but none before the columns that the settings name are there.

    Raises:
        ColumnsError: as `check_objects`; for a column that none of the first rows has as well.

    """
    held: list[Row] = []
    for row in rows:
        held.append(row)
        if not builder.missing_columns or len(held) >= HELD_ROWS:
            break
    _check(file, builder)
    yield from held
    yield from rows


def _check(file: str, builder: ContactBuilder) -> None:
    problems = [*builder.column_problems]
    if builder.has_objects:
        missing = ", ".join(map(repr, builder.missing_columns))
        if missing:
            problems.append(
                f"no row has {missing}; correct source.columns or source.filter, or the file"
            )
    if problems:
        raise ColumnsError(file, problems, 1, b"", of_first_line=False)
