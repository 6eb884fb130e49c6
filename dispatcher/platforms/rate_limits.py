"""What a 429 means: whether its limit is the client's or one endpoint's, and how long to wait."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from dispatcher.platforms.http import parse_number

LONGEST_WAIT_SECONDS = 86_400.0
"""The longest wait that is believed. The longest documented limit is a daily one."""
SHORTEST_DATE_SECONDS = 1.0
"""The shortest wait until a date: dates have whole seconds."""

_PLATFORM_NAMESPACES = frozenset({"platform.api", "public.api", "auth.api", "api"})
"""Values of ``limit.namespace`` for the whole API (source: the platform's list of limits)."""
_HOLDERS = frozenset(
    {"token", "tokens", "client", "clients", "oauth", "app", "application", "user", "users", "ui"}
    | {"org", "organization", "organisation", "tenant", "account", "credentials", "ip"}
)
"""Words of a key that say whose limit it is, and not of which endpoint."""
_ENDPOINTS = (
    *("agentless", "analytics", "attribute", "campaign", "contact", "conversation", "deployment"),
    *("detail", "email", "endpoint", "messag", "notif", "outbound", "participant", "queries"),
    *("query", "send", "sms", "tag", "threading", "timeline", "webmessag", "whatsapp"),
)
"""Beginnings of words of a key that name an endpoint which the dispatcher uses."""
_WORDS = re.compile(r"[^.\s_:/-]+")
_SECONDS_IN_WORDS = re.compile(r"retry the request in \[(\d+)\] seconds", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """How long a refusal asks to wait; ``seconds`` are None if that cannot be read.

    ``unusable`` is the header's value if it is not a wait that is believed, for a log.
    """

    seconds: float | None = None
    unusable: str = ""


def endpoint_limit(key: str, namespace: str) -> str | None:
    """Return the key of a 429's limit if it is one endpoint's, None if it is the whole client's.

    A key of the client, the token, the user or the organisation is the client's, and so is every
    key of the whole API that names no endpoint: all requests meet it. Known keys of that kind are
    ``token.rate.per.minute``, ``client.credentials.token.rate.per.minute`` and
    ``org.app.user.rate.per.minute`` (source: the platform's list of limits).
    """
    words = _WORDS.findall(key.lower())
    if any(word.startswith(_ENDPOINTS) for word in words):
        return key
    is_general = namespace.lower() in _PLATFORM_NAMESPACES or not _HOLDERS.isdisjoint(words)
    return None if is_general or not key else key


class SharedLimits:
    """Finds out which unknown limits are the client's: checks and sends both meet them.

    Analytics do not count: they have limits of their own.
    """

    def __init__(self) -> None:
        self._met: dict[str, set[bool]] = {}

    def is_shared(self, key: str, method: str, target: str) -> bool:
        """Record that a request met a limit; return True if checks and sends have met it."""
        met = self._met.setdefault(key, set())
        if "/analytics/" not in target:
            met.add(method == "GET")
        return len(met) > 1


def read_retry_after(headers: Mapping[str, str], words: str, now: float | None) -> RetryAfter:
    """Read how long a refusal asks to wait (source: RFC 9110, 10.2.3: seconds or a date).

    A date counts from the response's own Date header, else from ``now`` (seconds since the epoch).
    Without a usable header, the seconds in the platform's ``words`` count (source: platform
    contract, rate limit).
    """
    value = headers.get("Retry-After")
    seconds = parse_number(value)
    if value is not None and seconds is None:
        seconds = _seconds_until(value, headers, now)
    if seconds is not None and seconds <= LONGEST_WAIT_SECONDS:
        return RetryAfter(seconds)
    unusable = "" if value is None else value
    match = _SECONDS_IN_WORDS.search(words)
    if match is not None and float(match[1]) <= LONGEST_WAIT_SECONDS:
        return RetryAfter(float(match[1]), unusable)
    return RetryAfter(None, unusable)


def _seconds_until(value: str, headers: Mapping[str, str], now: float | None) -> float | None:
    until = _moment(value)
    start = _moment(headers.get("Date", "")) or now
    if until is None or start is None:
        return None
    return max(SHORTEST_DATE_SECONDS, until - start)


def _moment(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None
