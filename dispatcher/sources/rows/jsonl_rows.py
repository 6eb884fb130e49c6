"""Rows of a JSON Lines file."""

import json
from collections.abc import Iterator

import orjson

from dispatcher.domain.contact import Contact, RejectedRow
from dispatcher.sources.rows.contact_builder import ContactBuilder, InvalidRowError, decode
from dispatcher.sources.rows.line_reader import LINE_LIMIT, RAW_LIMIT, LineReader, LongLine


class JsonRows:
    """Makes contacts out of lines with one JSON object each. Blank lines are ignored.

    Numbers and booleans become text as they are written, null is a missing cell, objects and
    arrays stay JSON.
    """

    def __init__(self, file: str, builder: ContactBuilder) -> None:
        self._file = file
        self._builder = builder

    def rows(self, reader: LineReader) -> Iterator[Contact | RejectedRow | None]:
        """Yield each row's contact, its rejection, or None if the filter excludes it."""
        build, take = self._builder.build_object, reader.take
        while (line := take()) is not None:
            if not line.strip():
                continue
            try:
                contact = build(_row(line))
            except InvalidRowError as error:
                reason, detail, raw = error.reason, error.detail, line[:RAW_LIMIT]
                yield RejectedRow(self._file, reader.line, reason, detail, raw)
            else:
                yield contact


def _row(line: bytes) -> dict[str, str]:
    if isinstance(line, LongLine):
        raise InvalidRowError("too_long", f"a line of more than {LINE_LIMIT} bytes")
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        decode(line)
        raise InvalidRowError("json", "not JSON") from None
    if not isinstance(row, dict):
        raise InvalidRowError("json", "not an object")
    cells = {
        name: cell if cell.__class__ is str else _text(cell, name, line)
        for name, cell in row.items()
    }
    if b"\\u0000" in line and any("\0" in cell for cell in cells.values()):
        raise InvalidRowError("encoding", "a NUL character")
    return cells


def _text(cell: object, name: str, line: bytes) -> str:
    """Turn a value that is not a string into text."""
    if cell is None:
        return ""
    if isinstance(cell, float):
        return _as_written(name, line)
    try:
        return orjson.dumps(cell).decode()
    except orjson.JSONEncodeError:
        raise InvalidRowError("json", "nested too deep") from None


def _as_written(name: str, line: bytes) -> str:
    """Return a number as it is written in the line, since a float could lose digits."""
    try:
        return str(json.loads(line, parse_float=str, parse_int=str)[name])
    except RecursionError:
        raise InvalidRowError("json", "nested too deep") from None
