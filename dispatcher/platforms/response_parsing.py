"""What the dialects have in common in the reading of answers, and in the making of paths."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import cast

from dispatcher.domain.answer import Answer, Hint
from dispatcher.platforms.http import HttpResponse, parse_number, replace_invalid
from dispatcher.platforms.missing_grants import AdminPages, missing_grants

RATE_KEYS = frozenset({"", "token.rate.per.minute", "client.rate.per.minute"})
"""Values of ``limit.key`` that mean the whole token's rate; any other one is an endpoint's."""
_SAFE_ID = re.compile(r"(?!\.+$)[A-Za-z0-9._~:@=+-]+")

Body = Mapping[str, object]


def text(value: object, key: str) -> str | None:
    """Return a text that is not empty from what may be a JSON object."""
    found = cast("dict[str, object]", value).get(key) if isinstance(value, dict) else None
    return found if isinstance(found, str) and found else None


def listed(value: object, key: str) -> list[object]:
    """Return a list from what may be a JSON object; empty where there is none."""
    found = cast("dict[str, object]", value).get(key) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []


def moment(value: object, key: str) -> float | None:
    """Return an ISO 8601 date as seconds since the epoch; one that names no zone is UTC."""
    told = text(value, key)
    try:
        found = datetime.fromisoformat(told) if told is not None else None
    except ValueError:
        return None
    if found is not None and found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    try:
        return None if found is None else found.timestamp()
    except (OverflowError, ValueError):  # at the ends of what a date can be
        return None


def correlation(exchange: HttpResponse) -> str:
    """Return the id by which the platform finds this answer again."""
    return replace_invalid(exchange.headers.get("ININ-Correlation-Id", ""))


def parse_refusal(
    exchange: HttpResponse, body: Body, hint: Callable[[Body, str], Hint], pages: AdminPages
) -> Answer:
    """Read a refusal's body (source: platform contract, common to both).

    ``hint`` reads what the dialect says in it, from the body and its message; ``pages`` tell
    where what a 403 misses is granted.
    """
    lacks = missing_grants(body, pages) if exchange.status == 403 else ()  # noqa: PLR2004 - HTTP's Forbidden
    words = text(body, "message") or ""
    key = text(body.get("limit"), "key")
    return Answer(
        exchange.status,
        from_platform="message" in body or "code" in body,
        hint=hint(body, words),
        address=text(body.get("from"), "address"),
        retry_after=parse_number(exchange.headers.get("Retry-After")),
        limit_key=None if (key or "") in RATE_KEYS else key,
        words=words,
        correlation_id=correlation(exchange),
        missing_kind=lacks[0].kind if lacks else None,
        missing_grants=lacks,
    )


def is_path_part(id_: str) -> bool:
    """Tell whether an id can stand in a path as one part of it."""
    return _SAFE_ID.fullmatch(id_) is not None


def path_part(id_: str) -> str:
    """Guard the path: an id is one part of it, whatever the source let through."""
    if not is_path_part(id_):
        raise ValueError("a conversation id with characters that a path cannot hold")
    return id_
