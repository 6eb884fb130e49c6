"""Vault's auth methods: token, AppRole and Kubernetes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from dispatcher.credentials.file import read_secret
from dispatcher.credentials.optional_imports import import_optional
from dispatcher.credentials.vault_answers import subtable
from dispatcher.credentials.vault_wrapping import SecretIdReader
from dispatcher.ports import CredentialsError, CredentialsUnavailableError


@dataclass(frozen=True, slots=True)
class VaultLease:
    """A login: its token and its lifetime in seconds, 0 if it has no end or an unknown one."""

    token: str = field(repr=False)
    seconds: float = 0.0
    renewable: bool = False

    @classmethod
    def from_fields(cls, token: str, fields: Mapping[str, object], lifetime: str) -> "VaultLease":
        """Return the lease in an answer's fields; ``lifetime`` names the field with seconds."""
        value = fields.get(lifetime)
        seconds = float(value) if isinstance(value, int | float) and value > 0 else 0.0
        return cls(token, seconds, renewable=fields.get("renewable") is True)


class VaultAuth(Protocol):
    """An auth method. ``client`` is of hvac; a login blocks, and may raise the errors of hvac."""

    @property
    def advice(self) -> str:
        """What to check when Vault refuses the login."""
        ...

    def log_in(self, client: Any) -> VaultLease:
        """Log in, and return the lease."""
        ...


def read_env_or_file(env: Mapping[str, str], variable: str, path: str, key: str) -> str:
    """Return the content of the file at ``path``; without a path the value of ``variable``."""
    if path:
        return read_secret(Path(path), f"credentials.{key}")
    value = env.get(variable, "").strip()
    if not value:
        raise CredentialsError(f"{variable} is not set: export it, or set credentials.{key}")
    return value


class TokenAuth:
    """A token that was issued elsewhere; Vault Agent keeps a file with one up to date."""

    advice = "the token of VAULT_TOKEN or credentials.vault_token_file has expired or is wrong"

    def __init__(self, token: Callable[[], str]) -> None:
        self._token = token

    def log_in(self, client: Any) -> VaultLease:
        """See `VaultAuth.log_in`. A token without the right of lookup may still read a secret."""
        client.token = token = self._token()
        exceptions = import_optional("hvac", "vault").exceptions
        try:
            answer = client.auth.token.lookup_self()
        except (exceptions.Forbidden, exceptions.InvalidPath):
            return VaultLease(token)
        return VaultLease.from_fields(token, subtable(answer, "data"), "ttl")


class RoleAuth:
    """A role and its secret: of an AppRole, or of a Kubernetes service account.

    ``method`` is the name of the auth method. ``secret`` returns the secret id, which may be
    wrapped, or the token of the pod's service account, which Kubernetes replaces from time to time.
    """

    def __init__(
        self,
        method: Literal["approle", "kubernetes"],
        role: str,
        secret: Callable[[], str],
        mount: str,
    ) -> None:
        self._method: Literal["approle", "kubernetes"] = method
        self._role = role
        self._secret = secret
        self._wrapped = SecretIdReader(secret, mount)
        self._mount = mount

    @property
    def advice(self) -> str:
        """See `VaultAuth.advice`."""
        return self._wrapped.advice or _ROLE_ADVICE[self._method]

    def log_in(self, client: Any) -> VaultLease:
        """See `VaultAuth.log_in`."""
        client.token = ""
        is_approle = self._method == "approle"
        secret = self._wrapped.secret_id(client) if is_approle else self._secret()
        login = getattr(client.auth, self._method).login
        answer = login(self._role, secret, use_token=False, mount_point=self._mount)
        auth = subtable(answer, "auth")
        token = auth.get("client_token")
        if not isinstance(token, str):
            raise CredentialsUnavailableError(
                "Vault accepted the login without a token: see its log"
            )
        return VaultLease.from_fields(token, auth, "lease_duration")


_ROLE_ADVICE = {
    "approle": (
        "check credentials.vault_role_id, the secret id (VAULT_SECRET_ID or"
        " credentials.vault_secret_id_file) and credentials.vault_auth_mount"
    ),
    "kubernetes": (
        "check credentials.vault_role, the service account and credentials.vault_auth_mount"
    ),
}
