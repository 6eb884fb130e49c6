"""The ways to log in to Vault, each by what a company already has."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from dispatcher.credentials.file import secret_of
from dispatcher.ports import CredentialsError, CredentialsUnavailableError


@dataclass(frozen=True, slots=True)
class VaultLease:
    """A login: its token, and the seconds that it lives; 0 where it has no end, or none known."""

    token: str = field(repr=False)
    seconds: float
    renewable: bool


class VaultAuth(Protocol):
    """One way to log in. ``client`` is hvac's; every call blocks and may raise what hvac raises."""

    advice: str
    """What to check when Vault refuses the login."""

    def log_in(self, client: Any) -> VaultLease:
        """Log in anew."""
        ...


def from_env_or_file(value: str, variable: str, path: str, key: str) -> Callable[[], str]:
    """Return what reads a secret: its file, if there is one, anew each time; else ``value``."""

    def read() -> str:
        if path:
            return secret_of(Path(path), f"credentials.{key}")
        if not value:
            raise CredentialsError(f"{variable} is not set: export it, or set credentials.{key}")
        return value

    return read


class TokenAuth:
    """A token that somebody else made; a file with one is what Vault Agent keeps fresh."""

    advice = "the token of VAULT_TOKEN or credentials.vault_token_file has expired or is wrong"

    def __init__(self, token: Callable[[], str]) -> None:
        self._token = token

    def log_in(self, client: Any) -> VaultLease:
        """See `Login.log_in`. A token that may not look itself up may still read the secret."""
        client.token = token = self._token()
        exceptions = _exceptions()
        try:
            answer = client.auth.token.lookup_self()
        except (exceptions.Forbidden, exceptions.InvalidPath):
            return VaultLease(token, 0.0, renewable=False)
        known = part(answer, "data")
        return VaultLease(
            token, seconds(known.get("ttl")), renewable=known.get("renewable") is True
        )


class AppRoleAuth:
    """A role id of the settings, and a secret id."""

    advice = (
        "check credentials.vault_role_id, the secret id (VAULT_SECRET_ID or"
        " credentials.vault_secret_id_file) and credentials.vault_auth_mount"
    )

    def __init__(self, role_id: str, secret_id: Callable[[], str], mount: str) -> None:
        self._role_id = role_id
        self._secret_id = secret_id
        self._mount = mount

    def log_in(self, client: Any) -> VaultLease:
        """See `Login.log_in`."""
        client.token = ""
        return _lease(
            client.auth.approle.login(
                self._role_id, self._secret_id(), use_token=False, mount_point=self._mount
            )
        )


class KubernetesAuth:
    """The token of the pod's service account, which Kubernetes replaces from time to time."""

    advice = "check credentials.vault_role, the service account and credentials.vault_auth_mount"

    def __init__(self, role: str, jwt_file: str, mount: str) -> None:
        self._role = role
        self._jwt_file = jwt_file
        self._mount = mount

    def log_in(self, client: Any) -> VaultLease:
        """See `Login.log_in`."""
        client.token = ""
        jwt = secret_of(Path(self._jwt_file), "credentials.vault_jwt_file")
        login = client.auth.kubernetes.login
        return _lease(login(self._role, jwt, use_token=False, mount_point=self._mount))


def part(answer: object, name: str) -> dict[str, Any]:
    """Return a table of Vault's answer.

    Raises:
        CredentialsUnavailableError: what answered is not Vault, or not in order.

    """
    found = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(found, dict):
        raise CredentialsUnavailableError(
            "what answers at the address of Vault does not speak its API: check"
            " credentials.vault_address or VAULT_ADDR, and what stands in between"
        )
    return found


def seconds(told: object) -> float:
    """Read how long something lives; 0 if nothing is told."""
    return float(told) if isinstance(told, int | float) and told > 0 else 0.0


def _lease(answer: object) -> VaultLease:
    auth = part(answer, "auth")
    token = auth.get("client_token")
    if not isinstance(token, str):
        raise CredentialsUnavailableError("Vault let us log in and gave no token: look at its log")
    renewable = auth.get("renewable") is True
    return VaultLease(token, seconds(auth.get("lease_duration")), renewable=renewable)


def _exceptions() -> Any:
    import hvac.exceptions  # noqa: PLC0415 - an extra, here only where it is in use already

    return hvac.exceptions
