"""OAuth: the tokens of one client, their lifetime, and what they permit."""

import secrets
from base64 import b64decode, b64encode
from dataclasses import dataclass
from urllib.parse import parse_qs

from dispatcher.sandbox.http.responses import Response, response
from dispatcher.sandbox.scenario.model import TokenRules
from dispatcher.sandbox.scenario.value_types import READ_SCOPES, WRITE_SCOPES, Denial, Mask

_KEEP_EXPIRED = 60.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class DialectScopes:
    """What a dialect requires: one scope of each tuple, and the permission and division if set."""

    read: tuple[str, ...] = READ_SCOPES
    write: tuple[str, ...] = WRITE_SCOPES
    permission: str = ""
    """To send."""
    division: str = ""
    """To send to its conversations."""
    in_token: bool = True
    """Whether a token response states the scopes."""


MESSAGING = DialectScopes()


@dataclass(slots=True)
class IssuedToken:
    """One issued token; what it permits shrinks when the client loses scopes."""

    scopes: frozenset[str]
    expires: float
    can_read: bool = False
    can_write: bool = False
    usable: frozenset[str] = frozenset()

    def apply(self, granted: frozenset[str], needs: DialectScopes) -> None:
        """Recompute what the token permits from the scopes that the client has now."""
        self.usable = self.scopes & granted
        self.can_read = not self.usable.isdisjoint(needs.read)
        self.can_write = not self.usable.isdisjoint(needs.write)


class Grants:
    """The client's scopes and its tokens.

    A token never gains a scope that it was not issued with. Revoking a scope takes effect on tokens
    already issued; granting it again restores it to them.
    """

    def __init__(self, rules: TokenRules, needs: DialectScopes = MESSAGING) -> None:
        self._rules = rules
        self._needs = needs
        self.client_id = rules.client_id
        self.unauthorized = rules.unauthorized
        """Whether a missing write scope is answered with 401."""
        self.granted = self.expand(rules.granted)
        self.permissions = rules.permissions
        self.divisions = rules.divisions
        self.mask: Mask = rules.mask
        self.denied: Denial = rules.deny
        self.contact_denial: Denial = rules.contact_denial
        self._tokens: dict[bytes, IssuedToken] = {}
        self.change_secret(rules.client_secret)

    @property
    def may_write(self) -> bool:
        """Whether the client may send at this moment."""
        return not set(self.granted).isdisjoint(self._needs.write) and self.lacks is None

    @property
    def lacks(self) -> str | None:
        """What it lacks to send apart from scopes: ``permission``, ``division`` or None."""
        needs = self._needs
        if needs.permission and needs.permission not in self.permissions:
            return "permission"
        return "division" if needs.division and needs.division not in self.divisions else None

    def expand(self, scopes: tuple[str, ...]) -> tuple[str, ...]:
        """Return scopes in the dialect's own names.

        A scope of the dialect ``messaging`` is translated to those that permit the same, so that
        a scenario works in either dialect.
        """
        if self._needs is MESSAGING:
            return scopes
        translations = dict.fromkeys(READ_SCOPES, self._needs.read)
        translations |= dict.fromkeys(WRITE_SCOPES, self._needs.write)
        named = [name for scope in scopes for name in translations.get(scope, (scope,))]
        return tuple(dict.fromkeys(named))

    def change(self, granted: tuple[str, ...], mask: Mask | None) -> None:
        """Set the client's scopes, and the mask if it is not None."""
        self.granted = self.expand(granted)
        self.mask = self.mask if mask is None else mask
        usable = frozenset(self.granted)
        for token in self._tokens.values():
            token.apply(usable, self._needs)

    def change_secret(self, secret: str) -> None:
        """Change the client secret; tokens already issued stay valid."""
        pair = f"{self.client_id}:{secret}".encode()
        self._basic = b"Basic " + b64encode(pair)

    def find(self, authorization: bytes, now: float) -> IssuedToken | None:
        """Return the token of an Authorization header if it is known and has not expired."""
        token = self._tokens.get(authorization)
        return token if token is not None and now < token.expires else None

    def matches_secret(self, authorization: bytes) -> bool:
        """Return whether the Basic header has the client's id and secret."""
        return secrets.compare_digest(authorization, self._basic)

    def matches_id(self, authorization: bytes) -> bool:
        """Return whether the Basic header has the client's id, with any secret."""
        try:
            pair = b64decode(authorization.removeprefix(b"Basic "), validate=True)
        except ValueError:
            return False
        return pair.partition(b":")[0] == self.client_id.encode()

    def issue(self, form: bytes, now: float) -> dict[str, object] | None:
        """Return a token response for a form body; None if the grant type is another one."""
        fields = parse_qs(form.decode("utf-8", "replace"))
        if fields.get("grant_type") != ["client_credentials"]:
            return None
        requested = " ".join(fields.get("scope", ())).split() or self.granted
        scopes = [scope for scope in requested if scope in self.granted]
        name = secrets.token_urlsafe(32)
        lives = self._rules.expires_in if self._rules.lives is None else self._rules.lives
        token = IssuedToken(frozenset(scopes), now + lives)
        token.apply(frozenset(self.granted), self._needs)
        oldest = now - _KEEP_EXPIRED
        self._tokens = {key: old for key, old in self._tokens.items() if old.expires >= oldest}
        self._tokens[b"Bearer " + name.encode()] = token
        scope = {"scope": " ".join(scopes)} if self._needs.in_token else {}
        expires_in = self._rules.expires_in
        return {"access_token": name, "token_type": "bearer", "expires_in": expires_in, **scope}

    def token_response(self, form: bytes, now: float) -> Response:
        """Issue a token to this client, or refuse the grant type."""
        issued = self.issue(form, now)
        if issued is None:
            return response(400, {"error": "unsupported_grant_type"})
        return response(200, issued)

    def expire_all(self) -> None:
        """Expire every token."""
        self._tokens.clear()
