"""What a user sets about the input: its layout and the meaning of its columns."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Literal, get_args

from dispatcher.domain.contact import TEXT_LIMIT
from dispatcher.sources.rows.template import Template

Meaning = Literal[
    "conversation_id",
    "contact_key",
    "external_contact_id",
    "address",
    "text",
    "subject",
    "not_before",
    "expires_at",
]
"""The columns that have a meaning; every other one is an attribute."""
MEANINGS: tuple[str, ...] = get_args(Meaning)

Format = Literal["auto", "csv", "jsonl"]


@dataclass(frozen=True, slots=True)
class RowRules:
    """How a row becomes a contact.

    ``columns`` maps a meaning to the column's name in the file, where the two differ.
    ``filter`` maps a column's name in the file to the values that are accepted; rows that do not
    match are counted as filtered. ``text`` and ``subject`` are templates for rows that have
    neither. ``zone`` is the time zone of dates without an offset; ``date_format`` is a format of
    `datetime.strptime` for dates that are not recognised otherwise. ``text_limit`` is the most
    characters that a message may have.

    Raises:
        ValueError: a template is wrong, ``columns`` has a meaning that does not exist, or
            ``filter`` has a string instead of a list of strings.

    """

    columns: Mapping[str, str] = field(default_factory=dict)
    filter: Mapping[str, Collection[str]] = field(default_factory=dict)
    text: str | None = None
    subject: str | None = None
    zone: tzinfo = UTC
    date_format: str | None = None
    text_limit: int = TEXT_LIMIT

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.columns) - set(MEANINGS)):
            raise ValueError(
                f"columns: {', '.join(unknown)} has no meaning; "
                f"the meanings are {', '.join(MEANINGS)}"
            )
        if single := sorted(k for k, values in self.filter.items() if isinstance(values, str)):
            raise ValueError(f"filter: {', '.join(single)} needs a list of values, not a string")
        for template in (self.text, self.subject):
            if template is not None:
                Template(template)

    def column(self, meaning: str) -> str:
        """Return the name that the file has for the column with this meaning."""
        return self.columns.get(meaning, meaning)


def is_delimiter(value: str) -> bool:
    """Return True for "auto" and for an ASCII character that can separate fields."""
    return value == "auto" or (len(value) == 1 and value.isascii() and value not in '"\r\n\0')


@dataclass(frozen=True, slots=True)
class Layout:
    """How the bytes of the input become rows.

    ``format`` "auto" is decided by the content; "jsonl" is JSON in any layout. ``delimiter`` is one
    ASCII character, or "auto": taken from the header. A quoted field may have
    ``max_record_lines`` lines at most.

    Raises:
        ValueError: the delimiter is not one ASCII character, or is a quote or a line terminator.

    """

    format: Format = "auto"
    delimiter: str = "auto"
    max_record_lines: int = 100

    def __post_init__(self) -> None:
        if not is_delimiter(self.delimiter):
            raise ValueError(f'delimiter: {self.delimiter!r} is not "auto" or one ASCII character')
        if self.max_record_lines < 1:
            raise ValueError("max_record_lines: at least 1")


@dataclass(frozen=True, slots=True)
class Timing:
    """How a folder is watched, in seconds.

    The folder is scanned every ``poll_seconds``; a file is read once its size and time of change
    have been the same for ``stable_seconds``.

    Raises:
        ValueError: ``poll_seconds`` is not above 0, or ``stable_seconds`` is below 0.

    """

    poll_seconds: float = 1.0
    stable_seconds: float = 2.0

    def __post_init__(self) -> None:
        if self.poll_seconds <= 0 or self.stable_seconds < 0:
            raise ValueError("poll_seconds: above 0; stable_seconds: not below 0")
