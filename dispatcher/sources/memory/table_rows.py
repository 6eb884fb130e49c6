"""Turns tables of Arrow, data frames and lists of rows into lines of JSON, all in the same way."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from dispatcher.ports import SourceError
from dispatcher.sources.files.arrow_values import column_values
from dispatcher.sources.files.table_values import json_line
from dispatcher.sources.rows.row_errors import InvalidRowError

BATCH_ROWS = 1024
"""Rows that are converted at a time."""

MOST_LEVELS = 32
"""How deep the lists and objects of a cell may be nested."""

MOST_PARTS = 10_000
"""How many lists and objects a cell may have."""

_CONTAINERS = (list, tuple, set, frozenset, dict)

_INDEX = re.compile(r"__index_level_\d+__")
"""What pandas calls an index that has no name: it is no column of the user's."""

_WANTED = (
    "a DataFrame of pandas or polars, a table of Arrow, anything else with __arrow_c_stream__, or "
    "a list of mappings"
)


class RowsError(SourceError):
    """The rows are in a form that cannot be read; the message says what to give instead."""


@dataclass(slots=True)
class TableRows:
    """The rows of a table as lines of JSON, and the names of its columns.

    ``errors`` are the rows that have no line, because they have a value without a text; by their
    number, from 0.
    """

    names: tuple[str, ...]
    lines: list[bytes] = field(default_factory=list)
    errors: dict[int, InvalidRowError] = field(default_factory=dict)


def read_rows(data: object) -> TableRows:
    """Return the rows of a table, a data frame, or an iterable of mappings.

    Raises:
        RowsError: it is something else, or the package that reads it is not installed.

    """
    if find_spec("pyarrow") is None:
        raise RowsError(
            "tables and data frames need the package pyarrow: install it with "
            "pip install 'dispatcher[notebook]'"
        )
    is_arrow = any(hasattr(data, name) for name in ("__arrow_c_stream__", "__arrow_c_array__"))
    if _is_frame(data) and (not is_arrow or _has_objects(data)):
        return _read_frame(data)
    if not is_arrow:
        return _read_mappings(_as_mappings(data))
    import pyarrow as pa  # noqa: PLC0415 - an optional extra

    try:
        table = pa.table(data)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        if _is_frame(data):
            return _read_frame(data)
        raise RowsError(
            f"rows of type {type(data).__name__} are no table: give {_WANTED}"
        ) from None
    return _read_table(table)


def _read_table(table: Any) -> TableRows:
    names = _names(table.column_names)
    kept = [number for number, name in enumerate(names) if not _INDEX.fullmatch(name)]
    rows = TableRows(tuple(names[number] for number in kept))
    for batch in table.to_batches(max_chunksize=BATCH_ROWS):
        columns = [column_values(_in_microseconds(batch.column(number))) for number in kept]
        _add(rows, columns, batch.num_rows)
    return rows


def _names(found: Iterable[object]) -> tuple[str, ...]:
    names = tuple(map(str, found))
    if wrong := [number for number, name in enumerate(names, 1) if not _is_text(name)]:
        raise RowsError(f"the name of column {wrong[0]} is not valid text: rename it")
    return names


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_frame(data: object) -> bool:
    """Return True for a data frame of pandas, also one with columns that Arrow does not take."""
    return all(hasattr(data, name) for name in ("dtypes", "columns", "index", "reset_index"))


def _has_objects(frame: Any) -> bool:
    """Return True if a column of a data frame may have any objects."""
    return any(str(kind) == "object" for kind in frame.dtypes)


def _read_frame(frame: Any) -> TableRows:
    if repeated := sorted({str(n) for n in frame.columns[frame.columns.duplicated()]}):
        raise RowsError(f"the column {repeated[0]!r} is there more than once: rename one of them")
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    names = _names(frame.columns)
    columns = (list(frame[name].astype(object)) for name in frame.columns)
    return _of_columns(names, columns, len(frame))


