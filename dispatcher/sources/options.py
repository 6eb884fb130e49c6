"""What a user sets about the input: its layout and the meaning of its columns."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Literal, get_args

from dispatcher.domain.contact import TEXT_LIMIT
from dispatcher.domain.opt_out import OptOutColumns
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

SourceFormat = Literal["auto", "csv", "jsonl"]

NULL_VALUES = (
    "\\N", "NULL", "(null)", "<null>", "[null]", "None", "NaN", "-NaN", "NaT", "NA", "<NA>", "N/A",
    "#N/A", "#N/A N/A", "#NA", "#N/D", "#NV", "#NULL!", "#REF!", "#VALUE!", "#NAME?", "#NUM!",
    "#DIV/0!", "#SPILL!", "#CALC!", "#FIELD!", "#BLOCKED!", "#CONNECT!", "#UNKNOWN!", "#BUSY!",
    "#GETTING_DATA", "#EMPTY", "#BEZUG!", "#WERT!", "#ZAHL!", "#ÜBERLAUF!", "#VALEUR!", "#NOM?",
    "#NOMBRE!", "#¡REF!", "#¡VALOR!", "#¿NOMBRE?", "#¡NUM!", "#¡DIV/0!", "undefined",
    "nil", "<nil>", "<no value>", "{null}", "(none)", "(empty)", "(blank)", "n.a.", "-", "--",
    "\\\\N", "[]", "{}", "[object Object]", "1.#QNAN", "-1.#QNAN", "1.#IND", "-1.#IND",
    "__HIVE_DEFAULT_PARTITION__", "00000000-0000-0000-0000-000000000000",
)  # fmt: skip
"""What exports of databases, programs and spreadsheets write where a value is missing."""

MangledNumbers = Literal["reject", "accept"]

_SEPARATORS = re.compile(r"[\s_-]+")


def normal_name(name: str) -> str:
    """Return the form in which names of columns are compared.

    Case, blanks, underscores and hyphens make no difference.
    """
    return _SEPARATORS.sub("", name).casefold() or name


@dataclass(frozen=True, slots=True)
class RowRules:
    """How a row becomes a contact.

    ``columns`` maps a meaning to the column's name in the file, where the two differ. ``filter``
    maps a column's name in the file to the values that are accepted; rows that do not match are
    counted as filtered. ``text`` and ``subject`` are templates for rows that have neither.
    ``needed`` are other columns that the settings name, so that a file without one of them is
    refused; ``present`` are such columns in which a row may lack a cell. ``zone`` is the time zone
    of dates without an offset; ``date_format`` is a format of `datetime.strptime` for dates that
    are not recognised otherwise. ``text_limit`` is the most characters that a message may have.
    ``text_problem`` returns why a text cannot be sent for
    another reason than its number of characters, "" if it can. ``null_values`` are texts that mean
    an empty cell, in any case. ``attributes`` are columns without a meaning, whatever their names
    look like. ``named`` are further columns that the settings name. ``mangled_numbers`` says what
    happens to an id that a spreadsheet has changed. ``lacks_zone`` is true if quiet hours are set
    without a column of time zones. ``opt_out`` are the columns by which people are left out.

    Raises:
        ValueError: a template is wrong, ``columns`` has a meaning that does not exist, or
            ``filter`` has a string instead of a list of strings.

    """

    columns: Mapping[str, str] = field(default_factory=dict)
    filter: Mapping[str, Collection[str]] = field(default_factory=dict)
    text: str | None = None
    subject: str | None = None
    needed: Collection[str] = ()
    present: Collection[str] = ()
    zone: tzinfo = UTC
    date_format: str | None = None
    text_limit: int = TEXT_LIMIT
    text_problem: Callable[[str], str] | None = None
    null_values: Collection[str] = NULL_VALUES
    attributes: Collection[str] = ()
    named: Collection[str] = ()
    mangled_numbers: MangledNumbers = "reject"
    lacks_zone: bool = False
    opt_out: OptOutColumns = field(default_factory=OptOutColumns)

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.columns) - set(MEANINGS)):
            raise ValueError(
                f"columns: {', '.join(unknown)} is not a known column; these are known: "
                f"{', '.join(MEANINGS)}"
            )
        if single := sorted(k for k, values in self.filter.items() if isinstance(values, str)):
            raise ValueError(f"filter: {', '.join(single)} needs a list of values, not a string")
        for template in (self.text, self.subject):
            if template is not None:
                Template(template)
        normal = set(map(normal_name, self.attributes))
        if both := sorted(name for name in self.columns.values() if name in self.attributes):
            raise ValueError(f"attributes: {', '.join(both)} is also in columns")
        if "conversation_id" not in self.columns and "conversationid" in normal:
            raise ValueError("attributes: conversation_id is required; map another column to it")

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
    ``max_record_lines`` lines at most. ``header`` has the names of the columns of CSV files that
    have no header; a first line that has the same names is one all the same.

    Raises:
        ValueError: the delimiter is not one ASCII character, or is a quote or a line terminator.

    """

    format: SourceFormat = "auto"
    delimiter: str = "auto"
    max_record_lines: int = 100
    header: tuple[str, ...] = ()

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
