"""Which ids are permitted, and which of them need no further test."""

import re
import string
from collections.abc import Callable, Iterable

ID_LIMIT = 256
"""The most characters of an id or a key."""

is_safe_id = re.compile(rf"(?!\.{{1,2}}\Z)[A-Za-z0-9._~:@=+-]{{1,{ID_LIMIT}}}").fullmatch
"""Returns a match for an id that does not change the path of a URL."""

_BLANKS = frozenset(sign for sign in map(chr, range(0x3001)) if sign.isspace())


def ordinary_id(
    nulls: Iterable[str], starts: frozenset[str]
) -> Callable[[str], re.Match[str] | None]:
    """Return the test for an id that needs no other one: this is the fast way of most ids.

    It accepts what has the length and the letters of a UUID in lower case, and an id that is
    neither a UUID nor begins like a number or with one of ``starts``.
    """
    first = re.escape("".join(sorted({*string.ascii_letters, *"_~:@="} - starts))) or "~"
    other = rf"(?!.{{8}}-)[{first}][A-Za-z0-9._~:@=+-]{{0,{ID_LIMIT - 1}}}"
    uuid = "(?=.{8}-)[0-9a-f-]{36}"
    if none := "|".join(null for null in sorted(nulls) if re.fullmatch(uuid, null)):
        uuid = f"(?!(?:{none})){uuid}"
    return re.compile(f"{uuid}|{other}").fullmatch


def starts_of(values: Iterable[str]) -> frozenset[str]:
    """Return the first characters that a cell with one of the values can have."""
    first = {value[0] for value in values if value}
    return frozenset({*first, *(sign.upper() for sign in first), *_BLANKS})
