"""Phone numbers compared as numbers, however they are written."""

import re
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

SHORTEST = 7
"""The least digits of a phone number."""
_LONGEST = 17
"""E.164 permits 15 digits; two more are for a trunk prefix."""
_is_plain = re.compile(r"[+0-9 \t()./-]+").fullmatch
_SEPARATORS = b" \t()-./"
_DASHES = str.maketrans("\u2010\u2011\u2012\u2013\u2014\u2212", "------")
_SCHEME = re.compile(r"(?:tel|sms|whatsapp|callto):", re.IGNORECASE)
_WHATSAPP_HOSTS = ("@s.whatsapp.net", "@c.us")
"""What follows the digits of an international number in the ids of WhatsApp."""
_TRUNK_ZERO = "(0)"
_FROM_NORTH_AMERICA = "011"
"""What is dialled there before an international number (source: ITU-T, "Dialling procedures")."""
_CODES_OF_1 = frozenset("17")
_CODES_OF_2 = frozenset(
    map(
        str,
        (20, 27, *range(30, 35), 36, 39, 40, 41, *range(43, 50), *range(51, 59), *range(60, 67),
         81, 82, 84, 86, *range(90, 96), 98),
    )
)  # fmt: skip
"""Country codes of one and two digits; all others have three (source: ITU-T E.164, annex)."""


class PhoneNumber(NamedTuple):
    """The digits of a number; ``international`` if it was written with "+" or "00"."""

    digits: str
    international: bool


def parse_phone_number(text: str) -> PhoneNumber | None:
    """Return the number that ``text`` is as a whole, or None if it is something else."""
    if not _is_plain(text):
        if text.isascii() and ":" not in text and not text.endswith(_WHATSAPP_HOSTS):
            return None
        text = _made_plain(text)
        if not _is_plain(text):
            return None
    digits = text.replace(_TRUNK_ZERO, "").encode().translate(None, _SEPARATORS).decode()
    international = digits.startswith(("+", "00"))
    if international:
        digits = digits.removeprefix("+").removeprefix("00")
    if not SHORTEST <= len(digits) <= _LONGEST or not digits.isdigit():
        return None
    return PhoneNumber(digits, international)


def _made_plain(text: str) -> str:
    """Return text without a scheme, and without characters that only look like plain ones."""
    if not text.isascii():
        normal = unicodedata.normalize("NFKC", text).translate(_DASHES)
        text = "".join(c for c in normal if unicodedata.category(c) != "Cf")
    text = _SCHEME.sub("", text.strip(), count=1)
    for host in _WHATSAPP_HOSTS:
        if text.endswith(host):
            return "+" + text.removesuffix(host).removeprefix("+")
    return text


class PhoneNumbers:
    """A set of phone numbers.

    A number without "+" or "00" does not say its country. It is the same as each number whose part
    after the country code is equal: a list of numbers that are never written to has to include
    them. Leading zeros of that part (trunk prefixes, which spreadsheets remove) do not count.
    Of numbers with "+" or "00" the country code has to be the same, too. A number with 011, which
    North America dials instead of "+", may be an international one.
    """

    def __init__(self, numbers: Iterable[PhoneNumber] = ()) -> None:
        self._whole: set[int] = set()
        self._domestic: set[int] = set()
        self._endings: set[int] = set()
        self._written: set[int] = set()
        for number in numbers:
            self._add(number)

    def __or__(self, other: "PhoneNumbers") -> "PhoneNumbers":
        union = PhoneNumbers()
        union._whole = self._whole | other._whole
        union._domestic = self._domestic | other._domestic
        union._endings = self._endings | other._endings
        union._written = self._written | other._written
        return union

    def __contains__(self, number: PhoneNumber) -> bool:
        dialled = _dialled_in_north_america(number)
        if dialled is not None and dialled in self:
            return True
        digits = number.digits
        if not number.international:
            value = int(digits)
            if value in self._domestic or value in self._endings:
                return True
            if digits[0] == "0":
                return False
        whole, ending = _split(digits)
        return whole in self._whole or ending in self._domestic

    def has_digits(self, number: PhoneNumber) -> bool:
        """Return True if an international number of the set has the same digits.

        For ids: of two ids of digits the one may be the end of the other without being the same.
        """
        return int(number.digits) in self._written

    def _add(self, number: PhoneNumber) -> None:
        if (dialled := _dialled_in_north_america(number)) is not None:
            self._add(dialled)
        digits = number.digits
        if not number.international:
            self._domestic.add(int(digits))
            if digits[0] == "0":
                return
        else:
            self._written.add(int(digits))
        whole, ending = _split(digits)
        self._whole.add(whole)
        if ending >= 10 ** (SHORTEST - 1):
            self._endings.add(ending)


def _dialled_in_north_america(number: PhoneNumber) -> PhoneNumber | None:
    """Return the international number that a number with 011 may be."""
    rest = number.digits.removeprefix(_FROM_NORTH_AMERICA)
    if number.international or rest == number.digits or len(rest) < SHORTEST or rest[0] == "0":
        return None
    return PhoneNumber(rest, international=True)


def _split(digits: str) -> tuple[int, int]:
    """Return a number with its country code, and the part after it, without a trunk prefix."""
    code = 1 if digits[0] in _CODES_OF_1 else 2 if digits[:2] in _CODES_OF_2 else 3
    ending = digits[code:].lstrip("0")
    return int(digits[:code] + ending), int(ending or "0")
