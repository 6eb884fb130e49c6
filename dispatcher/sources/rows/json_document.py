"""Splits a JSON document into its objects: one array, or objects one behind the other."""

import re
from collections.abc import Iterator

from dispatcher.sources.files.decompression import DamagedError
from dispatcher.sources.rows.line_reader import LINE_LIMIT, RAW_LIMIT, LongLine

_BLANKS = re.compile(rb"(?:[ \t\r\n\x1e]|\xef\xbb\xbf)*+").match
"""A record separator (RFC 7464) may precede an object; joined files have marks between them."""
_FLAT_OBJECT = re.compile(
    rb'\{[^{}"]*+(?:"[^"\\\n\r]*+(?:\\.[^"\\\n\r]*+)*+"[^{}"]*+)*+\}', re.DOTALL
).match
_STRING = re.compile(rb'[^"\\\n\r]*+(?:\\.[^"\\\n\r]*+)*+', re.DOTALL).match
_BETWEEN = re.compile(rb"[ \t\r\n,]*+").match
_PIECE = re.compile(rb'[^,\[\]{}"\r\n]++').match
_PUNCTUATION = {
    b"{": re.compile(rb'["{}]').search,
    b"[": re.compile(rb'["\[\]]').search,
    b'"': re.compile(rb'"').search,
}
_CLOSING = {b"{": b"}", b"[": b"]"}
_UTF8_MARK = b"\xef\xbb\xbf"


class ValueScanner:
    """Finds the end of an object, an array or a string, whose bytes may come in pieces.

    Only its own kind of brackets and strings are looked at. A line end inside a string ends the
    string, since JSON does not permit one, and the whole object if the next one follows: a quote
    that is missing costs its own object only.
    """

    def __init__(self, opening: bytes) -> None:
        self._find = _PUNCTUATION[opening]
        self._closing = _CLOSING.get(opening)
        self._depth = 0
        self._in_string = False
        self._is_complete = False

    def scan(self, data: bytes, at: int) -> tuple[int, bool]:
        """Scan from ``at``; return where it stopped, and whether that is the end of the value."""
        while not self._is_complete:
            if self._in_string:
                at = self._to_end_of_string(data, at)
                if self._in_string:
                    break
            elif found := self._find(data, at):
                at = found.end()
                self._pass(found.group())
            else:
                return len(data), False
        return at, self._is_complete

    def _to_end_of_string(self, data: bytes, at: int) -> int:
        """Scan to where the string ends; it has not ended if more bytes are needed to know."""
        at = _end(_STRING(data, at), at)
        if at >= len(data) - (data[at : at + 1] == b"\\"):
            return at
        if data[at : at + 1] == b'"':
            at += 1
        elif self._depth == 1 and self._closing == b"}":
            after = _end(_BETWEEN(data, at), at)
            if after == len(data):
                return at
            self._is_complete = data[after : after + 1] == b"{"
        self._in_string = False
        self._is_complete = self._is_complete or self._closing is None
        return at

    def _pass(self, punctuation: bytes) -> None:
        if punctuation == b'"':
            self._in_string = True
        else:
            self._depth += -1 if punctuation == self._closing else 1
            self._is_complete = self._depth == 0


def _end(match: re.Match[bytes] | None, at: int) -> int:
    return match.end() if match else at


