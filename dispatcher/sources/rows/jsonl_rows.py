"""Rows of JSON: one object a line, or the objects of a document."""

import json
import re
from collections.abc import Iterator

import orjson

from dispatcher.domain.contact import Contact, RejectedRow
from dispatcher.sources.rows.contact_builder import ContactBuilder
from dispatcher.sources.rows.json_document import JsonDocument
from dispatcher.sources.rows.json_keys import IsUsed, check_keys
from dispatcher.sources.rows.line_reader import LINE_LIMIT, RAW_LIMIT, LineReader, LongLine
from dispatcher.sources.rows.row_errors import InvalidRowError, decode

_UTF8_MARK = b"\xef\xbb\xbf"
_LINE_ENDS = re.compile(rb"[\r\n]")
_EXACT_DIGITS = 15
_WRITTEN = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str)


class JsonRows:
    """Makes contacts out of JSON objects. Blank lines are ignored.

    Numbers and booleans become text as they are written, null, NaN and Infinity are a missing
    cell, objects and arrays stay JSON.
    """

    def __init__(self, file: str, builder: ContactBuilder) -> None:
        self._file = file
        self._builder = builder

    def rows(self, reader: LineReader | JsonDocument) -> Iterator[Contact | RejectedRow | None]:
        """Yield each row's contact, its rejection, or None if the filter excludes it."""
        build, take = self._builder.build_object, reader.take
        is_used = self._builder.columns.is_used
        while (line := take()) is not None:
            if not line.strip():
                continue
            try:
                contact = build(parse_object(line, is_used))
            except InvalidRowError as error:
                yield self._rejected(error, line, reader)
            else:
                yield contact

    def _rejected(
        self, error: InvalidRowError, row: bytes, reader: LineReader | JsonDocument
    ) -> RejectedRow:
        raw, line = row[:RAW_LIMIT], reader.line
        if isinstance(reader, JsonDocument):
            raw, line = _LINE_ENDS.sub(b" ", raw), reader.first_line  # one line when exported
        return RejectedRow(self._file, line, error.reason, error.detail, raw)


def parse_object(line: bytes, is_used: IsUsed) -> dict[str, str]:
    """Return the cells of a JSON object as texts.

    Raises:
        InvalidRowError: it is not an object, or is not valid.

    """
    if isinstance(line, LongLine):
        raise InvalidRowError("too_long", f"a row of more than {LINE_LIMIT} bytes")
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        row = _lenient(line)
    if not isinstance(row, dict):
        raise InvalidRowError("json", "not an object")
    types = [*map(type, row.values())]
    texts = types.count(str)
    cells = row
    if texts != len(types):
        cells = {name: cell if cell.__class__ is str else _text(cell) for name, cell in row.items()}
        if float in types:
            cells |= _as_written(row, line)
    unused = line.count(b'"') - 2 * (len(types) + texts)
    if unused:
        check_keys(cells, unused, line, is_used)
    if b"\\" in line and b"\\u0000" in line and any("\0" in cell for cell in cells.values()):
        raise InvalidRowError("encoding", "a NUL character")
    return cells


def _lenient(line: bytes) -> object:
    """Parse JSON with numbers that orjson refuses: NaN and Infinity, which are null, and 1e400."""
    text = decode(line.removeprefix(_UTF8_MARK))
    try:
        row: object = json.loads(text, parse_constant=lambda _: None, parse_int=_number)
        orjson.dumps(row)  # refuses half a surrogate pair, as orjson.loads does
    except (ValueError, TypeError):
        raise InvalidRowError("json", "not JSON") from None
    except RecursionError:
        raise InvalidRowError("json", "nested too deep") from None
    return row


def _number(digits: str) -> float:
    """Return an integer, or a float where the text of the line is needed for all digits."""
    return int(digits) if len(digits) <= _EXACT_DIGITS else float(digits)


def _text(cell: object) -> str:
    """Turn a value that is not a string into text."""
    if cell is None:
        return ""
    try:
        return orjson.dumps(cell).decode()
    except orjson.JSONEncodeError:
        raise InvalidRowError("json", "nested too deep") from None


def _as_written(row: dict[str, object], line: bytes) -> dict[str, str]:
    """Return the numbers with a fraction as they are in the line: a float could lose digits."""
    try:
        written = _WRITTEN.decode(decode(line.removeprefix(_UTF8_MARK)))
    except RecursionError:
        raise InvalidRowError("json", "nested too deep") from None
    return {name: str(written[name]) for name, cell in row.items() if isinstance(cell, float)}
