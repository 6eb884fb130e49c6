"""Rows of a Parquet file, one row group after the other."""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import BinaryIO

from dispatcher.sources.files.arrow_values import column_values
from dispatcher.sources.files.decompression import DamagedError
from dispatcher.sources.files.signatures import MissingPackageError, UnreadableFormatError
from dispatcher.sources.files.table_values import json_line

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
            columns = [column_values(column) for column in rest.columns]
            rows = zip(*columns, strict=True)
            yield b"".join(json_line(dict(zip(self.names, row, strict=True))) for row in rows)
