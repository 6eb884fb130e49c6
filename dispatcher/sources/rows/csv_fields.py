"""Splits a CSV record with quotes into fields."""

import re
from enum import Enum, auto

_inside = re.compile(rb'[^"]*+(?:""[^"]*+)*+').match


class Scan(Enum):
    """State of a record after a line."""

    COMPLETE = auto()
    OPEN = auto()
    """A quoted field continues on the next line."""
    BAD = auto()
    """Something other than a delimiter follows a closing quote."""


class FieldScanner:
    """Splits a record line by line; ``fields`` has the complete fields.

    A quote opens a quoted field only at the field's start; elsewhere it is an ordinary character.
    """

    def __init__(self, delimiter: bytes) -> None:
        self.fields: list[bytes] = []
        self._delimiter = delimiter
        self._open: list[bytes] | None = None

    def feed(self, line: bytes, end: bytes) -> Scan:
        """Scan one more line; ``end`` is its terminator, which is content inside quotes."""
        at = 0
        while at <= len(line):
            if self._open is None and line[at : at + 1] != b'"':
                at = self._plain(line, at)
                continue
            if self._open is None:
                self._open = []
                at += 1
            at = self._quoted(line, at, self._open)
            if at < 0:
                return Scan.BAD
            if self._open is not None:
                self._open.append(end)
                return Scan.OPEN
        return Scan.COMPLETE

    def _plain(self, line: bytes, at: int) -> int:
        """Scan an unquoted field; return the index of the next one."""
        end = line.find(self._delimiter, at)
        end = len(line) if end < 0 else end
        self.fields.append(line[at:end])
        return end + 1

    def _quoted(self, line: bytes, at: int, parts: list[bytes]) -> int:
        """Scan inside quotes; return the index of the next field, or -1 after a bad quote."""
        match = _inside(line, at)
        end = match.end() if match else at
        parts.append(line[at:end])
        if end == len(line):
            return end
        if line[end + 1 : end + 2] not in (b"", self._delimiter):
            return -1
        self.fields.append(b"".join(parts).replace(b'""', b'"'))
        self._open = None
        return end + 2
