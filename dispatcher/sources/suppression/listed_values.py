"""The values of a suppression list, and which contacts they match."""

from collections import Counter
from collections.abc import Collection, Iterable
from functools import lru_cache

from dispatcher.domain.contact import Contact
from dispatcher.sources.suppression.damaged_numbers import without_decimals
from dispatcher.sources.suppression.phone_numbers import (
    PhoneNumber,
    PhoneNumbers,
    parse_phone_number,
)
from dispatcher.sources.suppression.shapes import Shape, classify, uuid_forms

_DIGITS = frozenset("+0123456789")
_LONGEST_NUMBER = 24
"""Characters of a phone number that is used as a key or an id; a UUID has more."""
_CACHED = 2048
"""Contacts whose numbers are kept: each is compared before its state check and before its send."""


_number = lru_cache(_CACHED)(parse_phone_number)


class ListedValues:
    """An immutable set of values; letter case and the way a number is written do not matter.

    ``entries`` is the number of lines with a value, ``shapes`` how many values have a shape, and
    ``ends_complete`` whether the last line of the file has its end. ``others`` are names that are
    compared as they are.
    """

    def __init__(
        self,
        values: Collection[str],
        others: Collection[str] = (),
        *,
        entries: int | None = None,
        ends_complete: bool = True,
    ) -> None:
        self.entries = len(values) if entries is None else entries
        self.ends_complete = ends_complete
        self.shapes: Counter[Shape] = Counter()
        names, numbers = {name.casefold() for name in others}, list[PhoneNumber]()
        ids = set[int]()
        for value in values:
            whole = without_decimals(value)
            shape, number = classify(whole)
            self.shapes[shape] += 1
            names.add(value.casefold())
            if number is not None:
                numbers.append(number)
            if (digits := _digits_of_id(whole, number)) is not None:
                ids.add(digits)
            if whole is not value:
                names.add(whole.casefold())
            if shape is Shape.UUID:
                names.update(uuid_forms(value))
        self._names = frozenset(names)
        self._digits = frozenset(ids)
        self._numbers = PhoneNumbers(numbers)
        self._has_numbers = bool(numbers)

    def __len__(self) -> int:
        return self.entries

    def __or__(self, other: "ListedValues") -> "ListedValues":
        is_complete = self.ends_complete and other.ends_complete
        entries = max(self.entries, other.entries)
        union = ListedValues((), entries=entries, ends_complete=is_complete)
        union._names = self._names | other._names
        union._digits = self._digits | other._digits
        union._numbers = self._numbers | other._numbers
        union._has_numbers = self._has_numbers or other._has_numbers
        union.shapes = self.shapes | other.shapes
        return union

    def share_missing_from(self, other: "ListedValues") -> float:
        """Return which share of these values ``other`` does not have, from 0 to 1."""
        names = other._names  # noqa: SLF001 - of the same class
        return len(self._names - names) / max(1, len(self._names))

    def matches(self, names: Iterable[str | None], addresses: Iterable[str | None] = ()) -> bool:
        """Return True if one of a contact's ids or addresses is listed.

        A name of digits is compared digit by digit, without zeros at its beginning, which
        spreadsheets remove and databases add. Only an address may lack its country code.
        """
        values = self._names
        for name in names:
            if name and name.casefold() in values:
                return True
            if name and name[0] in _DIGITS and name.isdecimal() and int(name) in self._digits:
                return True
        for address in addresses:
            if address and address.casefold() in values:
                return True
        return self._has_numbers and self._matches_number(names, addresses)

    def matches_contact(self, contact: Contact) -> bool:
        """Return True if the contact's row has a listed id or address."""
        names = (contact.key, contact.conversation_id, contact.external_contact_id)
        return self.matches(names, (contact.address,))

    def _matches_number(self, names: Iterable[str | None], addresses: Iterable[str | None]) -> bool:
        numbers = self._numbers
        for name in names:
            if name and name[0] in _DIGITS and len(name) <= _LONGEST_NUMBER:
                number = _number(name)
                if number is None:
                    continue
                if numbers.has_digits(number) or (name[0] == "+" and number in numbers):
                    return True
        for address in addresses:
            if address and (number := _number(address)) is not None and number in numbers:
                return True
        return False


def _digits_of_id(value: str, number: PhoneNumber | None) -> int | None:
    """Return the number that a value of digits is; None for one that is a phone number alone."""
    if value.isdecimal():
        return int(value)
    return int(number.digits) if number is not None and not number.international else None
