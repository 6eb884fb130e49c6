"""Reads parts of responses and makes paths, for all dialects."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from dispatcher.domain.answer import Answer, Hint
from dispatcher.domain.ids import canonical_id
from dispatcher.platforms.http import HttpResponse, replace_invalid
from dispatcher.platforms.missing_grants import AdminPages, missing_grants
from dispatcher.platforms.rate_limits import endpoint_limit, read_retry_after

_SAFE_ID = re.compile(r"(?!\.+$)[A-Za-z0-9._~:@=+-]+")

Body = Mapping[str, object]


def get_value(value: object, key: str) -> object:
    """Return a member of ``value``, if it is a JSON object; else None."""
    return value.get(key) if isinstance(value, dict) else None


def text(value: object, key: str) -> str | None:
    """Return a text that is not empty from ``value``, if it is a JSON object; else None."""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, str) and found else None


def id_text(value: object, key: str) -> str | None:
    """Return an id as `text` does, in the form by which ids are compared."""
    found = text(value, key)
    return None if found is None else canonical_id(found)


def listed(value: object, key: str) -> list[object]:
    """Return a list from ``value``, if it is a JSON object; else an empty list."""
    found = get_value(value, key)
    return found if isinstance(found, list) else []


def moment(value: object, key: str) -> float | None:
    """Return an ISO 8601 date as seconds since the epoch; UTC if it has no zone."""
    date = text(value, key)
    if date is None:
        return None
    try:
        time = datetime.fromisoformat(date)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (OverflowError, ValueError):  # no date, or one outside the range of a datetime
        return None


def correlation(response: HttpResponse) -> str:
    """Return the id by which the platform's support can find this request."""
    return replace_invalid(response.headers.get("ININ-Correlation-Id", ""))


def parse_refusal(
    response: HttpResponse, hint: Callable[[Body, str], Hint], pages: AdminPages
) -> Answer:
    """Parse a response that is no success (source: platform contract, common to both dialects).

    ``hint`` returns the dialect's meaning of a body and its message. ``pages`` are the admin
    pages on which an administrator grants what a 403 says is missing.
    """
    body = response.body
    if body is None:
        wait = read_retry_after(response.headers, "", None)
        return Answer(
            response.status, retry_after=wait.seconds, correlation_id=correlation(response)
        )
    missing = missing_grants(body, pages) if response.status == 403 else ()  # noqa: PLR2004 - HTTP's Forbidden
    words = text(body, "message") or ""
    limit = body.get("limit")
    return Answer(
        response.status,
        from_platform="message" in body or "code" in body,
        hint=hint(body, words),
        address=text(body.get("from"), "address"),
        retry_after=read_retry_after(response.headers, words, None).seconds,
        limit_key=endpoint_limit(text(limit, "key") or "", text(limit, "namespace") or ""),
        words=words,
        correlation_id=correlation(response),
        missing_kind=missing[0].kind if missing else None,
        missing_grants=missing,
    )


def is_path_part(id_: str) -> bool:
    """Return True if an id is safe as one segment of a path."""
    return _SAFE_ID.fullmatch(id_) is not None


def path_part(id_: str) -> str:
    """Return ``id_`` if it is safe as one segment of a path.

    Raises:
        ValueError: it has characters that would change the path.

    """
    if not is_path_part(id_):
        raise ValueError("the conversation id has characters that are not allowed in a path")
    return id_
