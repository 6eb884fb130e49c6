"""The 403 of the dialect ``genesys``: its body tells a scope, a permission and a division apart."""

from collections.abc import Iterable

from dispatcher.sandbox.dialect import Call
from dispatcher.sandbox.http.error_responses import refusal
from dispatcher.sandbox.http.responses import Response

_DENIED = "Unable to perform the requested action. "


def unless_scope(call: Call, any_of: Iterable[str], cause: str = "read_scope") -> Response | None:
    """Return the 403 of a token with none of these scopes, None for any other."""
    names = tuple(any_of)
    if call.token is not None and not call.token.usable.isdisjoint(names):
        return None
    return _forbidden(call, "missing.scope", "scope(s)", names, cause)


def missing_permission(call: Call, permission: str, *, any_of: bool = False) -> Response:
    """Return the 403 of a permission that the client's roles do not have.

    Source: platform contract, scopes and permissions: two codes are in use.
    """
    code = "missing.any.permissions" if any_of else "missing.permissions"
    return _forbidden(call, code, "permission(s)", (permission,), "permission_forbidden")


def missing_division(call: Call, permission: str) -> Response:
    """Return the 403 of a permission that does not hold in the conversation's division."""
    what = "permission(s) in the division of the conversation"
    code = "missing.division.permission"
    return _forbidden(call, code, what, (permission,), "division_forbidden")


def out_of_reach(call: Call, cause: str) -> Response:
    """Return a 403 that says nothing of what is missing."""
    more = {"code": "not.authorized"}
    return refusal(call.correlation, 403, "You are not authorized", cause=cause, more=more)


def _forbidden(call: Call, code: str, what: str, names: tuple[str, ...], cause: str) -> Response:
    listed = f"[{', '.join(names)}]"
    more = {
        "code": code,
        "messageWithParams": f"{_DENIED}You are missing the following {what}: {{missing}}",
        "messageParams": {"missing": listed},
    }
    message = f"{_DENIED}You are missing the following {what}: {listed}"
    return refusal(call.correlation, 403, message, cause=cause, more=more)