class JsonDocument:
    """Takes the values of a document one by one, with the position after each.

    ``offset`` and ``line`` count the bytes and line ends that were taken, ``total`` the bytes that
    were read; ``first_line`` is where the last value began. ``damage`` says why reading ended
    early, and ``torn`` is the beginning of what could not be read.

    A document that begins with ``[`` is an array, or several: every value is in one. Otherwise the
    values follow each other, with or without commas.
    """

    def __init__(
        self, chunks: Iterator[bytes], *, is_array: bool, offset: int = 0, line: int = 0
    ) -> None:
        self.offset = self.total = offset
        self.line = self.first_line = line
        self.damage: str | None = None
        self.torn = b""
        self._chunks = chunks
        self._is_array = is_array
        self._is_open = is_array and offset > 0
        self._data = b""
        self._at = self._counted = 0

    def take(self) -> bytes | None:
        """Take the next value; None at the end. One above the limit is a `LongLine`."""
        try:
            value = self._value() if self._to_value() else None
        except DamagedError as error:
            self._stop(str(error))
            return None
        self._count()
        return value

    def _to_value(self) -> bool:
        """Go to the beginning of the next value; return False at the end."""
        while self._skip_blanks():
            byte = self._data[self._at : self._at + 1]
            if self._is_array and not self._is_open and byte != b"[":
                self._stop("there is text after the end of the array, which is not read")
                return False
            if (
                self._is_open == self._is_array
                and byte != b","
                and (byte != b"]" or not self._is_open)
            ):
                return True
            self._is_open = self._is_array and byte != b"]"
            self._at += 1
        if self._is_open:
            self._stop("the array does not end: the content is cut short")
        return False

    def _skip_blanks(self) -> bool:
        """Go behind blanks; return False at the end of the content."""
        while True:
            self._at = _end(_BLANKS(self._data, self._at), self._at)
            rest = self._data[self._at : self._at + len(_UTF8_MARK)]
            is_value = not _UTF8_MARK.startswith(rest)  # every bytes object starts with b""
            if is_value or not self._more():
                return bool(rest)

    def _value(self) -> bytes | None:
        self._count()
        self.first_line = self.line + 1
        if flat := _FLAT_OBJECT(self._data, self._at):
            self._at = flat.end()
            value = flat.group()
            return value if len(value) <= LINE_LIMIT else _shortened(value, len(value))
        opening = self._data[self._at : self._at + 1]
        if opening in b'{["':
            return self._scanned(ValueScanner(opening))
        return self._text()

    def _scanned(self, scanner: ValueScanner) -> bytes | None:
        """Take a value up to where the scanner finds its end; keep at most its beginning."""
        begin, size = bytearray(), 0
        while True:
            end, is_complete = scanner.scan(self._data, self._at)
            size += end - self._at
            begin += self._data[self._at : end]
            if size > LINE_LIMIT:
                del begin[RAW_LIMIT:]
            self._at = end
            if is_complete:
                return bytes(begin) if size <= LINE_LIMIT else _shortened(begin, size)
            try:
                has_more = self._more()
            except DamagedError:
                self.torn = bytes(begin[:RAW_LIMIT])
                raise
            if not has_more:
                self.torn = bytes((begin + self._data[self._at :])[:RAW_LIMIT])
                self._stop(
                    "a value does not end: the content is cut short, or a bracket is missing"
                )
                return None

    def _text(self) -> bytes:
        """Take what is not a value of JSON, or a number or a word, up to the next punctuation."""
        text = bytearray()
        while True:
            end = _end(_PIECE(self._data, self._at), self._at)
            is_sign = not text and end == self._at
            text += self._data[self._at : end + is_sign]
            del text[RAW_LIMIT:]
            self._at = end + is_sign
            if is_sign or self._at < len(self._data) or not self._more():
                return bytes(text)

    def _stop(self, damage: str) -> None:
        self.damage = damage
        self.torn = self.torn or self._data[self._at :][:RAW_LIMIT]
        self._count()
        self._chunks = iter(())
        self._data, self._at, self._counted = b"", 0, 0
        self._is_open = False

    def _more(self) -> bool:
        """Read on; return False at the end of the content."""
        self._count()
        for chunk in self._chunks:
            if chunk:
                self._data = self._data[self._at :] + chunk
                self._at = self._counted = 0
                self.total += len(chunk)
                return True
        return False

    def _count(self) -> None:
        """Count the bytes and line ends up to the current place."""
        self.line += self._data.count(b"\n", self._counted, self._at)
        self.offset += self._at - self._counted
        self._counted = self._at


def _shortened(value: bytes | bytearray, size: int) -> LongLine:
    line = LongLine(value[:RAW_LIMIT])
    line.excess = size - len(line)
    return line
