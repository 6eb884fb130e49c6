"""Credentials from the environment."""

from collections.abc import Mapping

from dispatcher.ports import ClientCredentials, Credentials, CredentialsError

CLIENT_ID, CLIENT_SECRET = "DISPATCHER_CLIENT_ID", "DISPATCHER_CLIENT_SECRET"


class EnvCredentialSource:
    """An id and a secret that do not change during the life of the process.

    ``names`` are the variables to read.
    """

    def __init__(
        self, env: Mapping[str, str], names: tuple[str, str] = (CLIENT_ID, CLIENT_SECRET)
    ) -> None:
        self._names = names
        self._id, self._secret = (env.get(name, "").strip() for name in names)

    async def get(self) -> Credentials:
        """See `dispatcher.ports.CredentialSource.get`."""
        values = (self._id, self._secret)
        missing = [name for name, value in zip(self._names, values, strict=True) if not value]
        if missing:
            raise CredentialsError(f"{' and '.join(missing)} is not set: export it")
        return ClientCredentials(self._id, self._secret, " and ".join(self._names))

    async def refresh(self, refused: Credentials) -> Credentials:  # noqa: ARG002 - the port's signature
        """See `dispatcher.ports.CredentialSource.refresh`."""
        return await self.get()
