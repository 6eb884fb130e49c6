"""Keys that a JSON object has more than once; parsers keep the last value and drop the others."""

import json
from collections.abc import Callable, Mapping

from dispatcher.sources.rows.row_errors import InvalidRowError

IsUsed = Callable[[str], bool]
"""Returns True if the settings use the column of this name."""

_UTF8_MARK = b"\xef\xbb\xbf"
_ESCAPED_QUOTE = b"\\u0022"


def check_keys(cells: Mapping[str, str], unused: int, line: bytes, is_used: IsUsed) -> None:
    """Check an object whose line has more quotes than its keys and its texts are in.

    ``unused`` is how many more. ``cells`` are the object's values as text, in which a nested value
    has quotes of its own. Keys within nested values are not looked at, as no column is there.

    Raises:
        InvalidRowError: a column that the settings use is there twice.

    """
    inside = "".join(cells.values()).count('"')
    if unused == inside and (b"\\" not in line or _ESCAPED_QUOTE not in line):
        return
    repeated = [name for name in _repeated(line) if is_used(name)]
    if repeated:
        names = ", ".join(map(repr, repeated))
        raise InvalidRowError(
            "columns", f"it has {names} more than once, and which value is meant is not known"
        )


def _repeated(line: bytes) -> list[str]:
    """Return the keys that the outermost object has more than once."""
    outermost: list[str] = []

    def remember(pairs: list[tuple[str, object]]) -> None:
        outermost[:] = [name for name, _ in pairs]  # the last call is for the outermost object

    text = line.removeprefix(_UTF8_MARK).decode()
    try:
        json.loads(text, object_pairs_hook=remember, parse_int=str, parse_float=str)
    except RecursionError:
        raise InvalidRowError("json", "nested too deep") from None
    return [name for name in dict.fromkeys(outermost) if outermost.count(name) > 1]
