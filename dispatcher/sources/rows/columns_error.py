"""The error of a file whose columns are not as the settings need them."""

from collections.abc import Sequence

from dispatcher.ports import SourceError
from dispatcher.sources.rows.line_reader import RAW_LIMIT


class ColumnsError(SourceError):
    """A header that is unreadable, lacks a column or has one that looks like another.

    ``detail`` is the message without the file's name. ``line`` and ``raw`` are the header's; no
    message has them. ``of_first_line`` says that the problems are sentences about the header on
    top of the file, without their subject.
    """

    def __init__(
        self,
        file: str,
        problems: Sequence[str],
        line: int,
        raw: bytes,
        *,
        of_first_line: bool = True,
    ) -> None:
        subject = "the header " if of_first_line else ""
        self.detail = subject + "; ".join(problems)
        super().__init__(f"{file}: {self.detail}")
        self.line = line
        self.raw = raw[:RAW_LIMIT]