def _as_mappings(data: object) -> list[object]:
    if isinstance(data, str | bytes | Mapping) or not isinstance(data, Iterable):
        raise RowsError(f"rows of type {type(data).__name__} cannot be read: give {_WANTED}")
    return list(data)


def _read_mappings(found: Sequence[object]) -> TableRows:
    errors: dict[int, InvalidRowError] = {}
    rows = [_as_dict(row, number, errors) for number, row in enumerate(found)]
    names = tuple(dict.fromkeys(name for row in rows for name in row))
    columns = ([row.get(name) for row in rows] for name in names)
    table = _of_columns(names, columns, len(rows))
    table.errors = {**table.errors, **errors}
    return table


def _as_dict(row: object, number: int, errors: dict[int, InvalidRowError]) -> dict[str, object]:
    if isinstance(row, Mapping):
        try:
            found = dict(row)
        except Exception:  # noqa: BLE001 - a mapping of the caller's, which costs its row only
            found = {0: None}
        if all(isinstance(name, str) and _is_text(name) for name in found):
            return found
    errors[number] = InvalidRowError("json", "the row is no mapping whose keys are text")
    return {}


def _of_columns(names: tuple[str, ...], columns: Iterable[list[object]], number: int) -> TableRows:
    rows = TableRows(names)
    texts = [_texts(name, column, rows.errors) for name, column in zip(names, columns, strict=True)]
    _add(rows, texts, number)
    return rows


def _add(rows: TableRows, columns: Sequence[Sequence[object]], number: int) -> None:
    """Add so many rows, whose values are there by column."""
    by_row: Iterator[tuple[object, ...]] = (
        zip(*columns, strict=True) if columns else iter([()] * number)
    )
    rows.lines += [json_line(dict(zip(rows.names, row, strict=True))) for row in by_row]


def _texts(name: str, values: list[object], errors: dict[int, InvalidRowError]) -> list[object]:
    """Return the values of a column as Arrow has them: together, or each alone if they differ."""
    with suppress(Exception):  # then each value is tried alone
        return _as_arrow(values)
    texts: list[object] = []
    for number, value in enumerate(values):
        try:
            texts.append(_alone(value))
        except Exception:  # noqa: BLE001 - a value of the caller's, which costs its row only
            texts.append(None)
            detail = f"column {name!r} has a value of type {type(value).__name__} without a text"
            errors.setdefault(number, InvalidRowError("json", detail))
    return texts


def _alone(value: object) -> object:
    if type(value) is int:  # of any size
        return str(value)
    return value if type(value) is str else _as_arrow([value])[0]


def _as_arrow(values: list[object]) -> list[object]:
    """Return values as Arrow has them.

    Raises:
        Exception: it cannot take one of them, or cannot take them together.

    """
    import pyarrow as pa  # noqa: PLC0415 - an optional extra

    if not all(map(_is_flat, values)):
        raise ValueError("nested too deep")
    return column_values(_in_microseconds(pa.array(values, from_pandas=True)))


def _is_flat(value: object) -> bool:
    """Return True if a value has few levels: with endless ones Arrow ends the process."""
    waiting = [(value, 0)] if isinstance(value, _CONTAINERS) else []
    for _ in range(MOST_PARTS):
        if not waiting:
            return True
        container, level = waiting.pop()
        if level >= MOST_LEVELS:
            return False
        parts: Iterable[object] = container.values() if isinstance(container, dict) else container
        waiting += [(part, level + 1) for part in parts if isinstance(part, _CONTAINERS)]
    return False


def _in_microseconds(column: Any) -> Any:
    """Return a column whose times have six digits, so that each library's are written alike."""
    import pyarrow as pa  # noqa: PLC0415 - an optional extra

    kind = column.type
    if not pa.types.is_timestamp(kind) or kind.unit == "us":
        return column
    return column.cast(pa.timestamp("us", kind.tz), safe=False)
