"""Errors of rows that cannot become contacts, and the decoding of a row."""


class InvalidRowError(Exception):
    """A row that cannot become a contact.

    ``reason`` is a stable word, ``detail`` a sentence with the column's name but without any
    value of the row.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


class HeaderRowError(InvalidRowError):
    """A row that has the name of a column as its conversation id, as a header has."""

    def __init__(self) -> None:
        super().__init__("columns", "the conversation id is the name of a column; correct the row")


def decode(cells: bytes) -> str:
    """Return bytes of a row as text.

    Raises:
        InvalidRowError: they are not UTF-8 or have a NUL byte.

    """
    if b"\0" in cells:
        raise InvalidRowError("encoding", "a NUL byte")
    try:
        return cells.decode()
    except UnicodeDecodeError:
        raise InvalidRowError("encoding", "not UTF-8") from None
