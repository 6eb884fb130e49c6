"""The text of a suppression list, from the bytes of its file."""

import codecs
import re

from dispatcher.sources.suppression.listed_values import ListedValues

_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_SIGNATURES = (
    b"\x1f\x8b", b"PK\x03\x04", b"BZh", b"\xfd7zXZ", b"(\xb5/\xfd", b"PAR1", b"\xd0\xcf\x11\xe0",
)  # fmt: skip
"""How compressed files, spreadsheets and Parquet begin."""


class ListContentError(ValueError):
    """The file is not a list of values that can be trusted; the message has the line.

    ``readable`` are the values of the lines that can be understood.
    """

    def __init__(self, message: str, readable: ListedValues | None = None) -> None:
        super().__init__(message)
        self.readable = readable


def decode_list(content: bytes) -> str:
    """Return the text of a list without invisible characters.

    Raises:
        ListContentError: it is no text.

    """
    if content.startswith(_SIGNATURES):
        raise ListContentError("is compressed or a spreadsheet; write it as plain text or CSV")
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError:
        raise ListContentError("is not written in UTF-8") from None
    if "\0" in text:
        raise ListContentError("is not a text file: it has NUL characters")
    return _INVISIBLE.sub("", text)
