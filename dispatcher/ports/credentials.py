"""What the dispatcher proves itself with to the platform, and where that is kept."""

from dataclasses import dataclass, field
from typing import Protocol

from dispatcher.ports.platform import TokenUnavailableError


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """An OAuth client's id and secret; a token is issued for them.

    ``where`` names for people where they are kept; it does not count when two are compared.
    """

    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    where: str = field(default="the client id and secret", compare=False)


@dataclass(frozen=True, slots=True)
class BearerToken:
    """A token that something else issues and keeps fresh.

    ``scopes`` are what it is said to grant; None: nothing is known. ``expires_at`` is in seconds
    since the epoch; None: not known. ``where`` names for people where it is kept; it does not
    count when two are compared.
    """

    value: str = field(repr=False)
    scopes: tuple[str, ...] | None = None
    expires_at: float | None = None
    where: str = field(default="the token", compare=False)


Credentials = ClientCredentials | BearerToken


class CredentialsUnavailableError(TokenUnavailableError):
    """The place where credentials are kept does not answer just now; the message names it."""


class CredentialSource(Protocol):
    """Where credentials are kept. It never blocks the event loop, and it logs no secret.

    Both calls may raise `CredentialsError` (it is set up wrongly: the message names the setting
    and what to do) or `CredentialsUnavailableError` (it does not answer just now).
    """

    async def get(self) -> Credentials:
        """Return what is current; a client's id and secret may be a minute old."""
        ...

    async def refresh(self, refused: Credentials) -> Credentials:
        """Read anew, because the platform refused these; equal ones if nothing else is there."""
        ...
