"""Shapes of identifiers: what shows that a list cannot be about the contacts of a campaign."""

import re
from collections.abc import Iterable
from enum import Enum, auto

from dispatcher.sources.suppression.phone_numbers import (
    SHORTEST,
    PhoneNumber,
    parse_phone_number,
)

_UUID = re.compile(
    r"\{?(?:urn:uuid:)?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})\}?",
    re.IGNORECASE,
)
_UUID_LENGTHS = frozenset({32, 34, 36, 38, 41, 45})
"""With and without dashes, braces and "urn:uuid:"."""
_has_digit = re.compile(r"\d").search
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_DATE = re.compile(
    r"(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})"
    r"(?:[T ]+\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)? ?(?:Z|UTC|[+-]\d{2}:?\d{2}|[AP]M)?",
    re.IGNORECASE,
)


class Shape(Enum):
    """What a value looks like."""

    UUID = auto()
    EMAIL = auto()
    NUMBER = auto()
    """A phone number, or an id of as many digits."""
    SHORT_NUMBER = auto()
    """Fewer digits than a phone number has: an id, or the number of a row."""
    DATE = auto()
    WORDS = auto()
    """Anything with a blank inside."""
    WORD = auto()
    """Without a digit."""
    ID = auto()
    """All others: with a digit and without a blank."""


def shape_of(value: str) -> Shape:
    """Return the shape of a value without outer blanks."""
    return classify(value)[0]


def classify(value: str) -> tuple[Shape, PhoneNumber | None]:
    """Return the shape of a value without outer blanks, and the phone number that it may be."""
    if len(value) in _UUID_LENGTHS and _UUID.fullmatch(value):
        return Shape.UUID, None
    if is_date(value):
        return Shape.DATE, None
    may_be_number = not value[:1].isalpha() or ":" in value
    number = parse_phone_number(value) if may_be_number else None
    if number is not None:
        return Shape.NUMBER, number
    if value.isdecimal():
        return (Shape.SHORT_NUMBER if len(value) < SHORTEST else Shape.NUMBER), None
    if len(value.split(None, 1)) > 1:
        return Shape.WORDS, None
    if "@" in value and _EMAIL.fullmatch(value):
        return Shape.EMAIL, None
    return Shape.ID if _has_digit(value) else Shape.WORD, None


def shapes_of(values: Iterable[str | None]) -> set[Shape]:
    """Return the shapes of the values that are not empty."""
    return {shape_of(value.strip()) for value in values if value and not value.isspace()}


def is_date(value: str) -> bool:
    """Return True for a date, with or without a time."""
    return value[:1].isdecimal() and _DATE.fullmatch(value) is not None


def uuid_forms(value: str) -> tuple[str, ...]:
    """Return a UUID with and without dashes, in lower case; an empty tuple if it is none."""
    found = _UUID.fullmatch(value)
    if found is None:
        return ()
    groups = found.group(1, 2, 3, 4, 5)
    return "-".join(groups).lower(), "".join(groups).lower()
