"""The credentials for the platform, and the sources that keep them."""

from dataclasses import dataclass, field
from typing import Protocol

from dispatcher.ports.platform import TokenUnavailableError


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """An OAuth client's id and secret, for which the platform issues a token.

    ``where`` is a text for people: where they are kept. It is not compared.
    """

    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    where: str = field(default="the client id and secret", compare=False)


@dataclass(frozen=True, slots=True)
class BearerToken:
    """A token that is issued and renewed outside of the dispatcher.

    ``scopes`` are the granted scopes according to its source; None: not known. ``expires_at`` is
    in seconds since the epoch; None: not known. ``where`` is a text for people: where it is kept.
    It is not compared.
    """

    value: str = field(repr=False)
    scopes: tuple[str, ...] | None = None
    expires_at: float | None = None
    where: str = field(default="the token", compare=False)


Credentials = ClientCredentials | BearerToken


class CredentialsUnavailableError(TokenUnavailableError):
    """The source of credentials does not answer just now; the message names it."""


class CredentialSource(Protocol):
    """A source of credentials. It never blocks the event loop and never logs a secret.

    Both calls may raise `CredentialsError` (the source is configured incorrectly: the message
    names the setting and what to do) or `CredentialsUnavailableError` (it does not answer now).
    """

    async def get(self) -> Credentials:
        """Return the current credentials; a client's id and secret may be a minute old."""
        ...

    async def refresh(self, refused: Credentials) -> Credentials:
        """Read again, because the platform refused these; return equal ones if nothing changed."""
        ...
