"""Finds phone numbers of a suppression list that are written so that they would match nobody."""

import re
from collections import Counter
from collections.abc import Collection

from dispatcher.sources.rows.mangled_numbers import NUMERIC, is_power_of_ten
from dispatcher.sources.suppression.list_names import PHONE_NAMES
from dispatcher.sources.suppression.phone_numbers import SHORTEST, parse_phone_number
from dispatcher.sources.suppression.shapes import Shape, is_date, shape_of

_NO_NUMBERS = frozenset({Shape.UUID, Shape.EMAIL, Shape.DATE})
_PHONE_WORDS = ("phone", "mobile")
_PHONES = frozenset(name.replace("_", "") for name in PHONE_NAMES)
_WHOLE = re.compile(r"([+-]?\d+)[.,](?:00?|0{6})").fullmatch
"""A number as a table of floats writes it; three zeros may be thousands."""
_AFTER_COMMA = re.compile(r"\d{1,15}E\+\d{1,3}", re.IGNORECASE).fullmatch
"""What is left of scientific notation if its decimal comma was taken as a separator."""
_FRACTION = re.compile(r"[+-]?\d{9,}[.,]\d+").fullmatch
_BEGINS_LIKE_NUMBER = re.compile(r"(?:\w+:\s*(?=\+))?[(+]*\d(?:[ ()./-]*\d){6,}(?=[\s(]|$)").match
_has_plus = re.compile(r"(?:\w+:\s*)?\(?\+").match
_begins_like_name = re.compile(r"[^\W\d_][\w.-]*").fullmatch


class DamagedNumbers:
    """Finds them by the other values of their column.

    In a column that is named like a phone, every value with seven or more digits has to be a
    number (or a UUID or mail address). In one where more than half of the values are numbers,
    it may also be an id that begins with a letter. In any other column a value that begins with
    "+" has to be a number. ``phone_columns`` are the indexes of columns that are named so.
    """

    def __init__(self, phone_columns: Collection[int]) -> None:
        self._phone_columns = frozenset(phone_columns)
        self._values: Counter[int] = Counter()
        self._numbers: Counter[int] = Counter()
        self._first: dict[int, int] = {}

    def is_damaged(self, value: str, line: int, column: int) -> bool:
        """Return True if the value is certainly damaged; remember it if it may be."""
        self._values[column] += 1
        is_phone = column in self._phone_columns
        if not is_phone and _begins_like_name(value):
            return False
        whole = without_decimals(value)
        if _is_one_number(whole):
            self._numbers[column] += 1
            return False
        if _digits(value) < SHORTEST or shape_of(whole) in _NO_NUMBERS:
            return False
        if not is_phone and value.isdecimal():  # the id of a database may be longer
            return False
        is_like_number = _is_like_number(value)
        if is_phone or (is_like_number and _has_plus(value)):
            return True
        self._numbers[column] += is_like_number
        self._first.setdefault(column, line)
        return False

    def line(self) -> int | None:
        """Return the line of the first damaged number in columns of numbers; None if all are fine.

        To be called after the last value.
        """
        lines = [
            line
            for column, line in self._first.items()
            if 2 * self._numbers[column] > self._values[column]
        ]
        return min(lines, default=None)


def has_lost_digits(value: str) -> bool:
    """Return True for a number in scientific notation."""
    return value[0] in NUMERIC and bool(is_power_of_ten(value) or _AFTER_COMMA(value))


def is_phone_name(name: str) -> bool:
    """Return True if a column of this name, as of `plain_name`, has phone numbers."""
    return name in _PHONES or any(word in name for word in _PHONE_WORDS)


def without_decimals(value: str) -> str:
    """Return a number without the zeros that an export gave it; other values as they are."""
    found = _WHOLE(value)
    return value if found is None else found[1]


def _is_one_number(value: str) -> bool:
    if parse_phone_number(value) is None or _FRACTION(value):
        return False
    return "/" not in value or min(map(_digits, value.split("/"))) < SHORTEST


def _digits(value: str) -> int:
    return sum(map(str.isdigit, value))


def _is_like_number(value: str) -> bool:
    return _BEGINS_LIKE_NUMBER(value) is not None and not is_date(value.split(None, 1)[0])
