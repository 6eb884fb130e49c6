"""Lines of a stream of bytes, with their offsets and a bound on their length."""

from collections import deque
from collections.abc import Iterator

from dispatcher.sources.files.decompression import DamagedError

LINE_LIMIT = 1 << 20
"""Bytes that a line may have; of a longer one only the beginning is kept."""

RAW_LIMIT = 8 << 10
"""Bytes of a rejected row that are kept."""

_BOM = b"\xef\xbb\xbf"
_PIECE = LINE_LIMIT // 4


class LongLine(bytes):
    """The first `RAW_LIMIT` bytes of a line above `LINE_LIMIT`; ``excess`` bytes were dropped."""

    excess: int = 0


class LineReader:
    """Takes chunks of bytes apart into lines without their terminator.

    The first line's end decides for the whole stream: LF (a CR before it stays on the line),
    or a lone CR. ``offset`` and ``line`` count bytes and lines that were taken, ``total``
    bytes that came in. A damaged stream ends early: ``damage`` then says why, and the
    incomplete line before it is in ``torn``, not among the lines.
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
        """Return the line that is ``ahead`` lines behind the next one; None beyond the end."""
        while len(self._ready) <= ahead:
            if not self._refill():
                return None
        return self._ready[ahead]

    def _read(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Pass chunks on in pieces that are well below a line's limit."""
        try:
            for chunk in chunks:
                self.total += len(chunk)
                for start in range(0, len(chunk), _PIECE):
                    yield chunk[start : start + _PIECE]
        except DamagedError as error:
            self.damage = str(error)

    def _prime(self) -> bytes:
        """Read up to the first line's end, drop a byte order mark, return the terminator."""
        head = bytearray()
        for piece in self._pieces:
            head += piece
            if b"\n" in head or b"\r" in head[:-1] or len(head) > LINE_LIMIT:
                break
        if head.startswith(_BOM):
            del head[: len(_BOM)]
            self.offset += len(_BOM)
        terminator = _terminator(head)
        self._split(bytes(head), terminator)
        return terminator

    def _refill(self) -> bool:
        """Read until one more line is ready; False at the end."""
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
            self._ready.append(self._finished())
            self._tail += rest.pop()
            self._ready += rest

    def _grow(self, piece: bytes) -> None:
        """Add to the unfinished line; of one that is too long only the beginning is kept."""
        self._tail += piece
        if len(self._tail) > LINE_LIMIT:
            self._dropped += len(self._tail) - RAW_LIMIT
            del self._tail[RAW_LIMIT:]

    def _finished(self) -> bytes:
        line = bytes(self._tail)
        if self._dropped:
            self._dropped += len(line[RAW_LIMIT:])
            line = _long_line(line[:RAW_LIMIT], self._dropped)
        self._tail.clear()
        self._dropped = 0
        return line

    def _end(self) -> bool:
        """Make the last line, which has no terminator, ready; a torn one is set aside."""
        if not self._tail:
            return False
        if self.damage is not None:
            self.torn = bytes(self._tail[:RAW_LIMIT])
            self._tail.clear()
            return False
        self._ready.append(self._finished())
        return True


def _long_line(head: bytes, dropped: int) -> LongLine:
    line = LongLine(head)
    line.excess = dropped
    return line


def _terminator(head: bytearray) -> bytes:
    newline, lone = head.find(b"\n"), head.find(b"\r")
    is_lone = lone >= 0 and head[lone + 1 : lone + 2] != b"\n" and not 0 <= newline < lone
    return b"\r" if is_lone else b"\n"
