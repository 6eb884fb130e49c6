"""Error answers with the platform's body (platform contract, common to both dialects)."""

from collections.abc import Mapping

import orjson

from dispatcher.sandbox.http.responses import HTML, Response
from dispatcher.sandbox.scenario.model import Limit
from dispatcher.sandbox.scenario.value_types import Denial

_CODES = {
    400: "bad.request",
    401: "bad.credentials",
    403: "not.authorized",
    404: "not.found",
    409: "conflict",
    429: "too.many.requests.retry.after",
    500: "internal.server.error",
    503: "service.unavailable",
}

_UNABLE = "Unable to perform the requested action."
_DENIALS: Mapping[Denial, tuple[str, str]] = {
    "scope": ("insufficient_scope", "The token has not the scope conversations:messaging:write"),
    "permission": (
        "missing.permissions",
        "You are missing the following permission(s): conversation:message:create",
    ),
    "division": (
        "missing.division.permissions",
        "You lack these permission(s) in this division: [conversation:message:create]",
    ),
}


def refusal(
    correlation: str,
    status: int,
    message: str,
    *,
    cause: str,
    retry_after: int | None = None,
    more: Mapping[str, object] | None = None,
) -> Response:
    """Return an error answer; ``more`` are further fields of its body, ``retry_after`` seconds."""
    body = {
        "message": message,
        "code": _CODES[status],
        "status": status,
        "contextId": correlation,
        "details": [],
        "errors": [],
        **(more or {}),
    }
    headers = b"" if retry_after is None else b"Retry-After: %d\r\n" % retry_after
    return Response(status, orjson.dumps(body), cause, headers)


def conflict(correlation: str, cause: str) -> Response:
    """Return the 409, which has the same body for every cause."""
    return refusal(correlation, 409, "Conflict", cause=cause)


def bad_request(
    correlation: str, message: str, cause: str, more: Mapping[str, object] | None = None
) -> Response:
    """Return a 400."""
    return refusal(correlation, 400, message, cause=cause, more=more)


def not_found(correlation: str, what: str) -> Response:
    """Return a 404."""
    return refusal(correlation, 404, f"{what} not found", cause="gone")


def forbidden(correlation: str, cause: str) -> Response:
    """Return the 403 that does not name what is missing."""
    message = "You are not authorized to perform the requested action."
    return refusal(correlation, 403, message, cause=cause)


def denied(correlation: str, lack: Denial) -> Response:
    """Return the 403 whose body names what is missing."""
    code, message = _DENIALS[lack]
    cause = f"{lack}_forbidden"
    return refusal(correlation, 403, f"{_UNABLE} {message}", cause=cause, more={"code": code})


def unauthorized(correlation: str, cause: str) -> Response:
    """Return the 401 of a token that is not valid."""
    return refusal(correlation, 401, "Invalid login credentials.", cause=cause)


def too_many(correlation: str, seconds: int, limit: Limit | None = None) -> Response:
    """Return the 429 of a limit, with the limit in its body, or of the window if it is None."""
    message = f"Rate limit exceeded the maximum. Retry the request in [{seconds}] seconds"
    if limit is None:
        return refusal(correlation, 429, message, cause="rate", retry_after=seconds)
    body = {"limit": {"key": limit.key, "namespace": limit.namespace, "value": limit.value}}
    return refusal(correlation, 429, message, cause="limit", retry_after=seconds, more=body)


def page(status: int, title: str) -> Response:
    """Return a page of HTML, as a proxy in between would answer."""
    body = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\r\n"
    return Response(status, body.encode(), content_type=HTML)


def redirect(status: int, location: str, cause: str | None = None) -> Response:
    """Return a redirect."""
    return Response(status, b"", cause, b"Location: %b\r\n" % location.encode())
