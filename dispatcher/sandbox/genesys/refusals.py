"""The 403s of the dialect ``genesys``: the body names a missing scope, permission or division."""

from dispatcher.sandbox.dialect import Call
from dispatcher.sandbox.http.error_responses import refusal
from dispatcher.sandbox.http.responses import Response
from dispatcher.sandbox.oauth import Grants

_UNABLE = "Unable to perform the requested action. "


def missing_access(
    call: Call,
    grants: Grants,
    scopes: tuple[str, ...],
    permission: str,
    *,
    cause: str = "read_scope",
    any_of: bool = False,
) -> Response | None:
    """Return the 403 if the token has none of the scopes or the client lacks the permission.

    ``cause`` is that of a missing scope. Two codes are in use for a missing permission, with and
    without ``any_of`` (platform contract, scopes and permissions).
    """
    refused = missing_scope(call, scopes, cause)
    if refused is None and permission not in grants.permissions:
        code = "missing.any.permissions" if any_of else "missing.permissions"
        return _forbidden(call, code, "permission(s)", (permission,), "permission_forbidden")
    return refused


def missing_scope(
    call: Call, scopes: tuple[str, ...], cause: str = "read_scope"
) -> Response | None:
    """Return the 403 of a token with none of these scopes, None for any other."""
    if call.token is not None and not call.token.usable.isdisjoint(scopes):
        return None
    return _forbidden(call, "missing.scope", "scope(s)", scopes, cause)


def missing_division(call: Call, permission: str) -> Response:
    """Return the 403 of a permission that does not apply in the conversation's division."""
    what = "permission(s) in the division of the conversation"
    code = "missing.division.permission"
    return _forbidden(call, code, what, (permission,), "division_forbidden")


def out_of_reach(call: Call, cause: str) -> Response:
    """Return a 403 that does not name what is missing."""
    more = {"code": "not.authorized"}
    return refusal(call.correlation, 403, "You are not authorized", cause=cause, more=more)


def _forbidden(call: Call, code: str, what: str, names: tuple[str, ...], cause: str) -> Response:
    listed = f"[{', '.join(names)}]"
    more = {
        "code": code,
        "messageWithParams": f"{_UNABLE}You are missing the following {what}: {{missing}}",
        "messageParams": {"missing": listed},
    }
    message = f"{_UNABLE}You are missing the following {what}: {listed}"
    return refusal(call.correlation, 403, message, cause=cause, more=more)
