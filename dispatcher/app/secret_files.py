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
    if section.password_file:
        return read_secret(Path(section.password_file), f"{key}.password_file")
    if not section.password_variable:
        return ""
    secret = environment.get(section.password_variable)
    if secret is None or not secret.get_secret_value():
        raise SourceError(f"{key}.password_variable: {section.password_variable} is not set")
    return secret.get_secret_value()
