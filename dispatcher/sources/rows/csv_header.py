"""The header of a CSV file: its delimiter and its columns."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dispatcher.sources.files.byte_source import FileContent
from dispatcher.sources.options import Layout, normal_name
from dispatcher.sources.rows.column_names import ColumnNames, ResolvedColumns
from dispatcher.sources.rows.columns_error import ColumnsError
from dispatcher.sources.rows.csv_fields import FieldScanner, Scan
from dispatcher.sources.rows.format import csv_delimiter, named_compression, shape_of
from dispatcher.sources.rows.line_reader import LineReader, LongLine

_SEPARATOR_LINE = re.compile(rb'"?sep=([^"\r\n])"?\r?', re.IGNORECASE)
"""The line by which spreadsheets set the delimiter, before the line with the columns."""
_DELIMITERS = (b",", b";", b"\t", b"|")


@dataclass(frozen=True, slots=True)
class CsvHeader:
    """The columns of a CSV file in their order; one without a name is an empty string.

    ``names`` are spelled as in the settings, if they use them, ``own_names`` as in the file.
    """

    delimiter: bytes
    names: tuple[str, ...]
    own_names: tuple[str, ...]


def read_header(
    reader: LineReader, file: str, layout: Layout, columns: ColumnNames
) -> CsvHeader | None:
    """Take the header from the reader; return None if there are only blank lines.

    With ``layout.header`` the first line is taken only if it has these names.

    Raises:
        ColumnsError: it is unreadable, or its columns are not as the settings need them.

    """
    delimiter = csv_delimiter(file, layout)
    separator = _take_separator_line(reader)
    line = _peek_line(reader)
    if line is None:
        return None
    delimiter = delimiter or separator or _guess_delimiter(line, len(layout.header))
    names = parse_names(line, delimiter)
    if layout.header:
        own_names = _configured_names(reader, file, layout.header, names, columns)
    else:
        reader.take()
        own_names = names or ()
    if not own_names:
        raise ColumnsError(file, [_unreadable(file)], reader.line, line)
    resolved = columns.resolve(own_names)
    if problems := list(_problems(own_names, resolved, columns)):
        raise ColumnsError(file, problems, reader.line, line)
    return CsvHeader(delimiter, resolved.names, own_names)


def read_header_lines(path: str, layout: Layout) -> tuple[tuple[bytes, ...], str]:
    """Return the header's lines as they are in the file, and the file's fingerprint.

    JSON Lines have no header, and other files may have none if ``layout.header`` names columns:
    a line with these names is written for them.

    Raises:
        SourceError: the file cannot be read.

    """
    with FileContent(path) as content:
        if content.table_format is not None:
            return (), content.fingerprint
        shape, chunks = shape_of(content.chunks(0, lambda: None), content.name, layout)
        if shape != "csv":
            return (), content.fingerprint
        reader = LineReader(chunks)
        if layout.header:
            return (_header_line(content.name, layout, reader),), content.fingerprint
        return tuple(_take_header_lines(reader)), content.fingerprint


def _header_line(file: str, layout: Layout, reader: LineReader) -> bytes:
    """Return a line with the names of ``layout.header``, with the file's delimiter."""
    separator = _take_separator_line(reader)
    line = _peek_line(reader) or b""
    delimiter = csv_delimiter(file, layout) or separator
    out = io.StringIO()
    delimiter = delimiter or _guess_delimiter(line, len(layout.header))
    csv.writer(out, delimiter=delimiter.decode(), lineterminator="").writerow(layout.header)
    return out.getvalue().encode()


def _take_header_lines(reader: LineReader) -> list[bytes]:
    """Take the separator line, if there is one, and the line with the columns."""
    lines: list[bytes] = []
    while (line := reader.take()) is not None:
        if line.strip(b" \r"):
            lines.append(line)
            if len(lines) > 1 or not _SEPARATOR_LINE.fullmatch(line):
                break
    return lines


def _take_separator_line(reader: LineReader) -> bytes | None:
    """Take the line that sets the delimiter, if it is the next one; return the delimiter."""
    line = _peek_line(reader)
    separator = _SEPARATOR_LINE.fullmatch(line) if line is not None else None
    if separator is None:
        return None
    reader.take()
    return separator.group(1)


def _peek_line(reader: LineReader) -> bytes | None:
    """Take blank lines; return the line after them, which is not taken."""
    while (line := reader.peek(0)) is not None:
        if line.strip(b" \r"):
            return line
        reader.take()
    return None


def _guess_delimiter(line: bytes, columns: int) -> bytes:
    """Return the delimiter that occurs most often outside of quotes.

    If the number of columns is known, one that makes so many of the line is preferred.
    """
    unquoted = re.sub(rb'"[^"]*"', b"", line)
    fitting = [sign for sign in _DELIMITERS if unquoted.count(sign) + 1 == columns > 1]
    return max(fitting or _DELIMITERS, key=unquoted.count)


def parse_names(line: bytes, delimiter: bytes) -> tuple[str, ...] | None:
    """Return the names of a header's line; None if it is not readable."""
    scanner = FieldScanner(delimiter)
    if isinstance(line, LongLine) or b"\0" in line:
        return None
    if scanner.feed(line.removesuffix(b"\r"), b"") is not Scan.COMPLETE:
        return None
    try:
        return tuple(field.decode().strip() for field in scanner.fields)
    except UnicodeDecodeError:
        return None


def same_names(names: Sequence[str], others: Sequence[str]) -> bool:
    """Return True if two headers have the same columns in the same order."""
    return [*map(normal_name, names)] == [*map(normal_name, others)]


def _unreadable(file: str) -> str:
    problem = "is not readable as a line of CSV in UTF-8; save the file as 'CSV UTF-8'"
    compression = named_compression(file)
    if not compression:
        return problem
    return (
        f"{problem}. Its name is that of a {compression} file, and its first bytes are not: if it "
        "is one, it is damaged; write or copy it again"
    )


def _configured_names(
    reader: LineReader,
    file: str,
    header: tuple[str, ...],
    found: Sequence[str] | None,
    columns: ColumnNames,
) -> tuple[str, ...]:
    """Return the names of ``source.header``; take the first line if it has the same."""
    if found and same_names(found, header):
        reader.take()
    elif found and any(map(columns.is_conversation_id, found)):
        problem = (
            "has other columns than source.header; remove source.header, or correct one of the two"
        )
        raise ColumnsError(file, [problem], reader.line + 1, reader.peek(0) or b"")
    return header


def _problems(
    own_names: Sequence[str], resolved: ResolvedColumns, columns: ColumnNames
) -> Iterator[str]:
    """Yield what is wrong with the columns and what to do.

    Names of the file are quoted only if the conversation id's column is there: otherwise the line
    may be a row, and rows are never quoted.
    """
    wanted = columns.columns["conversation_id"]
    if wanted not in resolved.taken:
        yield _no_conversation_id(wanted, own_names, columns)
        return
    yield from resolved.problems
    for name in columns.needed:
        if name not in resolved.taken:
            yield f"has no column {name!r}, which the settings name; correct one of the two"


def _no_conversation_id(wanted: str, own_names: Sequence[str], columns: ColumnNames) -> str:
    count = f"{len(own_names)} column{'s' if len(own_names) > 1 else ''}"
    name = columns.suggestion(own_names)
    alike = f"; {name!r} is the most similar name" if name else ""
    return (
        f"has no column {wanted!r}{alike} (found: {count}). Name the column that holds it: "
        f'source.columns = {{ conversation_id = "{name or "..."}" }}. If the first line '
        'is a row, name all columns: source.header = ["conversation_id", ...]'
    )
