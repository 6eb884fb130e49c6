"""What the body of a 403 says is missing: a scope, a permission, or a division."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dispatcher.domain.answer import GrantKind, MissingGrant


@dataclass(frozen=True, slots=True)
class AdminPages:
    """Where an administrator grants what is missing, in one dialect's words."""

    scope: str
    permission: str
    division: str

    def where(self, lack: GrantKind) -> str:
        """Return the page for one kind."""
        return {
            GrantKind.SCOPE: self.scope,
            GrantKind.PERMISSION: self.permission,
            GrantKind.DIVISION: self.division,
        }[lack]


MESSAGING_PAGES = AdminPages(
    scope="the OAuth client's scopes in the organisation's admin pages",
    permission="the roles of the OAuth client in the organisation's admin pages",
    division="the divisions of the OAuth client's roles in the organisation's admin pages",
)

GENESYS_PAGES = AdminPages(
    scope=(
        "Admin > Integrations > OAuth, the client's scopes; where the organisation enforces "
        "scopes, also Admin > Integrations > Authorized Applications"
    ),
    permission=(
        "Admin > People & Permissions > Roles / Permissions, in a role that the client has by "
        "Admin > Integrations > OAuth, its tab Roles"
    ),
    division=(
        "Admin > Integrations > OAuth, the client's tab Roles: the divisions beside the role, "
        "among them the one that the conversation is in"
    ),
)
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
"""What a body's ``code`` (or OAuth's ``error``) means.

The first two are the platform's (source: platform contract, scopes and permissions);
``insufficient_scope`` is OAuth's own for a resource (source: RFC 6750, 3.1). What the platform
says of a missing scope or division could not be found: the others are the same words put
together alike. Codes that say nothing, such as ``not.authorized``, are not here.
"""

_PERMISSION_WORD = re.compile(r"\bpermissions?\b", re.IGNORECASE)
_DIVISION_WORD = re.compile(r"\bdivisions?\b", re.IGNORECASE)
_SCOPE_WORD = re.compile(r"\bscopes?\b", re.IGNORECASE)
_SCOPED_NAME = re.compile(r"(?<![\w:])[A-Za-z][\w-]{0,63}(?::[A-Za-z*][\w-]{0,63}){1,3}(?![\w:])")
_PLAIN_NAME = re.compile(r"[A-Za-z][\w:*-]{0,127}")
_MOST_NAMES = 5


def missing_kind(body: Mapping[str, object]) -> GrantKind | None:
    """Tell what a 403's body says is missing; None where it does not say.

    The code decides, but for a permission whose message names a division: the role has the
    permission, elsewhere. Without a code that is known the message decides, if it names a scope
    or a division.
    """
    lack = next((CODES[code] for code in _codes(body) if code in CODES), None)
    words = " ".join(_words(body))
    if lack in (None, GrantKind.PERMISSION) and _DIVISION_WORD.search(words):
        return GrantKind.DIVISION
    if lack is None and _SCOPE_WORD.search(words) and not _PERMISSION_WORD.search(words):
        return GrantKind.SCOPE
    return lack


def missing_names(body: Mapping[str, object]) -> tuple[str, ...]:
    """Return the permissions or scopes that a 403's body names, at most five."""
    params = [
        each for value in _params(body) if (each := value.strip()) and _PLAIN_NAME.fullmatch(each)
    ]
    found = [name for text in _words(body) for name in _SCOPED_NAME.findall(text)]
    named = [each for each in params if ":" in each] or found or params
    return tuple(dict.fromkeys(named))[:_MOST_NAMES]


def missing_grants(body: Mapping[str, object], pages: AdminPages) -> tuple[MissingGrant, ...]:
    """Return what a 403's body says is missing, by name, and where it is granted.

    Where it names nothing, one entry has an empty name; where it says nothing, there is none.
    """
    lack = missing_kind(body)
    if lack is None:
        return ()
    where = pages.where(lack)
    return tuple(MissingGrant(lack, name, where) for name in missing_names(body) or ("",))


def _codes(body: Mapping[str, object]) -> Iterator[str]:
    yield from (str(body[key]).lower() for key in ("code", "error") if key in body)
    for each in _nested(body):
        yield str(each.get("code", "")).lower()


def _words(body: Mapping[str, object]) -> Iterator[str]:
    for part in (body, *_nested(body)):
        for key in ("message", "messageWithParams"):
            text = part.get(key)
            if isinstance(text, str):
                yield text


def _params(body: Mapping[str, object]) -> Iterator[str]:
    for part in (body, *_nested(body)):
        params = part.get("messageParams")
        for value in params.values() if isinstance(params, dict) else ():
            if isinstance(value, str):
                yield from value.strip("[]").split(",")
            elif isinstance(value, list):
                yield from (str(each) for each in value)


def _nested(body: Mapping[str, object]) -> list[Mapping[str, object]]:
    errors = body.get("errors")
    return [each for each in errors if isinstance(each, dict)] if isinstance(errors, list) else []
