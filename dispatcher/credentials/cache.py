"""What a source that is far away told last, and for how long that will do."""

import asyncio
from collections.abc import Awaitable, Callable

from dispatcher.ports import ClientCredentials, Clock, Credentials, CredentialsUnavailableError

FRESH_SECONDS = 60.0
"""How long a client's id and secret are taken to be current without asking again."""


class CredentialsCache:
    """Asks a source no more often than is needed.

    A client's id and secret are good until the platform refuses them, so they are used for as
    long as their source does not answer. A bearer token is always read anew: it may have been
    replaced, and the old one then proves nothing.
    """

    def __init__(self, read: Callable[[], Awaitable[Credentials]], clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._client: ClientCredentials | None = None
        self._fresh_until = 0.0
        self._turn = asyncio.Lock()

    async def get(self) -> Credentials:
        """See `dispatcher.ports.CredentialSource.get`."""
        async with self._turn:
            client = self._client
            if client is not None and self._clock.monotonic() < self._fresh_until:
                return client
            try:
                return await self._anew()
            except CredentialsUnavailableError:
                if client is None:
                    raise
                return client

    async def refresh(self, refused: Credentials) -> Credentials:  # noqa: ARG002 - the same to all
        """See `dispatcher.ports.CredentialSource.again`."""
        async with self._turn:
            self._fresh_until = 0.0
            return await self._anew()

    async def _anew(self) -> Credentials:
        found = await self._read()
        if isinstance(found, ClientCredentials):
            self._client = found
            self._fresh_until = self._clock.monotonic() + FRESH_SECONDS
        else:
            self._client = None
        return found
