"""Values of tables as JSON, so that a table is read as JSON Lines."""

from collections.abc import Iterable
from typing import Protocol

import orjson

_DIGITS_LOST = 1 << 53
"""From here on a float of 64 bits does not hold every integer."""
_NOT_UTF8 = b"\xff\n"
"""A line that is rejected with the reason ``encoding``."""


class Table(Protocol):
    """A table of cells that is read row by row."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns; one without a name is an empty string."""
        ...

    def lines(self, skipped: int) -> Iterable[bytes]:
        """Yield all rows as JSON Lines but for the first ``skipped`` lines.

        A line has the number of its row in the table; rows without a value are empty lines.

        Raises:
            DamagedError: while iterating, after all rows that could be read.

        """
        ...


def number_text(value: float, digits_lost: int = _DIGITS_LOST) -> str | None:
    """Return a float as text: without a fraction if it has none, None if it is no number.

    From ``digits_lost`` on the text is in scientific notation, by which an id is recognised as one
    that has lost digits.
    """
    if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 - NaN
        return None
    if value.is_integer():
        return str(int(value)) if abs(value) < digits_lost else f"{value:.16e}"
    return repr(value)


def json_line(row: dict[str, object]) -> bytes:
    """Return a row as a line of JSON; an empty line if it has no value."""
    row = {name: value for name, value in row.items() if name and value is not None}
    if not row:
        return b"\n"
    try:
        return orjson.dumps(row, default=_default) + b"\n"
    except orjson.JSONEncodeError:
        return _NOT_UTF8


def _default(value: object) -> object:
    """Return a value that JSON has no type for as text."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode()
    return str(value)
