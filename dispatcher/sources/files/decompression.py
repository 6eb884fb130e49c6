"""Decompresses and decodes content as it arrives; its first bytes say how, not its name."""

import bz2
import codecs
import lzma
import zlib
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Literal, Protocol

import zstandard

from dispatcher.sources.files.signatures import HEAD_BYTES, UnreadableFormatError, check_format

Compression = Literal["gzip", "zstd", "bzip2", "xz"]

_SLICE = 1 << 10
"""Compressed bytes per step; bounds what a decompression bomb yields at once to tens of MiB."""
_PIECE = 1 << 20
"""Bytes that a step yields at most, where the library can bound them."""
_LAYERS = 3
"""A content may be compressed so many times, one inside the other."""
_XZ_MEMORY = 128 << 20
"""Bytes that a decoder of xz may need; its highest preset needs 65 MiB."""

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE = b"\x2a\x4d\x18"
_XZ_MAGIC = b"\xfd7zXZ\0"
_BZIP2_MAGIC = b"BZh"
_BZIP2_LEVELS = b"123456789"
_BZIP2_FIRST = (b"\x31\x41\x59\x26\x53\x59", b"\x17\x72\x45\x38\x50\x90")
"""What follows the level: the first block, or the end of an empty content."""

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class DamagedError(Exception):
    """Compressed content is cut short or corrupt; the bytes yielded before are valid."""


class _Unit(Protocol):
    """One member, frame or stream of compressed content."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


class _Bounded:
    """One stream of bzip2 or xz, of which a few bytes may yield gigabytes."""

    def __init__(self, unit: bz2.BZ2Decompressor | lzma.LZMADecompressor) -> None:
        self._unit = unit

    @property
    def eof(self) -> bool:
        return self._unit.eof

    @property
    def unused_data(self) -> bytes:
        return self._unit.unused_data

    @property
    def is_full(self) -> bool:
        """Whether more can be had without more input."""
        return not self._unit.eof and not self._unit.needs_input

    def decompress(self, data: bytes, /) -> bytes:
        return self._unit.decompress(data, _PIECE)


def compression_of(head: bytes) -> Compression | None:
    """Return how content is compressed, by its first bytes; None if it is not."""
    if head.startswith(_GZIP_MAGIC):
        return "gzip"
    if head.startswith(_ZSTD_MAGIC) or (
        head[1:4] == _ZSTD_SKIPPABLE and head[0] >> 4 == 0x5  # noqa: PLR2004 - 0x50 to 0x5f begin a skippable frame
    ):
        return "zstd"
    if head.startswith(_XZ_MAGIC):
        return "xz"
    if head[:3] == _BZIP2_MAGIC and head[3:4] in _BZIP2_LEVELS and head[4:10] in _BZIP2_FIRST:
        return "bzip2"
    return None


def is_plain(head: bytes) -> bool:
    """Return True if a content with these first bytes is neither compressed nor in UTF-16."""
    return compression_of(head) is None and not head.startswith(tuple(mark for mark, _ in _MARKS))


def text_of(raw: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Return the text in UTF-8 behind any compression and behind a byte order mark of UTF-16.

    A byte order mark of UTF-8 stays.

    Raises:
        UnreadableFormatError: while iterating: the content has a format that is not read.
        DamagedError: while iterating, after all bytes that could be decompressed.

    """
    for _ in range(_LAYERS + 1):
        head, raw = peeked(raw, _shows_format)
        compression = compression_of(head)
        if compression is None:
            break
        raw = _units(raw, compression)
    else:
        raise UnreadableFormatError(
            name, f"is compressed more than {_LAYERS} times: unpack it first"
        )
    check_format(head, name)
    return _decoded(raw, head)


def peeked(
    raw: Iterator[bytes], is_enough: Callable[[bytearray], bool]
) -> tuple[bytes, Iterator[bytes]]:
    """Read until ``is_enough`` for what was read; return that, and all chunks again.

    Damage on the way is raised when the chunks are iterated.
    """
    head, damage = bytearray(), list[DamagedError]()
    try:
        for chunk in raw:
            head += chunk
            if is_enough(head):
                break
    except DamagedError as error:
        damage.append(error)
    return bytes(head), _again(bytes(head), raw, damage)


def _again(head: bytes, raw: Iterator[bytes], damage: list[DamagedError]) -> Iterator[bytes]:
    yield head
    del head
    if damage:
        raise damage[0]
    yield from raw


def _shows_format(head: bytearray) -> bool:
    """Return True if the format can be recognised; a line of text is enough for it."""
    return len(head) >= HEAD_BYTES or b"\n" in head


def _decoded(raw: Iterator[bytes], head: bytes) -> Iterator[bytes]:
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return _transcoded(raw, encoding)
    return raw


def _transcoded(raw: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for chunk in raw:
            yield decoder.decode(chunk).encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError:
        raise DamagedError(f"the content is not valid {encoding.upper()}") from None


_NEW_UNIT: dict[Compression, Callable[[], _Unit]] = {
    "gzip": lambda: zlib.decompressobj(wbits=31),
    "zstd": lambda: zstandard.ZstdDecompressor().decompressobj(),
    "bzip2": lambda: _Bounded(bz2.BZ2Decompressor()),
    "xz": lambda: _Bounded(lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)),
}


def _units(raw: Iterator[bytes], compression: Compression) -> Iterator[bytes]:
    """Decompress any number of members, frames or streams."""
    first = True
    slices = (chunk[at : at + _SLICE] for chunk in raw for at in range(0, len(chunk), _SLICE))
    for data in slices:
        rest = data
        while rest.strip(b"\0") or first:  # zeros after a member are padding
            first, unit = False, _NEW_UNIT[compression]()
            for piece in chain((rest,), slices):
                yield from _steps(unit, piece, compression)
                if unit.eof:
                    break
            if not unit.eof:
                raise DamagedError(
                    f"the {compression} content is cut short; {_remedy(compression)}"
                )
            rest = unit.unused_data


def _steps(unit: _Unit, piece: bytes, compression: Compression) -> Iterator[bytes]:
    try:
        yield unit.decompress(piece)
        while isinstance(unit, _Bounded) and unit.is_full:
            yield unit.decompress(b"")
    except (zlib.error, zstandard.ZstdError, lzma.LZMAError, OSError) as error:  # bz2 has OSError
        raise DamagedError(
            f"the {compression} content is corrupt ({error}); {_remedy(compression)}"
        ) from error


def _remedy(compression: Compression) -> str:
    return (
        f"what is behind this is not read: write or copy the file again ({compression} -t tests it)"
    )
