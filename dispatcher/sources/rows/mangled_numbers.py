"""Recognises numbers that a spreadsheet or a table of floats has changed."""

import re

is_power_of_ten = re.compile(r"[+-]?\d(?:[.,]\d+[eE][+-]?|[eE][+-])\d{1,3}").fullmatch
"""Matches a number in scientific notation."""
_WITH_DECIMALS = re.compile(r"[+-]?\d+[.,]0+").fullmatch

KEPT_DIGITS = 15
"""Digits of a number that spreadsheets keep; later ones become 0 (source: Microsoft, "Excel
specifications and limits")."""
_PROOF_DIGITS = 18
"""From so many digits on, zeros after the 15th are not there by chance."""
NUMERIC = frozenset("0123456789+-")
"""What a number begins with."""


class MangledNumbers:
    """Finds numbers that are no longer what they were, in the columns of one file.

    A number of 16 or 17 digits ends in zeros by chance once in 10 or 100 times. So it counts as
    changed only while no number of the column was found whose later digits were kept.
    """

    def __init__(self) -> None:
        self._exact: set[str] = set()

    def problem(self, value: str, column: str) -> str:
        """Return what happened to a value that begins like a number; empty if nothing did."""
        if value.isdigit():
            if len(value) > KEPT_DIGITS:
                return self._long(value, column)
            return ""
        if is_power_of_ten(value):
            return "a number in scientific notation, whose digits are lost"
        if _WITH_DECIMALS(value):
            return "a number that was given decimals"
        if value[0] in "+-" and value[1:].isdigit() and len(value) > KEPT_DIGITS + 1:
            return self._long(value[1:], column)
        return ""

    def _long(self, digits: str, column: str) -> str:
        if digits[KEPT_DIGITS:].strip("0"):
            self._exact.add(column)
            return ""
        if column in self._exact and len(digits) < _PROOF_DIGITS:
            return ""
        return f"a number whose digits after the {KEPT_DIGITS}th are lost"
