"""The header of a CSV file: its delimiter and its columns."""

import re
from dataclasses import dataclass

from dispatcher.ports import SourceError
from dispatcher.sources.options import RowRules
from dispatcher.sources.rows.csv_fields import FieldScanner, Scan
from dispatcher.sources.rows.line_reader import RAW_LIMIT, LineReader, LongLine

_SEPARATOR_LINE = re.compile(rb'"?sep=([^"\r\n])"?\r?', re.IGNORECASE)
_DELIMITERS = (b",", b";", b"\t", b"|")
_SHOWN_NAMES = 20
_SHOWN_LETTERS = 40


class CsvHeaderError(SourceError):
    """A header without the columns that are needed; ``line`` and ``raw`` are where it stands."""

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


def read_header(
    reader: LineReader, file: str, delimiter: bytes | None, rules: RowRules
) -> CsvHeader | None:
    """Read the header off; None where there is nothing but blank lines.

    Raises:
        HeaderError: it is not readable, or lacks a column that is needed or told by name.

    """
    line = _first_line(reader)
    if line is not None and (told := _SEPARATOR_LINE.fullmatch(line)):
        delimiter = delimiter or told.group(1)
        line = _first_line(reader)
    if line is None:
        return None
    delimiter = delimiter or _guess(line)
    problem = "is not readable as a line of CSV in UTF-8; save the file as 'CSV UTF-8'"
    names = _names(line, delimiter)
    if names is not None:
        problem = _problem(names, rules)
    if names is None or problem:
        shown = ", ".join(name[:_SHOWN_LETTERS] for name in (names or ())[:_SHOWN_NAMES])
        found = f" Columns found: {shown}." if names else ""
        raise CsvHeaderError(f"{file}: the header {problem}.{found}", problem, reader.line, line)
    return CsvHeader(delimiter, names)


def _first_line(reader: LineReader) -> bytes | None:
    line = reader.take()
    while line is not None and not line.strip(b" \r"):
        line = reader.take()
    return line


def _guess(line: bytes) -> bytes:
    """Return the delimiter that occurs most often outside of quotes."""
    bare = re.sub(rb'"[^"]*"', b"", line)
    return max(_DELIMITERS, key=bare.count)


def _names(line: bytes, delimiter: bytes) -> tuple[str, ...] | None:
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
    """Say what is wrong with the columns, and what to do; empty where nothing is."""
    named = [name for name in names if name]
    if twice := sorted({name for name in named if named.count(name) > 1}):
        return f"has {_quoted(twice)} more than once; rename one of them"
    if rules.column("conversation_id") not in named:
        return (
            f"has no column {rules.column('conversation_id')!r}; name the column that holds it "
            '([source.columns] conversation_id = "CONVERSATIONID")'
        )
    if lacking := sorted({*rules.columns.values(), *rules.filter} - set(named)):
        return f"has no column {_quoted(lacking)}, which the settings name; correct one of the two"
    return ""


def _quoted(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names)
