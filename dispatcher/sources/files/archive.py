"""Zip archives: the one file in them, or the document that they are."""

import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Literal

from dispatcher.sources.files.decompression import DamagedError
from dispatcher.sources.files.signatures import ZIP_MAGICS, UnreadableFormatError

_CHUNK = 1 << 16
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED = 0x1
_LITTER = ("__MACOSX/", ".DS_Store", "Thumbs.db", "desktop.ini")

_WORKBOOK = "xl/workbook.xml"
_DOCUMENTS = {
    "xl/workbook.bin": "a binary Excel workbook (.xlsb)",
    "word/document.xml": "a Word document",
    "content.xml": "an OpenDocument file (.ods)",
    "Index/Document.iwa": "an Apple Numbers file",
}
_AS_TEXT = "export it as CSV or JSON Lines"


def is_zip(head: bytes) -> bool:
    """Return True if the first bytes are those of a zip archive."""
    return head.startswith(ZIP_MAGICS)


def zip_kind(file: BinaryIO, name: str) -> Literal["xlsx"] | None:
    """Return "xlsx" for an Excel workbook, and None for an archive of files.

    Raises:
        UnreadableFormatError: it is damaged, or another document.

    """
    names = _open(file, name).namelist()
    if _WORKBOOK in names:
        return "xlsx"
    for part, document in _DOCUMENTS.items():
        if part in names:
            raise UnreadableFormatError(name, f"is {document}, which is not read: {_AS_TEXT}")
    return None


def zip_member(file: BinaryIO, name: str) -> Iterator[bytes]:
    """Yield the content of the only file in an archive.

    Raises:
        UnreadableFormatError: the archive is damaged, has not exactly one file, or that file is
            encrypted or compressed in a way that is not read.
        DamagedError: while iterating, after all bytes that could be decompressed.

    """
    archive = _open(file, name)
    files = [info for info in archive.infolist() if not info.is_dir() and not _is_litter(info)]
    if len(files) != 1:
        problem = f"is a zip archive of {len(files)} files, not one: unpack it, and name the files"
        raise UnreadableFormatError(name, f"{problem} with a glob such as folder/*.csv")
    if files[0].flag_bits & _ENCRYPTED:
        raise UnreadableFormatError(name, "is a zip archive with a password: unpack it first")
    if files[0].compress_type not in _METHODS:
        raise UnreadableFormatError(
            name, "is a zip archive with a compression that is not read: unpack it first"
        )
    return _content(archive, files[0])


def _open(file: BinaryIO, name: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except NotImplementedError:  # the standard library's word for a zip version it cannot read
        raise UnreadableFormatError(
            name, "is a zip archive of a version that is not read: unpack it first"
        ) from None
    except (zipfile.BadZipFile, ValueError):  # ValueError: an offset before the file's beginning
        raise UnreadableFormatError(
            name,
            "is a zip archive or an Excel workbook (.xlsx) that is damaged or cut short: write it "
            f"again, or {_AS_TEXT}",
        ) from None


def _is_litter(info: zipfile.ZipInfo) -> bool:
    return info.filename.startswith(_LITTER[0]) or info.filename.endswith(_LITTER[1:])


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    try:
        with archive.open(info) as member:
            while chunk := member.read(_CHUNK):
                yield chunk
    except NotImplementedError:  # a feature of zip that the standard library does not have
        raise DamagedError("the zip archive uses a feature that is not read; unpack it") from None
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DamagedError(f"the zip archive is corrupt ({error}); write it again") from error
