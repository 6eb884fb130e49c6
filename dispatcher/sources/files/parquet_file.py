"""Rows of a Parquet file, one row group after the other."""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any, BinaryIO

from dispatcher.sources.files.decompression import DamagedError
from dispatcher.sources.files.signatures import MissingPackageError, UnreadableFormatError
from dispatcher.sources.files.table_values import json_line, number_text

_BATCH_ROWS = 1024


class ParquetTable:
    """The rows of a Parquet file as JSON Lines; a row's line is its number, from 1.

    Raises:
        UnreadableFormatError: it is damaged, or the package that reads it is not installed.

    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        if find_spec("pyarrow") is None:
            raise MissingPackageError(
                name,
                "is Parquet, which needs the package pyarrow: install it with "
                "pip install 'dispatcher[parquet]', or export it as CSV or JSON Lines",
            )
        import pyarrow as pa  # noqa: PLC0415 - an optional extra
        from pyarrow import parquet  # noqa: PLC0415 - as above

        self._arrow = pa
        self._errors = (pa.ArrowException, OSError, ValueError)
        try:
            self._file = parquet.ParquetFile(file)
            self._groups = [
                self._file.metadata.row_group(index).num_rows
                for index in range(self._file.num_row_groups)
            ]
            self.names: tuple[str, ...] = tuple(self._file.schema_arrow.names)
        except self._errors:
            raise UnreadableFormatError(
                name,
                "is Parquet that is damaged, cut short or encrypted: write it again, or export it "
                "as CSV or JSON Lines",
            ) from None

    def lines(self, skipped: int) -> Iterator[bytes]:
        """Yield the rows after the first ``skipped``, as `Table` says."""
        group = 0
        while group < len(self._groups) and skipped >= self._groups[group]:
            skipped -= self._groups[group]
            group += 1
        try:
            for index in range(group, len(self._groups)):
                yield from self._group_lines(index, skipped)
                skipped = 0
        except self._errors as error:
            raise DamagedError(
                f"the Parquet content is corrupt ({error}); write it again"
            ) from error

    def _group_lines(self, index: int, skipped: int) -> Iterator[bytes]:
        batches = self._file.iter_batches(_BATCH_ROWS, row_groups=[index], use_threads=False)
        for batch in batches:
            rest = batch.slice(min(skipped, batch.num_rows))
            skipped -= batch.num_rows - rest.num_rows
            columns = [self._values(column) for column in rest.columns]
            rows = zip(*columns, strict=True)
            yield b"".join(json_line(dict(zip(self.names, row, strict=True))) for row in rows)

    def _values(self, column: Any) -> list[Any]:
        """Return a column's values as text, or as what JSON can hold."""
        pa, types = self._arrow, self._arrow.types
        kind = column.type
        if types.is_dictionary(kind):
            return self._values(column.dictionary_decode())
        if types.is_floating(kind):
            texts = column.cast(pa.string()).to_pylist()
            limit = 1 << (53 if kind == pa.float64() else 24 if kind == pa.float32() else 11)
            return [
                _float_text(*pair, limit) for pair in zip(column.to_pylist(), texts, strict=True)
            ]
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
