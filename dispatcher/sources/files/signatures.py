"""Recognises formats by their first bytes, and names those that are not read."""

from dataclasses import dataclass

from dispatcher.ports import SourceError

HEAD_BYTES = 512
"""As many first bytes are needed to recognise every format."""

_AS_TEXT = "export it as CSV or JSON Lines"
_UNPACK = "unpack it first, or compress it with gzip, zstd, bzip2, xz or zip"
_TAR_MAGIC_AT = 257


class UnreadableFormatError(SourceError):
    """The content has a format that is not read; ``detail`` names it and says what to do."""

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(f"{name}: {detail}")
        self.detail = detail


class MissingPackageError(UnreadableFormatError):
    """The format is read by a package that is not installed."""


@dataclass(frozen=True, slots=True)
class _Signature:
    magic: bytes
    name: str
    advice: str = _AS_TEXT
    at: int = 0


PARQUET_MAGIC = b"PAR1"
ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")

_SIGNATURES = (
    _Signature(PARQUET_MAGIC, "Parquet", f"it is read from a plain file only; {_AS_TEXT}"),
    _Signature(b"PARE", "encrypted Parquet"),
    *(
        _Signature(magic, "a zip archive", f"it is read from a plain file only; {_UNPACK}")
        for magic in ZIP_MAGICS
    ),
    _Signature(
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel file (.xls) or one with a password"
    ),
    _Signature(b"Obj\x01", "Avro"),
    _Signature(b"ORC", "ORC"),
    _Signature(b"ARROW1", "Arrow (Feather)"),
    _Signature(b"FEA1", "Feather"),
    _Signature(b"SQLite format 3\0", "an SQLite database"),
    _Signature(b"%PDF-", "PDF"),
    _Signature(b"{\\rtf", "RTF"),
    _Signature(b"7z\xbc\xaf\x27\x1c", "7-Zip", _UNPACK),
    _Signature(b"Rar!\x1a\x07", "RAR", _UNPACK),
    _Signature(b"\x04\x22\x4d\x18", "LZ4", _UNPACK),
    _Signature(b"\xff\x06\x00\x00sNaPpY", "Snappy", _UNPACK),
    _Signature(b"LZIP", "lzip", _UNPACK),
    _Signature(b"\x89LZO\0", "LZO", _UNPACK),
    _Signature(b"\x1f\x9d", "compress (.Z)", _UNPACK),
    _Signature(b"ustar", "a tar archive", _UNPACK, _TAR_MAGIC_AT),
    _Signature(b"-----BEGIN PGP MESSAGE", "encrypted with PGP", "decrypt it first"),
    _Signature(
        b"version https://git-lfs.github.com/", "a pointer of Git LFS", "fetch it: git lfs pull"
    ),
)
_MARKUP = (
    (b"<!doctype html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<?xml", "XML"),
)
_NOT_THE_EXPORT = "often a login or an error page was saved instead of the export; export it again"
_BLANKS = b" \t\r\n"
_UTF8_MARK = b"\xef\xbb\xbf"


def check_format(head: bytes, name: str) -> None:
    """Check that a content, whose first decompressed bytes are ``head``, can be read as text.

    Raises:
        UnreadableFormatError: it has another format.

    """
    for signature in _SIGNATURES:
        if head.startswith(signature.magic, signature.at):
            raise UnreadableFormatError(
                name, f"is {signature.name}, which is not read: {signature.advice}"
            )
    start = head.removeprefix(_UTF8_MARK).lstrip(_BLANKS).lower()
    for magic, format_ in _MARKUP:
        if start.startswith(magic):
            advice = _NOT_THE_EXPORT if "HTML" in format_ else _AS_TEXT
            raise UnreadableFormatError(name, f"is {format_}, which is not read: {advice}")
