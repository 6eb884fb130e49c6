"""What a user can say about the input: how it is laid out and what its columns mean."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Literal

from dispatcher.domain.contact import TEXT_LIMIT
from dispatcher.sources.rows.template import Template

MEANINGS = (
    "conversation_id",
    "contact_key",
    "external_contact_id",
    "address",
    "text",
    "subject",
    "not_before",
    "expires_at",
)
"""Columns that mean something to the dispatcher; every other one is an attribute."""

Format = Literal["auto", "csv", "jsonl"]


@dataclass(frozen=True, slots=True)
class RowRules:
    """How a row becomes a contact.

    ``columns`` maps a meaning to the column's name in the file, where the two differ.
    ``keep`` maps a column's name in the file to the values that are let in; rows that do not
    match are counted as filtered. ``text`` and ``subject`` are templates for rows that bring
    none of their own. ``zone`` is where dates without an offset are from. ``text_limit`` is how
    many characters a message may have.

    Raises:
        ValueError: a template is wrong, ``columns`` names a meaning that does not exist, or
            ``keep`` has one bare text where a list of them belongs.

    """

    columns: Mapping[str, str] = field(default_factory=dict)
    filter: Mapping[str, Collection[str]] = field(default_factory=dict)
    text: str | None = None
    subject: str | None = None
    zone: tzinfo = UTC
    text_limit: int = TEXT_LIMIT

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.columns) - set(MEANINGS)):
            raise ValueError(
                f"columns: {', '.join(unknown)} means nothing here; "
                f"the meanings are {', '.join(MEANINGS)}"
            )
        if bare := sorted(name for name, values in self.filter.items() if isinstance(values, str)):
            raise ValueError(f"keep: {', '.join(bare)} needs a list of values, not a text")
        for template in (self.text, self.subject):
            if template is not None:
                Template(template)

    def column(self, meaning: str) -> str:
        """Return the name in the file of the column with this meaning."""
        return self.columns.get(meaning, meaning)


@dataclass(frozen=True, slots=True)
class Layout:
    """How the bytes of the input become rows.

    ``format`` "auto" goes by the file's name, else by the first byte. ``delimiter`` is one
    ASCII character, or "auto": taken from the header. A quoted field may run over
    ``max_record_lines`` lines at most.

    Raises:
        ValueError: the delimiter is not one ASCII character, or is a quote or a line's end.

    """

    format: Format = "auto"
    delimiter: str = "auto"
    max_record_lines: int = 100

    def __post_init__(self) -> None:
        given = self.delimiter
        if given != "auto" and (len(given) != 1 or not given.isascii() or given in '"\r\n\0'):
            raise ValueError(f'delimiter: {given!r} is neither "auto" nor one ASCII character')
        if self.max_record_lines < 1:
            raise ValueError("max_record_lines: at least 1")


@dataclass(frozen=True, slots=True)
class Timing:
    """How a folder is watched, in seconds.

    The folder is looked at every ``poll_seconds``; a file is taken once its size and time of
    change have been the same for ``stable_seconds``.

    Raises:
        ValueError: ``poll_seconds`` is not above 0, or ``stable_seconds`` is below.

    """

    poll_seconds: float = 1.0
    stable_seconds: float = 2.0

    def __post_init__(self) -> None:
        if self.poll_seconds <= 0 or self.stable_seconds < 0:
            raise ValueError("poll_seconds: above 0; stable_seconds: not below 0")
