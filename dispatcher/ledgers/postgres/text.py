r"""JSON to and from the database. Its text cannot have a zero character, so that one is escaped.

"\x10" (data link escape) is the escape: "\x10" is stored as "\x10\x10", and a zero as "\x100".
"""

from typing import Any

import orjson

_ESCAPE = "\x10"
_SPECIAL = (b"\\u0000", b"\\u0010")


def dumps(value: Any) -> str:
    """Return a value as JSON that the database takes.

    Raises:
        TypeError: a text is no valid Unicode.

    """
    return dumps_bytes(value).decode()


def dumps_bytes(value: Any) -> bytes:
    """Return what `dumps` returns, as UTF-8."""
    encoded = orjson.dumps(value)
    if any(special in encoded for special in _SPECIAL):
        encoded = orjson.dumps(_changed(value, escaped))
    return encoded


def loads(stored: str | bytes) -> Any:
    """Return the value of JSON that the database has made of what is stored."""
    value = orjson.loads(stored)
    special = _SPECIAL[1] if isinstance(stored, bytes) else "\\u0010"
    return _changed(value, plain) if special in stored else value  # type: ignore[operator]


def escaped(text: str) -> str:
    """Return text as it is stored."""
    return text.replace(_ESCAPE, _ESCAPE * 2).replace("\0", _ESCAPE + "0")


def plain(stored: str) -> str:
    """Return text as it was before it was stored."""
    if _ESCAPE not in stored:
        return stored
    parts = stored.split(_ESCAPE * 2)
    return _ESCAPE.join(part.replace(_ESCAPE + "0", "\0") for part in parts)


def _changed(value: Any, change: Any) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {_changed(key, change): _changed(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_changed(item, change) for item in value]
    return value
