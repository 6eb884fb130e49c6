"""Values of Arrow's arrays as text, or as what JSON can hold."""

from typing import Any

from dispatcher.sources.files.table_values import number_text


def column_values(column: Any) -> list[Any]:
    """Return the values of an array of Arrow as text, or as what JSON can hold."""
    import pyarrow as pa  # noqa: PLC0415 - an optional extra

    types = pa.types
    kind = column.type
    if types.is_dictionary(kind):
        return column_values(column.dictionary_decode())
    if types.is_floating(kind):
        texts = column.cast(pa.string()).to_pylist()
        limit = 1 << (53 if kind == pa.float64() else 24 if kind == pa.float32() else 11)
        return [_float_text(*pair, limit) for pair in zip(column.to_pylist(), texts, strict=True)]
    if types.is_timestamp(kind):
        if kind.tz is not None:
            column = column.cast(pa.timestamp(kind.unit, "UTC"))
        return list(column.cast(pa.string()).to_pylist())
    if types.is_temporal(kind) or types.is_decimal(kind):
        return list(column.cast(pa.string()).to_pylist())
    if types.is_string(kind) or types.is_large_string(kind):
        column = column.cast(pa.large_binary())  # text that is not UTF-8 costs its row only
    try:
        return [_bytes_text(value) for value in column.to_pylist()]
    except ValueError:
        return [_cell(scalar) for scalar in column]


def _cell(scalar: Any) -> Any:
    """Return a value alone, or what Arrow writes for a date that is out of range.

    Lists and structures may have times that Python cannot hold, such as nanoseconds.
    """
    try:
        return _bytes_text(scalar.as_py())
    except ValueError:
        return "<value out of range>"


def _float_text(value: float | None, text: str | None, digits_lost: int) -> str | None:
    if value is None or text is None or not value.is_integer():
        return text if value is not None and number_text(value) is not None else None
    return number_text(value, digits_lost)


def _bytes_text(value: Any) -> Any:
    """Return bytes as text; those that are not UTF-8 as they are."""
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value
