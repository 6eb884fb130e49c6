"""Splits a stream of bytes into lines of bounded length, and counts lines and bytes."""

from collections import deque
from collections.abc import Iterator

from dispatcher.sources.files.decompression import DamagedError

LINE_LIMIT = 1 << 20
"""The most bytes of a line; only the beginning of a longer one is kept."""

RAW_LIMIT = 8 << 10
"""Bytes of a rejected row that are kept."""

BOM = b"\xef\xbb\xbf"
"""The byte order mark of UTF-8."""
_PIECE = LINE_LIMIT // 4


class LongLine(bytes):
    """The first `RAW_LIMIT` bytes of a line above `LINE_LIMIT`; ``excess`` bytes were dropped."""

    excess: int = 0


class LineReader:
    """Splits chunks of bytes into lines without their terminator.

    The end of the first line decides the terminator of the whole stream: LF (a CR before it
    stays in the line), or a CR without LF. ``offset`` and ``line`` count the bytes and lines that
    were taken, ``total`` the bytes that were read. A damaged stream ends early: ``damage`` is the
    reason, and ``torn`` the incomplete last line, which is not returned as a line.
    """

    def __init__(
        self,
        chunks: Iterator[bytes],
        *,
        terminator: bytes | None = None,
        offset: int = 0,
        line: int = 0,
    ) -> None:
        self.offset = self.total = offset
        self.line = line
        self.damage: str | None = None
        self.torn = b""
        self._ready: deque[bytes] = deque()
        self._tail = bytearray()
        self._dropped = 0
        self._pieces = self._read(chunks)
        self.terminator = terminator or self._prime()

    def take(self) -> bytes | None:
        """Take the next line; None at the end."""
        if not self._ready and not self._refill():
            return None
        line = self._ready.popleft()
        self.offset += len(line) + 1
        self.line += 1
        if isinstance(line, LongLine):
            self.offset += line.excess
        return line

    def put_back(self, line: bytes) -> None:
        """Undo the last `take`."""
        self._ready.appendleft(line)
        self.line -= 1
        self.offset -= len(line) + 1 + (line.excess if isinstance(line, LongLine) else 0)

    def peek(self, ahead: int) -> bytes | None:
        """Return the line that is ``ahead`` lines after the next one; None after the end."""
        while len(self._ready) <= ahead:
            if not self._refill():
                return None
        return self._ready[ahead]

    def _read(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the chunks in pieces that are much shorter than a line's limit."""
        try:
            for chunk in chunks:
                self.total += len(chunk)
                for start in range(0, len(chunk), _PIECE):
                    yield chunk[start : start + _PIECE]
        except DamagedError as error:
            self.damage = str(error)

    def _prime(self) -> bytes:
        """Read the first line, drop a byte order mark, and return the terminator."""
        head = bytearray()
        for piece in self._pieces:
            head += piece
            if b"\n" in head or b"\r" in head[:-1] or len(head) > LINE_LIMIT:
                break
        if head.startswith(BOM):
            del head[: len(BOM)]
            self.offset += len(BOM)
        terminator = _terminator(head)
        self._split(bytes(head), terminator)
        return terminator

    def _refill(self) -> bool:
        """Read until one more line is ready; return False at the end."""
        for piece in self._pieces:
            if self.terminator in piece:
                self._split(piece, self.terminator)
                return True
            self._grow(piece)
        return self._end()

    def _split(self, piece: bytes, terminator: bytes) -> None:
        first, *rest = piece.split(terminator)
        self._grow(first)
        if rest:
            self._finish_line()
            self._tail += rest.pop()
            self._ready += rest

    def _grow(self, piece: bytes) -> None:
        """Add to the unfinished line; keep only the beginning of one that is too long."""
        self._tail += piece
        if len(self._tail) > LINE_LIMIT:
            self._dropped += len(self._tail) - RAW_LIMIT
            del self._tail[RAW_LIMIT:]

    def _finish_line(self) -> None:
        line = bytes(self._tail)
        if self._dropped:
            excess = self._dropped + len(line[RAW_LIMIT:])
            line = LongLine(line[:RAW_LIMIT])
            line.excess = excess
        self._ready.append(line)
        self._tail.clear()
        self._dropped = 0

    def _end(self) -> bool:
        """Add the last line, which has no terminator; keep that of a damaged stream in ``torn``."""
        if not self._tail:
            return False
        if self.damage is not None:
            self.torn = bytes(self._tail[:RAW_LIMIT])
            self._tail.clear()
            return False
        self._finish_line()
        return True


def _terminator(head: bytearray) -> bytes:
    lf, cr = head.find(b"\n"), head.find(b"\r")
    is_lone_cr = cr >= 0 and head[cr + 1 : cr + 2] != b"\n" and not 0 <= lf < cr
    return b"\r" if is_lone_cr else b"\n"
