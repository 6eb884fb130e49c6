"""Opens Parquet files and Excel workbooks, whose rows are read as JSON Lines."""

import csv
import io
from collections.abc import Sequence

from dispatcher.sources.files.byte_source import Content
from dispatcher.sources.files.parquet_file import ParquetTable
from dispatcher.sources.files.seekable_content import BeforeRead, SeekableContent
from dispatcher.sources.files.table_values import Table
from dispatcher.sources.files.workbook import WorkbookTable
from dispatcher.sources.options import Layout
from dispatcher.sources.rows.column_names import ColumnNames
from dispatcher.sources.rows.csv_header import read_header
from dispatcher.sources.rows.line_reader import LineReader


def open_table(content: Content, columns: ColumnNames) -> Table | None:
    """Return the table that a content is; None if it is text.

    Raises:
        UnreadableFormatError: it is a table that cannot be read.
        ColumnsError: it lacks a column that the rules need.

    """
    if not isinstance(content, SeekableContent) or content.table_format is None:
        return None
    with content.table_file() as file:
        is_parquet = content.table_format == "parquet"
        table: Table = (ParquetTable if is_parquet else WorkbookTable)(file, content.name)
    check_names(table.names, content.name, columns)
    return table


def table_reader(
    table: Table, content: SeekableContent, offset: int, line: int, before_read: BeforeRead
) -> LineReader:
    """Return a reader of a table's rows after ``line``. ``offset`` counts bytes of JSON."""
    lines = content.checked(iter(table.lines(line)), before_read)
    return LineReader(lines, terminator=b"\n", offset=offset, line=line)


def check_names(names: Sequence[str], name: str, columns: ColumnNames) -> None:
    """Check the names of a table's columns as a header of CSV is checked; ``name`` is its own.

    Raises:
        ColumnsError: the table lacks a column that the rules need.

    """
    text = io.StringIO()
    csv.writer(text).writerow(names)
    read_header(LineReader(iter((text.getvalue().encode(),))), name, Layout(delimiter=","), columns)
