"""Decompresses content as it arrives."""

import zlib
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Literal, Protocol

import zstandard

Compression = Literal["gzip", "zstd"]

_SLICE = 1 << 10
"""Compressed bytes per step; bounds what a decompression bomb yields at once to tens of MiB."""

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE = b"\x2a\x4d\x18"
_MAGIC_BYTES = 4


class DamagedError(Exception):
    """Compressed content is cut short or corrupt; the bytes yielded before are valid."""


class _Unit(Protocol):
    """One gzip member or zstd frame."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def compression_of(head: bytes) -> Compression | None:
    """Return how content is compressed, by its first bytes; None if it is not."""
    if head.startswith(_GZIP_MAGIC):
        return "gzip"
    if head.startswith(_ZSTD_MAGIC) or (
        head[1:_MAGIC_BYTES] == _ZSTD_SKIPPABLE and head[0] >> 4 == 0x5  # noqa: PLR2004 - 0x50 to 0x5f begin a skippable frame
    ):
        return "zstd"
    return None


def decompressed(raw: Iterator[bytes], compression: Compression | None) -> Iterator[bytes]:
    """Decompress any number of members or frames.

    Raises:
        DamagedError: while iterating, after all bytes that could be decompressed.

    """
    if compression is None:
        return raw
    return _units(raw, _NEW_UNIT[compression])


def decompressed_if_needed(raw: Iterator[bytes]) -> Iterator[bytes]:
    """Decompress if the first bytes say that the content is compressed."""
    head = b""
    for chunk in raw:
        head += chunk
        if len(head) >= _MAGIC_BYTES:
            break
    return decompressed(chain((head,), raw), compression_of(head))


_NEW_UNIT: dict[Compression, Callable[[], _Unit]] = {
    "gzip": lambda: zlib.decompressobj(wbits=31),
    "zstd": lambda: zstandard.ZstdDecompressor().decompressobj(),
}


def _units(raw: Iterator[bytes], new_unit: Callable[[], _Unit]) -> Iterator[bytes]:
    first = True
    slices = (chunk[at : at + _SLICE] for chunk in raw for at in range(0, len(chunk), _SLICE))
    for data in slices:
        rest = data
        while rest.strip(b"\0") or first:  # zeros after a member are padding
            first, unit = False, new_unit()
            for piece in chain((rest,), slices):
                yield _step(unit, piece)
                if unit.eof:
                    break
            if not unit.eof:
                raise DamagedError("the compressed content is cut short")
            rest = unit.unused_data


def _step(unit: _Unit, piece: bytes) -> bytes:
    try:
        return unit.decompress(piece)
    except (zlib.error, zstandard.ZstdError) as error:
        raise DamagedError(f"the compressed content is corrupt ({error})") from error
