"""How one log line is made: time, redaction, JSON."""

import re
import time
from collections.abc import Mapping, MutableMapping
from typing import Any

import orjson

from dispatcher.domain.status import (
    HaltReason,
    Reason,
    Relation,
    RetryReason,
    ScopeSource,
    Status,
    Step,
)

REDACTED = "[redacted]"
"""Stands where a value was that no log may hold."""

MOST_WORDS = 200
"""Characters of a foreign text that are kept."""

_SECRET = frozenset(
    {
        "access_token",
        "address",
        "api_key",
        "authorization",
        "body",
        "client_secret",
        "cookie",
        "from_address",
        "fromaddress",
        "message_text",
        "password",
        "proxy_authorization",
        "refresh_token",
        "secret",
        "set_cookie",
        "text",
        "textbody",
        "to_address",
        "toaddress",
        "token",
    }
)
_WORDS = (Status, Reason, Relation, Step, HaltReason, RetryReason, ScopeSource)
_CREDENTIAL = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9+/._~=-]{4,}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")

Fields = MutableMapping[str, Any]


class TimestampProcessor:
    """Writes the time as ISO 8601 in UTC; each second is formatted once."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def now(self) -> str:
        """Return the time, to the millisecond."""
        second, rest = divmod(time.time_ns(), 1_000_000_000)
        if second != self._second:
            self._text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = second
        return f"{self._text}.{rest // 1_000_000:03d}Z"


def words(text: str, most: int = MOST_WORDS) -> str:
    """Make a foreign text fit for a log: one line, ``most`` characters, no credential."""
    return _CREDENTIAL.sub(rf"\1 {REDACTED}", _CONTROL.sub(" ", text[: 2 * most]))[:most]


def redact(_logger: object, _method: str, fields: Fields) -> Fields:
    """Take out values whose key says that they are secret, however deep they stand."""
    if _SECRET.isdisjoint(fields) and _PLAIN.issuperset(map(type, fields.values())):
        return fields
    return {key: _scrub(key, value) for key, value in fields.items()}


class JsonLine:
    """Renders a line of JSON: time, level and event first."""

    def __init__(self) -> None:
        self._clock = TimestampProcessor()

    def __call__(self, _logger: object, method: str, fields: Fields) -> bytes:
        """Return the line, with its end."""
        line = {"time": self._clock.now(), "level": method, "event": fields.pop("event", "")}
        line.update(fields)
        return orjson.dumps(line, _printable, _OPTIONS)


_OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS
_PLAIN: frozenset[type] = frozenset({str, int, float, bool, type(None), *_WORDS})


def _scrub(key: object, value: object) -> object:
    if isinstance(key, str) and key.lower().replace("-", "_") in _SECRET:
        return REDACTED
    if isinstance(value, Mapping):
        return {inner: _scrub(inner, deep) for inner, deep in value.items()}
    if isinstance(value, list | tuple):
        return [_scrub(None, deep) for deep in value]
    return value


def _printable(value: object) -> str:
    return str(value)
