"""Reads from the body of a 403 what is missing: a scope, a permission or a division."""

import re
from collections.abc import Iterator, Mapping

from dispatcher.domain.answer import GrantKind, MissingGrant

AdminPages = Mapping[GrantKind, str]
"""The admin pages on which each kind of grant is granted, in one dialect."""

MESSAGING_PAGES: AdminPages = {
    GrantKind.SCOPE: "the OAuth client's scopes in the organisation's admin pages",
    GrantKind.PERMISSION: "the roles of the OAuth client in the organisation's admin pages",
    GrantKind.DIVISION: (
        "the divisions of the OAuth client's roles in the organisation's admin pages"
    ),
}
GENESYS_PAGES: AdminPages = {
    GrantKind.SCOPE: (
        "Admin > Integrations > OAuth, the client's scopes; where the organisation enforces "
        "scopes, also Admin > Integrations > Authorized Applications"
    ),
    GrantKind.PERMISSION: (
        "Admin > People & Permissions > Roles / Permissions, in a role that the client has by "
        "Admin > Integrations > OAuth, its tab Roles"
    ),
    GrantKind.DIVISION: (
        "Admin > Integrations > OAuth, the client's tab Roles: the divisions beside the role, "
        "among them the one that the conversation is in"
    ),
}
"""Source: the help pages of Genesys Cloud, OAuth clients, roles and divisions."""

CODES: Mapping[str, GrantKind] = {
    "missing.permissions": GrantKind.PERMISSION,
    "missing.any.permissions": GrantKind.PERMISSION,
    "missing.permission": GrantKind.PERMISSION,
    "missing.division.permission": GrantKind.DIVISION,
    "missing.division.permissions": GrantKind.DIVISION,
    "missing.any.division.permissions": GrantKind.DIVISION,
    "missing.scope": GrantKind.SCOPE,
    "missing.scopes": GrantKind.SCOPE,
    "missing.any.scopes": GrantKind.SCOPE,
    "insufficient_scope": GrantKind.SCOPE,
}
"""The meaning of a body's ``code`` (or OAuth's ``error``).

The first two are the platform's (source: platform contract, scopes and permissions),
``insufficient_scope`` is OAuth's (source: RFC 6750, 3.1). The codes for a missing scope or division
are not documented: the others are formed in the same way as the first two. Codes that name no
grant, such as ``not.authorized``, are left out.
"""

_PERMISSION_WORD = re.compile(r"\bpermissions?\b", re.IGNORECASE)
_DIVISION_WORD = re.compile(r"\bdivisions?\b", re.IGNORECASE)
_SCOPE_WORD = re.compile(r"\bscopes?\b", re.IGNORECASE)
_SCOPED_NAME = re.compile(r"(?<![\w:])[A-Za-z][\w-]{0,63}(?::[A-Za-z*][\w-]{0,63}){1,3}(?![\w:])")
_PLAIN_NAME = re.compile(r"[A-Za-z][\w:*-]{0,127}")
_MOST_NAMES = 5


def missing_kind(body: Mapping[str, object]) -> GrantKind | None:
    """Return which kind of grant a 403's body says is missing; None if it does not say.

    The code decides, with one exception: if the message of a missing permission names a division,
    the division is missing, because the role has the permission in other divisions. Without a
    known code, a message that names a scope or a division decides.
    """
    kind = next((CODES[code] for code in _codes(body) if code in CODES), None)
    message = " ".join(_messages(body))
    if kind in (None, GrantKind.PERMISSION) and _DIVISION_WORD.search(message):
        return GrantKind.DIVISION
    if kind is None and _SCOPE_WORD.search(message) and not _PERMISSION_WORD.search(message):
        return GrantKind.SCOPE
    return kind


def missing_names(body: Mapping[str, object]) -> tuple[str, ...]:
    """Return the permissions or scopes that a 403's body names, at most five."""
    stripped = (value.strip() for value in _params(body))
    params = [name for name in stripped if _PLAIN_NAME.fullmatch(name)]
    found = [name for message in _messages(body) for name in _SCOPED_NAME.findall(message)]
    named = [name for name in params if ":" in name] or found or params
    return tuple(dict.fromkeys(named))[:_MOST_NAMES]


def missing_grants(body: Mapping[str, object], pages: AdminPages) -> tuple[MissingGrant, ...]:
    """Return the grants that a 403's body says are missing.

    If it says a kind but no name, there is one grant with an empty name. If it says neither,
    there is none.
    """
    kind = missing_kind(body)
    if kind is None:
        return ()
    return tuple(MissingGrant(kind, name, pages[kind]) for name in missing_names(body) or ("",))


def _codes(body: Mapping[str, object]) -> Iterator[str]:
    yield from (str(body[key]).lower() for key in ("code", "error") if key in body)
    for error in _nested(body):
        yield str(error.get("code", "")).lower()


def _messages(body: Mapping[str, object]) -> Iterator[str]:
    for part in (body, *_nested(body)):
        for key in ("message", "messageWithParams"):
            message = part.get(key)
            if isinstance(message, str):
                yield message


def _params(body: Mapping[str, object]) -> Iterator[str]:
    for part in (body, *_nested(body)):
        params = part.get("messageParams")
        for value in params.values() if isinstance(params, dict) else ():
            if isinstance(value, str):
                yield from value.strip("[]").split(",")
            elif isinstance(value, list):
                yield from map(str, value)


def _nested(body: Mapping[str, object]) -> list[Mapping[str, object]]:
    errors = body.get("errors")
    listed = errors if isinstance(errors, list) else []
    return [error for error in listed if isinstance(error, dict)]
