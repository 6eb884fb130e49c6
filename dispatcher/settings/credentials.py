"""``[credentials]``: where the platform's credentials are kept. Secrets are not settings."""

import os
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from dispatcher.settings.errors import MISSING, WrongValueError
from dispatcher.settings.field_types import BaseUrl, SettingsSection, Text, base_url

KeyFinding = tuple[str, str, str]
"""A key of the section or a variable, what is wrong with it, and what to do."""

CLIENT_VARIABLES = ("DISPATCHER_CLIENT_ID", "DISPATCHER_CLIENT_SECRET")
JWT_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/token"
"""Where Kubernetes mounts the token of a pod's service account."""


_WithoutSlashes = AfterValidator(lambda path: path.strip("/"))
VaultPath = Annotated[str, _WithoutSlashes]


class CredentialsSettings(SettingsSection):
    """Where credentials are kept, and how to log in there."""

    source: Literal["env", "file", "vault", "aws"] = "env"
    wait_seconds: float = Field(default=10.0, ge=0.05, le=600)
    client_id_file: str = ""
    client_secret_file: str = ""
    token_file: str = ""
    vault_address: BaseUrl = ""
    vault_namespace: str = ""
    vault_ca_bundle: str = ""
    vault_mount: Annotated[Text, _WithoutSlashes] = "secret"
    vault_path: VaultPath = ""
    vault_auth: Literal["token", "approle", "kubernetes"] = "token"
    vault_auth_mount: VaultPath = ""
    vault_token_file: str = ""
    vault_role_id: str = ""
    vault_secret_id_file: str = ""
    vault_role: str = ""
    vault_jwt_file: Text = JWT_FILE
    aws_secret_id: str = ""
    aws_region: str = ""
    aws_endpoint_url: BaseUrl = ""
    client_id_field: str = "client_id"
    client_secret_field: str = "client_secret"  # noqa: S105 - the name of a field
    token_field: str = "token"  # noqa: S105 - the same


_OWN = {
    "file": ("client_id_file", "client_secret_file", "token_file"),
    "vault": tuple(name for name in CredentialsSettings.model_fields if name.startswith("vault_")),
    "aws": tuple(name for name in CredentialsSettings.model_fields if name.startswith("aws_")),
}
_LOGINS = {
    "token": ("vault_token_file",),
    "approle": ("vault_role_id", "vault_secret_id_file"),
    "kubernetes": ("vault_role", "vault_jwt_file"),
}
_SECRET_PLACES = {
    "vault_token": "it is read from VAULT_TOKEN, or from the file credentials.vault_token_file",
    "vault_secret_id": "it is read from VAULT_SECRET_ID, or from credentials.vault_secret_id_file",
}
_LIBRARIES = {"vault": "hvac", "aws": "boto3"}


def secret_hint(name: str) -> str:
    """Return where a secret belongs that is set in the file."""
    return _SECRET_PLACES.get(
        name,
        "secrets are read from DISPATCHER_CLIENT_ID and DISPATCHER_CLIENT_SECRET, or from where"
        " [credentials] says; they are never written in this file",
    )


def find_problems(
    section: CredentialsSettings,
    env: Mapping[str, str],
    variables: tuple[str, str] = CLIENT_VARIABLES,
) -> Iterator[KeyFinding]:
    """Yield what is wrong with the section as a whole, and with the files and variables it needs.

    ``variables`` are the names of the variables of the client's id and secret.
    """
    yield from _keys_of_others(section)
    match section.source:
        case "env":
            for name in variables:
                if not env.get(name, "").strip():
                    yield name, "is not set", f"export {name}=... before the command"
        case "file":
            yield from _client_files(section)
        case "vault":
            yield from _vault(section, env)
        case "aws" if not section.aws_secret_id:
            yield "aws_secret_id", MISSING, "the name or the ARN of the secret"
    if section.source in ("vault", "aws"):
        yield from _remote_fields(section)


