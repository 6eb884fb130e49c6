"""Secret ids that are wrapped: a token which Vault exchanges once for the secret id.

Source: Vault's documentation of response wrapping. It recommends to look a wrapping token up
before it is used: its creation path shows what is in it, and somebody who replaced the token cannot
forge that.
"""

import re
from collections.abc import Callable
from typing import Any

from dispatcher.credentials.optional_imports import import_optional
from dispatcher.credentials.vault_answers import subtable
from dispatcher.ports import CredentialsError

USED_UP = (
    "the secret id looks like a wrapping token that was used or has expired. It can be used "
    "once: if you did not use it, somebody else may have the secret id. Create another one"
)
_is_token = re.compile(r"(hvs\.|s\.)[A-Za-z0-9_.-]{20,}").fullmatch
"""A service token of Vault or OpenBao; secret ids are UUIDs unless somebody chose others."""


class SecretIdReader:
    """Reads a secret id, and unwraps it if it is a wrapping token.

    What was unwrapped is kept for later logins, as long as ``read`` returns the same token.
    ``mount`` is that of the AppRole.
    """

    def __init__(self, read: Callable[[], str], mount: str) -> None:
        self._read = read
        self._mount = mount
        self._unwrapped: tuple[str, str] = ("", "")
        self.advice = ""
        """What to check if Vault refuses the secret id; empty if nothing special."""

    def secret_id(self, client: Any) -> str:
        """Return the secret id; ``client`` is of hvac, and its token is empty afterwards.

        Raises:
            CredentialsError: the token wraps something else than a secret id of the mount.

        """
        value, self.advice = self._read(), ""
        if not _is_token(value):
            return value
        if self._unwrapped[0] != value:
            found = self._unwrap(client, value)
            if found is None:  # perhaps a secret id that looks like a token
                self.advice = USED_UP
                return value
            self._unwrapped = value, found
        return self._unwrapped[1]

    def _unwrap(self, client: Any, token: str) -> str | None:
        """Return the wrapped secret id; None if the token is no wrapping token (any more)."""
        exceptions = import_optional("hvac", "vault").exceptions
        refused = (exceptions.InvalidRequest, exceptions.Forbidden, exceptions.InvalidPath)
        try:
            answer = client.adapter.post("/v1/sys/wrapping/lookup", json={"token": token})
            self._check_path(subtable(answer, "data").get("creation_path"))
            client.token = token
            answer = client.sys.unwrap()
        except refused:
            return None
        finally:
            client.token = ""
        found = subtable(answer, "data").get("secret_id")
        if not isinstance(found, str) or not found:
            raise CredentialsError(
                "the wrapped secret id has no field secret_id: create another one"
            )
        return found

    def _check_path(self, path: object) -> None:
        expected = re.compile(
            rf"(.+/)?auth/{re.escape(self._mount)}/role/[^/]+/(custom-)?secret-id"
        )
        if not isinstance(path, str) or not expected.fullmatch(path.strip("/")):
            raise CredentialsError(
                "the secret id is a wrapping token for something else than a secret id of"
                f" auth/{self._mount}: do not use it, and find out who replaced it; or correct"
                " credentials.vault_auth_mount"
            )
