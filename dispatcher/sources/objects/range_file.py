"""One version of an object as a file: bytes at any place, by requests for ranges."""

import io
from collections.abc import Callable
from typing import Any

RANGE_BYTES = 1 << 20
"""How much is read ahead; a reader that wants more at once gets it in one request."""

ReadRange = Callable[[int, int], bytes]
"""Returns the bytes from a start to an end, of the version that was opened."""


class RangeFile(io.RawIOBase):
    """A file whose bytes are fetched when they are read; at most one range is kept in memory."""

    def __init__(self, size: int, read_range: ReadRange) -> None:
        super().__init__()
        self._size = size
        self._read_range = read_range
        self._at = 0
        self._start = 0
        self._kept = b""

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; nothing is fetched."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes; fewer only at the end."""
        end = self._size if size < 0 else min(self._at + size, self._size)
        if end <= self._at:
            return b""
        if not (self._start <= self._at and end <= self._start + len(self._kept)):
            self._fetch(end)
        first = self._at - self._start
        self._at = end
        return self._kept[first : end - self._start]

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; return how many bytes it has got."""
        read = self.read(len(buffer))
        buffer[: len(read)] = read
        return len(read)

    def _fetch(self, end: int) -> None:
        """Keep the bytes from here to ``end``, or more of them."""
        end = min(max(end, self._at + RANGE_BYTES), self._size)
        self._kept = self._read_range(self._at, end)
        self._start = self._at
