"""Pages by a key: the place in a query's result is the key of the last row that was read.

A key is a value that the database orders. The place is its text with its type, so that a later run
compares with the same value.
"""

import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from dispatcher.ports import SourceError

_READ: Mapping[str, Any] = {
    "int": int,
    "float": float,
    "str": str,
    "decimal": Decimal,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "uuid": UUID,
    "bytes": bytes.fromhex,
}
_TYPES: Mapping[type, str] = {
    int: "int",
    float: "float",
    str: "str",
    Decimal: "decimal",
    datetime: "datetime",
    date: "date",
    UUID: "uuid",
    bytes: "bytes",
}

_IGNORED = ("Mn", "Cf", "Cc")
"""Categories of characters that collations ignore: accents, and what is not seen."""


def write_key(key: object) -> str:
    """Return the place of a key as text.

    Raises:
        SourceError: a value of its type cannot be a key.

    """
    kind = _TYPES.get(type(key))
    if kind is None:
        raise SourceError(
            f"the key has values of the type {type(key).__name__}; take a column of integers, "
            "texts, dates or UUIDs, or CAST it"
        )
    text = key.hex() if isinstance(key, bytes) else _text(key)
    return json.dumps([kind, text])


def read_key(place: str) -> Any:
    """Return the key of a place that `write_key` wrote."""
    kind, text = json.loads(place)
    return _READ[kind](text)


def _text(key: object) -> str:
    if isinstance(key, datetime | date):
        return key.isoformat()
    return repr(key) if isinstance(key, float) else str(key)


def whole_keys(
    rows: Sequence[Mapping[str, object]], key: str, limit: int, name: str
) -> Sequence[Mapping[str, object]]:
    """Return the rows of a page whose keys are complete: no row of the same key comes after them.

    ``rows`` are those with the smallest keys, in order, at most ``limit``. Where there are as many,
    the last key may go on in the next page, so its rows are left to that.

    Raises:
        SourceError: more than a whole page has the same key.

    """
    if len(rows) < limit:
        return rows
    end = _start_of_key(rows, key, len(rows) - 1)
    if end == 0:
        raise SourceError(
            f"{name}: {limit:,} rows or more have the same {key}; the key must be different in "
            "each row: take another column, or several in one"
        )
    return rows[:end]


def check_progress(rows: Sequence[Mapping[str, object]], key: str, last: object, name: str) -> None:
    """Check that a page begins after the last key.

    Raises:
        SourceError: it does not: the column is finer than the values that the driver returns.

    """
    if rows and last is not None and rows[0][key] == last:
        raise SourceError(
            f"{name}: a row with the last {key} came again; its column is finer than the values "
            "that are read. Take another key, or CAST it to the precision that is read"
        )


def in_batches(
    rows: Sequence[Mapping[str, object]], key: str, size: int
) -> Iterator[Sequence[Mapping[str, object]]]:
    """Yield the rows of a page in parts of at most ``size``; more only where they have one key.

    Rows with one key are in one part: reading goes on behind the key of a part's last row.
    """
    start = 0
    while start < len(rows):
        end = min(start + size, len(rows))
        if end < len(rows):
            end = _start_of_key(rows, key, end)
        if end <= start:
            end = _end_of_key(rows, key, start)
        yield rows[start:end]
        start = end


def _start_of_key(rows: Sequence[Mapping[str, object]], key: str, index: int) -> int:
    """Return the index of the first row with the same key as a row."""
    while index > 0 and _may_be_same(rows[index - 1][key], rows[index][key]):
        index -= 1
    return index


def _end_of_key(rows: Sequence[Mapping[str, object]], key: str, index: int) -> int:
    """Return the index behind the last row with the same key as a row."""
    index += 1
    while index < len(rows) and _may_be_same(rows[index - 1][key], rows[index][key]):
        index += 1
    return index


def _may_be_same(one: Any, other: Any) -> bool:
    """Return True if a database may regard two keys that follow each other as equal.

    Collations ignore case, accents or spaces at the end. NaN is not equal to itself here, but in a
    database it is.
    """
    if isinstance(one, str) and isinstance(other, str):
        return _folded(one) == _folded(other)
    return bool(one == other or (one != one and other != other))  # noqa: PLR0124 - NaN


def _folded(text: str) -> str:
    """Return what all texts have in common that a usual collation regards as equal."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    return "".join(
        letter for letter in letters if unicodedata.category(letter) not in _IGNORED
    ).rstrip()
