"""The format of a log line: redaction, order of the fields, JSON."""

import re
import time
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from typing import Any

import orjson
import structlog

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
"""Replaces a value that must not be in a log."""

MOST_WORDS = 200
"""Characters of a text of the platform that are logged."""

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
_PLAIN: frozenset[type] = frozenset(
    {str, int, float, bool, type(None)}
    | {Status, Reason, Relation, Step, HaltReason, RetryReason, ScopeSource}
)
"""Types of values that hold no further keys."""
_CREDENTIAL = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9+/._~=-]{4,}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")

LogFields = MutableMapping[str, Any]


def words(text: str, most: int = MOST_WORDS) -> str:
    """Return a text of the platform as one line of ``most`` characters without credentials."""
    return _CREDENTIAL.sub(rf"\1 {REDACTED}", _CONTROL.sub(" ", text[: 2 * most]))[:most]


def redact(_logger: object, _method: str, fields: LogFields) -> LogFields:
    """Replace the values of secret keys at any depth."""
    if _SECRET.isdisjoint(fields) and _PLAIN.issuperset(map(type, fields.values())):
        return fields
    return {key: _scrub(key, value) for key, value in fields.items()}


class FieldOrder:
    """Puts the time, level and event before the fields of a line, and the service behind them.

    ``service`` has the unified tags, which join log lines with metrics.
    """

    def __init__(self, service: Mapping[str, str]) -> None:
        self.service = service

    def __call__(self, _logger: object, method: str, fields: LogFields) -> LogFields:
        """Return the fields in their order; the service has priority over a field of its name."""
        head = {"time": log_time(), "level": method, "event": fields.pop("event", "")}
        return {**head, **fields, **self.service}


def log_time() -> str:
    """Return the present time: ISO 8601, in UTC, to the millisecond."""
    seconds, milliseconds = divmod(time.time_ns() // 1_000_000, 1000)
    return f"{_utc(seconds)}.{milliseconds:03d}Z"


render_json = structlog.processors.JSONRenderer(
    orjson.dumps, default=str, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS
)
"""Renders one line of JSON in UTF-8, with its end."""


@lru_cache(maxsize=1)
def _utc(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


def _scrub(key: object, value: object) -> object:
    if isinstance(key, str) and key.lower().replace("-", "_") in _SECRET:
        return REDACTED
    if isinstance(value, Mapping):
        return {inner: _scrub(inner, deep) for inner, deep in value.items()}
    if isinstance(value, list | tuple):
        return [_scrub(None, deep) for deep in value]
    return value
