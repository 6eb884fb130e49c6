"""The token that clients of a port must have, from a file or a variable."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog
from pydantic import SecretStr

from dispatcher.credentials.file import read_secret
from dispatcher.ports import CredentialsError

TOKEN_SECONDS = 5.0
"""How long a token that was read from a file is used before the file is read again."""


def token_reader(
    file: str, variable: str, environment: Mapping[str, SecretStr], key: str
) -> Callable[[], str]:
    """Return what returns the token that clients must have; empty if they need none.

    ``key`` is the setting that names the file.

    Raises:
        CredentialsError: the file cannot be read.

    """
    if file:
        return _TokenFile(Path(file), key).token
    secret = environment.get(variable) if variable else None
    token = "" if secret is None else secret.get_secret_value().strip()
    return lambda: token


class _TokenFile:
    """A token in a file that may be replaced. While it cannot be read, the last one counts."""

    def __init__(self, path: Path, key: str) -> None:
        self._path, self._key = path, key
        self._token = self._read()
        self._read_at = time.monotonic()

    def token(self) -> str:
        now = time.monotonic()
        if now - self._read_at >= TOKEN_SECONDS:
            self._read_at = now
            try:
                self._token = self._read()
            except CredentialsError as error:
                structlog.get_logger().warning("intake.token_kept", detail=str(error))
        return self._token

    def _read(self) -> str:
        return read_secret(self._path, self._key)
