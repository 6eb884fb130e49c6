"""The header of a CSV file: its delimiter and its columns."""

import re
from dataclasses import dataclass

from dispatcher.ports import SourceError
from dispatcher.sources.files.byte_source import FileContent
from dispatcher.sources.options import Layout, RowRules
from dispatcher.sources.rows.csv_fields import FieldScanner, Scan
from dispatcher.sources.rows.format import csv_delimiter, shape_of
from dispatcher.sources.rows.line_reader import RAW_LIMIT, LineReader, LongLine

_SEPARATOR_LINE = re.compile(rb'"?sep=([^"\r\n])"?\r?', re.IGNORECASE)
"""The line by which spreadsheets set the delimiter, before the line with the columns."""
_DELIMITERS = (b",", b";", b"\t", b"|")
_SHOWN_NAMES = 20
_SHOWN_LETTERS = 40


class CsvHeaderError(SourceError):
    """A header that is unreadable or lacks a column; ``line`` and ``raw`` are the header's."""

    def __init__(self, message: str, detail: str, line: int, raw: bytes) -> None:
        super().__init__(message)
        self.detail = detail
        self.line = line
        self.raw = raw[:RAW_LIMIT]


@dataclass(frozen=True, slots=True)
class CsvHeader:
    """The columns of a CSV file in their order; one without a name is an empty string."""

    delimiter: bytes
    names: tuple[str, ...]


def read_header(reader: LineReader, file: str, layout: Layout, rules: RowRules) -> CsvHeader | None:
    """Take the header from the reader; return None if there are only blank lines.

    Raises:
        CsvHeaderError: it is unreadable, or lacks a column that the rules need.

    """
    delimiter = csv_delimiter(file, layout)
    lines = _take_header_lines(reader)
    if lines and (separator := _SEPARATOR_LINE.fullmatch(lines[0])):
        delimiter = delimiter or separator.group(1)
        del lines[0]
    if not lines:
        return None
    line = lines[0]
    delimiter = delimiter or _guess_delimiter(line)
    problem = "is not readable as a line of CSV in UTF-8; save the file as 'CSV UTF-8'"
    names = _parse_names(line, delimiter)
    if names is not None:
        problem = _problem(names, rules)
    if names is None or problem:
        shown = ", ".join(name[:_SHOWN_LETTERS] for name in (names or ())[:_SHOWN_NAMES])
        columns = f" Columns found: {shown}." if names else ""
        raise CsvHeaderError(f"{file}: the header {problem}.{columns}", problem, reader.line, line)
    return CsvHeader(delimiter, names)


def read_header_lines(path: str, layout: Layout) -> tuple[tuple[bytes, ...], str]:
    """Return the header's lines as they are in the file, and the file's fingerprint.

    JSON, Parquet and workbooks have none.

    Raises:
        SourceError: the file cannot be read.

    """
    with FileContent(path) as content:
        if content.table_format is not None:
            return (), content.fingerprint
        shape, chunks = shape_of(content.chunks(0, lambda: None), content.name, layout)
        lines = _take_header_lines(LineReader(chunks)) if shape == "csv" else ()
        return tuple(lines), content.fingerprint


def _take_header_lines(reader: LineReader) -> list[bytes]:
    """Take the separator line, if there is one, and the line with the columns."""
    lines: list[bytes] = []
    while (line := reader.take()) is not None:
        if line.strip(b" \r"):
            lines.append(line)
            if len(lines) > 1 or not _SEPARATOR_LINE.fullmatch(line):
                break
    return lines


def _guess_delimiter(line: bytes) -> bytes:
    """Return the delimiter that occurs most often outside of quotes."""
    unquoted = re.sub(rb'"[^"]*"', b"", line)
    return max(_DELIMITERS, key=unquoted.count)


def _parse_names(line: bytes, delimiter: bytes) -> tuple[str, ...] | None:
    scanner = FieldScanner(delimiter)
    if isinstance(line, LongLine) or b"\0" in line:
        return None
    if scanner.feed(line.removesuffix(b"\r"), b"") is not Scan.COMPLETE:
        return None
    try:
        return tuple(field.decode().strip() for field in scanner.fields)
    except UnicodeDecodeError:
        return None


def _problem(names: tuple[str, ...], rules: RowRules) -> str:
    """Return what is wrong with the columns and what to do; empty if nothing is."""
    named = [name for name in names if name]
    if repeated := sorted({name for name in named if named.count(name) > 1}):
        return f"has {', '.join(map(repr, repeated))} more than once; rename one of them"
    if rules.column("conversation_id") not in named:
        return (
            f"has no column {rules.column('conversation_id')!r}; name the column that holds it "
            '([source.columns] conversation_id = "CONVERSATIONID")'
        )
    if missing := sorted({*rules.columns.values(), *rules.filter} - set(named)):
        quoted = ", ".join(map(repr, missing))
        return f"has no column {quoted}, which the settings name; correct one of the two"
    return ""
