"""OAuth: which tokens there are, how long they live, and what they still permit."""

import secrets
from base64 import b64encode
from urllib.parse import parse_qs

from dispatcher.sandbox.parts import READ_SCOPES, WRITE_SCOPES, Denial, Mask, TokenRules

_KEEP_EXPIRED = 60.0


class Token:
    """One issued token; what it permits shrinks when scopes are taken away from the client."""

    __slots__ = ("can_read", "can_write", "expires", "scopes")

    def __init__(self, scopes: frozenset[str], expires: float) -> None:
        self.scopes = scopes
        self.expires = expires
        self.can_read = False
        self.can_write = False

    def apply(self, granted: frozenset[str]) -> None:
        """Take what the client still has into account."""
        usable = self.scopes & granted
        self.can_read = not usable.isdisjoint(READ_SCOPES)
        self.can_write = not usable.isdisjoint(WRITE_SCOPES)


class Grants:
    """The client's scopes and its tokens.

    A token never gains a scope that it was not issued with; one that is taken away takes effect on
    tokens already issued, and comes back to them when it is granted again.
    """

    def __init__(self, rules: TokenRules) -> None:
        self._rules = rules
        self.granted = rules.granted
        self.mask: Mask = rules.mask
        self.denied: Denial = rules.deny
        self.contact_denial: Denial = rules.contact_denial
        self._tokens: dict[bytes, Token] = {}
        pair = f"{rules.client_id}:{rules.client_secret}".encode()
        self._basic = b"Basic " + b64encode(pair)

    @property
    def may_write(self) -> bool:
        """Whether the client has a write scope at this moment."""
        return not set(self.granted).isdisjoint(WRITE_SCOPES)

    @property
    def unauthorized(self) -> bool:
        """Whether a missing write scope is answered with 401."""
        return self._rules.unauthorized

    def change(self, granted: tuple[str, ...], mask: Mask | None) -> None:
        """Set the client's scopes, and how a missing one shows."""
        self.granted = granted
        self.mask = self.mask if mask is None else mask
        usable = frozenset(granted)
        for token in self._tokens.values():
            token.apply(usable)

    def find(self, authorization: bytes, now: float) -> Token | None:
        """Return the token of an Authorization header if it is known and lives."""
        token = self._tokens.get(authorization)
        return token if token is not None and now < token.expires else None

    def knows_client(self, authorization: bytes) -> bool:
        """Return whether the Basic header names the client with its secret."""
        return secrets.compare_digest(authorization, self._basic)

    def issue(self, form: bytes, now: float) -> dict[str, object] | None:
        """Issue a token for a form body; None if the grant type is another one."""
        fields = parse_qs(form.decode("utf-8", "replace"))
        if fields.get("grant_type") != ["client_credentials"]:
            return None
        asked = " ".join(fields.get("scope", ())).split()
        scopes = [s for s in asked if s in self.granted] if asked else list(self.granted)
        name = secrets.token_urlsafe(32)
        lives = self._rules.expires_in if self._rules.lives is None else self._rules.lives
        self._forget_expired(now)
        token = self._tokens[b"Bearer " + name.encode()] = Token(frozenset(scopes), now + lives)
        token.apply(frozenset(self.granted))
        return {
            "access_token": name,
            "token_type": "bearer",
            "expires_in": self._rules.expires_in,
            "scope": " ".join(scopes),
        }

    def expire_all(self) -> None:
        """End the life of every token that was issued."""
        self._tokens.clear()

    def _forget_expired(self, now: float) -> None:
        old = [key for key, token in self._tokens.items() if token.expires + _KEEP_EXPIRED < now]
        for key in old:
            del self._tokens[key]
