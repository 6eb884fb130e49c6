"""Which ids are permitted, and which of them need no further test."""

import re
import string
from collections.abc import Callable, Iterable

from dispatcher.domain.ids import ID_LIMIT
from dispatcher.sources.options import normal_name

is_safe_id = re.compile(rf"(?!\.{{1,2}}\Z)[A-Za-z0-9._~:@=+-]{{1,{ID_LIMIT}}}").fullmatch
"""Returns a match for an id that does not change the path of a URL."""

_FIRST = frozenset((*string.ascii_letters, "_"))
_BLANKS = frozenset(sign for sign in map(chr, range(0x3001)) if sign.isspace())


def ordinary_id(
    nulls: Iterable[str], names: Iterable[str]
) -> Callable[[str], re.Match[str] | None]:
    """Return the test for an id that needs no other one: this is the fast way of most ids.

    It accepts what has the length and the letters of a UUID in lower case, and an id that begins
    with a letter or an underscore, is not a UUID, and is neither one of ``nulls`` nor, apart from
    case, underscores and hyphens, one of ``names``.
    """
    nulls = sorted(nulls)
    others = [*map(re.escape, nulls), *map(_spelled_freely, sorted(set(map(normal_name, names))))]
    starts = {"_", *starts_of(nulls), *starts_of(map(normal_name, names))}
    first = re.escape("".join(sorted(_FIRST - starts))) or "~"
    checked = re.escape("".join(sorted(_FIRST & starts))) or "~"
    rest = rf"[A-Za-z0-9._~:@=+-]{{0,{ID_LIMIT - 1}}}"
    not_others = rf"(?!(?i:{'|'.join(others)})\Z)" if others else ""
    other = rf"(?!.{{8}}-)(?:[{first}]|{not_others}[{checked}]){rest}"
    uuid = "(?=.{8}-)[0-9a-f-]{36}"
    if none := "|".join(null for null in nulls if re.fullmatch(uuid, null)):
        uuid = f"(?!(?:{none})){uuid}"
    return re.compile(f"{uuid}|{other}").fullmatch


def _spelled_freely(name: str) -> str:
    """Return a pattern for the spellings of a name without blanks."""
    return "[_-]*" + "".join(f"{re.escape(letter)}[_-]*" for letter in name)


def ordinary_number(starts: frozenset[str]) -> Callable[[str], re.Match[str] | None]:
    """Return the test for a phone number that needs no other one: a plus sign, and digits."""
    return re.compile(r"(?!)" if "+" in starts else r"\+[0-9]{6,15}").fullmatch


def starts_of(values: Iterable[str]) -> frozenset[str]:
    """Return the first characters that a cell with one of the values can have."""
    first = {value[0] for value in values if value}
    return frozenset({*first, *(sign.upper() for sign in first), *_BLANKS})