def _keys_of_others(section: CredentialsSettings) -> Iterator[KeyFinding]:
    """Find keys that belong to another source, or to another login method."""
    for source, names in _OWN.items():
        if source != section.source:
            hint = f'credentials.source is "{section.source}"; remove the key, or change the source'
            yield from _keys_set(section, names, f'is for source = "{source}"', hint)
    if section.source != "vault":
        return
    for auth, names in _LOGINS.items():
        if auth != section.vault_auth:
            hint = f'vault_auth is "{section.vault_auth}"'
            yield from _keys_set(section, names, f'is for vault_auth = "{auth}"', hint)


def _keys_set(
    section: CredentialsSettings, names: tuple[str, ...], problem: str, hint: str
) -> Iterator[KeyFinding]:
    """Report each of ``names`` that is not at its default."""
    for name in names:
        if getattr(section, name) != CredentialsSettings.model_fields[name].default:
            yield name, problem, hint


def _client_files(section: CredentialsSettings) -> Iterator[KeyFinding]:
    pair = ("client_id_file", "client_secret_file")
    if section.token_file:
        problem = "cannot be set together with token_file"
        yield from _keys_set(section, pair, problem, "a token needs no client id and secret")
        yield from _file(section, "token_file")
        return
    for name in pair:
        if getattr(section, name):
            yield from _file(section, name)
        else:
            yield name, MISSING, "a file each for id and secret, or token_file"


def _file(section: CredentialsSettings, name: str) -> Iterator[KeyFinding]:
    """Check the file of a secret, if the key is set."""
    path = getattr(section, name)
    if not path:
        return
    if Path(path).is_dir():
        yield name, f'is a folder: "{path}"', "name the file in it"
    elif not Path(path).exists():
        yield name, f'does not exist: "{path}"', "is the secret mounted there?"
    elif not os.access(path, os.R_OK):
        yield name, f'cannot be read: "{path}"', "let the user of this process read it"
    elif Path(path).is_file() and not Path(path).stat().st_size:
        yield name, f'is empty: "{path}"', "write the secret into it, and nothing else"


def _vault(section: CredentialsSettings, env: Mapping[str, str]) -> Iterator[KeyFinding]:
    if not section.vault_path:
        yield "vault_path", MISSING, 'vault_path = "dispatcher/platform"'
    yield from _vault_address(section, env)
    if section.vault_ca_bundle and not Path(section.vault_ca_bundle).is_file():
        yield "vault_ca_bundle", f'is not a file: "{section.vault_ca_bundle}"', "PEM certificates"
    match section.vault_auth:
        case "token":
            yield from _secret(section, env, "VAULT_TOKEN", "vault_token_file")
        case "approle":
            if not section.vault_role_id:
                yield "vault_role_id", MISSING, "the role id of the AppRole"
            yield from _secret(section, env, "VAULT_SECRET_ID", "vault_secret_id_file")
        case "kubernetes":
            if not section.vault_role:
                yield "vault_role", MISSING, "the role of Vault's Kubernetes auth"
            yield from _file(section, "vault_jwt_file")


def _vault_address(section: CredentialsSettings, env: Mapping[str, str]) -> Iterator[KeyFinding]:
    address = env.get("VAULT_ADDR", "").strip()
    if section.vault_address:
        return
    if not address:
        hint = 'vault_address = "https://vault.example.com:8200", or the variable VAULT_ADDR'
        yield "vault_address", MISSING, hint
        return
    try:
        base_url(address)
    except WrongValueError as error:
        yield "VAULT_ADDR", str(error), error.hint


def _secret(
    section: CredentialsSettings, env: Mapping[str, str], variable: str, key: str
) -> Iterator[KeyFinding]:
    if getattr(section, key):
        yield from _file(section, key)
    elif not env.get(variable, "").strip():
        yield variable, "is not set", f"export {variable}=..., or set credentials.{key}"


def _remote_fields(section: CredentialsSettings) -> Iterator[KeyFinding]:
    """Check what vault and aws have in common."""
    if not section.token_field and not (section.client_id_field and section.client_secret_field):
        hint = "client_id_field and client_secret_field, or token_field"
        yield "token_field", "is empty, and the client's two fields are not both set", hint
    name = _LIBRARIES[section.source]
    if not is_installed(name):
        hint = f"pip install 'dispatcher[{section.source}]'"
        yield "source", f'"{section.source}" needs the library {name}', hint


def is_installed(name: str) -> bool:
    """Return True if a library is installed; its parent packages are imported."""
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False
