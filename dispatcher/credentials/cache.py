"""Caches the credentials last read from a remote source, for 60 seconds."""

import asyncio
from abc import ABC, abstractmethod

from dispatcher.ports import ClientCredentials, Clock, Credentials, CredentialsUnavailableError

FRESH_SECONDS = 60.0
"""Age up to which a client's id and secret are used without reading them again."""


class CachedCredentialSource(ABC):
    """A source that is read no more often than needed.

    A client's id and secret are valid until the platform refuses them, so they are used as long as
    their source does not answer. A bearer token is always read again: it may have been replaced,
    and the old one may then be invalid.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._cached: ClientCredentials | None = None
        self._fresh_until = 0.0
        self._reading = asyncio.Lock()

    async def get(self) -> Credentials:
        """See `dispatcher.ports.CredentialSource.get`."""
        async with self._reading:
            cached = self._cached
            if cached is not None and self._clock.monotonic() < self._fresh_until:
                return cached
            try:
                return await self._read_and_keep()
            except CredentialsUnavailableError:
                if cached is None:
                    raise
                return cached

    async def refresh(self, refused: Credentials) -> Credentials:  # noqa: ARG002 - the port's signature
        """See `dispatcher.ports.CredentialSource.refresh`."""
        async with self._reading:
            self._fresh_until = 0.0
            return await self._read_and_keep()

    @abstractmethod
    async def _read(self) -> Credentials:
        """Read the credentials from the source."""

    async def _read_and_keep(self) -> Credentials:
        credentials = await self._read()
        self._cached = credentials if isinstance(credentials, ClientCredentials) else None
        self._fresh_until = self._clock.monotonic() + FRESH_SECONDS
        return credentials
