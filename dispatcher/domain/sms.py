"""How many parts a text message has: by its alphabet, and by how characters share the parts.

Source: 3GPP TS 23.038, 6.2.1 (the 7-bit default alphabet and its extension table) and TS 23.040,
9.2.3.24.1 (a part of several has a header of 6 octets).
"""

from collections.abc import Iterable
from dataclasses import dataclass

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("\f^{}\\[~]|€")
"""Characters that take two places, and are never split between parts."""
_BEYOND_ONE_UNIT = "\uffff"
"""The last character that takes one place in UCS-2; others take two."""


@dataclass(frozen=True, slots=True)
class Alphabet:
    """An alphabet: places in the only part of a text, and in a part of several."""

    name: str
    single: int
    per_part: int


GSM_7_BIT = Alphabet("GSM 03.38 7-bit", 160, 153)
UCS_2 = Alphabet("UCS-2", 70, 67)


def alphabet_of(text: str) -> Alphabet:
    """Return the alphabet that a text is sent in: one other character changes it for all."""
    return UCS_2 if foreign_characters(text) else GSM_7_BIT


def foreign_characters(text: str) -> list[str]:
    """Return the different characters that the 7-bit alphabet lacks, in their order."""
    return [c for c in dict.fromkeys(text) if c not in _BASIC and c not in _EXTENDED]


def parts_of(text: str) -> int:
    """Return the number of parts that a text is sent in; 0 for an empty one."""
    alphabet = alphabet_of(text)
    if alphabet is GSM_7_BIT:
        widths = [2 if character in _EXTENDED else 1 for character in text]
    else:
        widths = [2 if character > _BEYOND_ONE_UNIT else 1 for character in text]
    if sum(widths) <= alphabet.single:
        return 1 if text else 0
    return _fill(widths, alphabet.per_part)


def _fill(widths: Iterable[int], size: int) -> int:
    """Return the number of parts; a character that does not fit begins the next part."""
    parts, used = 1, 0
    for width in widths:
        if used + width > size:
            parts, used = parts + 1, 0
        used += width
    return parts
