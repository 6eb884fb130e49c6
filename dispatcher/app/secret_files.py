"""Passwords of sources and sinks: in a file, or in a variable of the environment."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from pydantic import SecretStr

from dispatcher.credentials.file import read_secret
from dispatcher.ports import SourceError


class PasswordSettings(Protocol):
    """The keys of a section that say where its password is; both may be empty."""

    @property
    def password_file(self) -> str:
        """The file that has nothing but the password."""
        ...

    @property
    def password_variable(self) -> str:
        """The variable that has the password."""
        ...


def read_password(key: str, section: PasswordSettings, environment: Mapping[str, SecretStr]) -> str:
    """Return the password of a section, whose key is ``key``; empty if it names none.

    Raises:
        CredentialsError: the file cannot be read, or is empty.
        SourceError: the variable is not set.

    """
    names = section.password_file, section.password_variable
    return read_named(f"{key}.password", *names, environment)


def read_named(key: str, file: str, variable: str, environment: Mapping[str, SecretStr]) -> str:
    """Return a secret of a file or of a variable, which are named by ``key``_file and _variable.

    It is empty if neither is named.

    Raises:
        CredentialsError, SourceError: as `read_password`.

    """
    if file:
        return read_secret(Path(file), f"{key}_file")
    if not variable:
        return ""
    secret = environment.get(variable)
    if secret is None or not secret.get_secret_value():
        raise SourceError(f"{key}_variable: {variable} is not set")
    return secret.get_secret_value()
