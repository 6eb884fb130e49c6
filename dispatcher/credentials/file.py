"""Credentials from files, as Docker and Kubernetes mount their secrets."""

from pathlib import Path

from dispatcher.credentials.blocking import BlockingCaller
from dispatcher.credentials.secret_fields import make_bearer_token
from dispatcher.ports import ClientCredentials, Credentials, CredentialsError

MOST_BYTES = 65_536
"""Bytes of a file that are read; no id, secret or token is longer."""


class FileCredentialSource:
    """An id and a secret in a file each, or one file with a bearer token.

    Files are read for each call, because they may be replaced at any moment. The keys of ``files``
    are ``client_id_file`` and ``client_secret_file``, or ``token_file``.
    """

    def __init__(self, files: dict[str, Path], seconds: float) -> None:
        self._files = files
        self._caller = BlockingCaller("the file with the credentials", seconds)

    async def get(self) -> Credentials:
        """See `dispatcher.ports.CredentialSource.get`."""
        return await self._caller.call(self._read)

    async def refresh(self, refused: Credentials) -> Credentials:  # noqa: ARG002 - the port's signature
        """See `dispatcher.ports.CredentialSource.refresh`."""
        return await self.get()

    def _read(self) -> Credentials:
        where = " and ".join(str(path) for path in self._files.values())
        values = [read_secret(path, f"credentials.{key}") for key, path in self._files.items()]
        if len(values) == 1:
            return make_bearer_token(values[0], where)
        return ClientCredentials(values[0], values[1], where)


def read_secret(path: Path, key: str) -> str:
    """Return a file's content without surrounding white space; ``key`` is its setting.

    Raises:
        CredentialsError: the file cannot be read, or is empty.

    """
    try:
        with path.open("rb") as file:
            value = file.read(MOST_BYTES).decode().strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not written in UTF-8"
    else:
        if value:
            return value
        reason = "empty"
    raise CredentialsError(f"{key}: {path} cannot be used: {reason}")
