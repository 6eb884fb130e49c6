"""``[credentials]``: where the platform's credentials are kept. The secrets are no settings."""

import os
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from dispatcher.settings.errors import WrongValueError
from dispatcher.settings.field_types import Text, base_url
from dispatcher.settings.section import SettingsSection

Found = tuple[str, str, str]
"""A key of the section or a variable, what is wrong with it, and what to do."""

CLIENT_VARIABLES = ("DISPATCHER_CLIENT_ID", "DISPATCHER_CLIENT_SECRET")
JWT_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/token"
"""Where Kubernetes mounts the token of a pod's service account."""


def _address(value: str) -> str:
    return base_url(value) if value else value


def _slashes(value: str) -> str:
    return value.strip("/")


Address = Annotated[str, AfterValidator(_address)]
Inner = Annotated[str, AfterValidator(_slashes)]


class CredentialsSettings(SettingsSection):
    """Where credentials are kept, and how to get in there."""

    source: Literal["env", "file", "vault", "aws"] = "env"
    wait_seconds: float = Field(default=10.0, ge=0.05, le=600)
    client_id_file: str = ""
    client_secret_file: str = ""
    token_file: str = ""
    vault_address: Address = ""
    vault_namespace: str = ""
    vault_ca_bundle: str = ""
    vault_mount: Annotated[Text, AfterValidator(_slashes)] = "secret"
    vault_path: Inner = ""
    vault_auth: Literal["token", "approle", "kubernetes"] = "token"
    vault_auth_mount: Inner = ""
    vault_token_file: str = ""
    vault_role_id: str = ""
    vault_secret_id_file: str = ""
    vault_role: str = ""
    vault_jwt_file: Text = JWT_FILE
    aws_secret_id: str = ""
    aws_region: str = ""
    aws_endpoint_url: Address = ""
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
    """Say where a secret belongs that stands in the file."""
    return _SECRET_PLACES.get(
        name,
        "secrets are read from DISPATCHER_CLIENT_ID and DISPATCHER_CLIENT_SECRET, or from where"
        " [credentials] says; they never stand in this file",
    )


def mistakes(
    given: CredentialsSettings,
    env: Mapping[str, str],
    variables: tuple[str, str] = CLIENT_VARIABLES,
) -> Iterator[Found]:
    """Yield what is wrong with the section as a whole, and with what it needs around it.

    ``variables`` are those that a client's id and secret are read from.
    """
    yield from _strangers(given)
    match given.source:
        case "env":
            yield from _environment(env, variables)
        case "file":
            yield from _files(given)
        case "vault":
            yield from _vault(given, env)
        case "aws" if not given.aws_secret_id:
            yield "aws_secret_id", "is missing", "the name or the ARN of the secret"
    if given.source in ("vault", "aws"):
        yield from _far(given)


def _strangers(given: CredentialsSettings) -> Iterator[Found]:
    """Name keys that belong to another source, or to another way to log in."""
    for source, names in _OWN.items():
        if source != given.source:
            yield from _set(given, names, f'is for source = "{source}"', _hint(given))
    if given.source != "vault":
        return
    for auth, names in _LOGINS.items():
        if auth != given.vault_auth:
            hint = f'vault_auth is "{given.vault_auth}"'
            yield from _set(given, names, f'is for vault_auth = "{auth}"', hint)


def _hint(given: CredentialsSettings) -> str:
    return f'credentials.source is "{given.source}"; take it out, or change the source'


def _set(
    given: CredentialsSettings, names: tuple[str, ...], problem: str, hint: str
) -> Iterator[Found]:
    for name in names:
        if getattr(given, name) != CredentialsSettings.model_fields[name].default:
            yield name, problem, hint


def _environment(env: Mapping[str, str], variables: tuple[str, str]) -> Iterator[Found]:
    for name in variables:
        if not env.get(name, "").strip():
            yield name, "is not set", f"export {name}=... before the command"


def _files(given: CredentialsSettings) -> Iterator[Found]:
    pair = ("client_id_file", "client_secret_file")
    if given.token_file:
        together = "cannot stand beside token_file"
        yield from _set(given, pair, together, "a token needs no client id and secret")
        yield from _file(given, "token_file")
        return
    for name in pair:
        if getattr(given, name):
            yield from _file(given, name)
        else:
            yield name, "is missing", "a file each for id and secret, or token_file"


def _file(given: CredentialsSettings, name: str) -> Iterator[Found]:
    """Look at a file with a secret; an empty key is none."""
    path = getattr(given, name)
    if not path:
        return
    if Path(path).is_dir():
        yield name, f'is a folder: "{path}"', "name the file in it"
    elif not Path(path).exists():
        yield name, f'does not exist: "{path}"', "the secret is mounted there, or is it not?"
    elif not os.access(path, os.R_OK):
        yield name, f'cannot be read: "{path}"', "let the user of this process read it"
    elif Path(path).is_file() and not Path(path).stat().st_size:
        yield name, f'is empty: "{path}"', "the secret goes there, without anything else"


def _vault(given: CredentialsSettings, env: Mapping[str, str]) -> Iterator[Found]:
    if not given.vault_path:
        yield "vault_path", "is missing", 'vault_path = "dispatcher/platform"'
    yield from _vault_address(given, env)
    if given.vault_ca_bundle and not Path(given.vault_ca_bundle).is_file():
        yield "vault_ca_bundle", f'is no file: "{given.vault_ca_bundle}"', "PEM certificates"
    match given.vault_auth:
        case "token":
            yield from _secret(given, env, "VAULT_TOKEN", "vault_token_file")
        case "approle":
            if not given.vault_role_id:
                yield "vault_role_id", "is missing", "the role id of the AppRole"
            yield from _secret(given, env, "VAULT_SECRET_ID", "vault_secret_id_file")
        case "kubernetes":
            if not given.vault_role:
                yield "vault_role", "is missing", "the role of Vault's Kubernetes auth"
            yield from _file(given, "vault_jwt_file")


def _vault_address(given: CredentialsSettings, env: Mapping[str, str]) -> Iterator[Found]:
    told = env.get("VAULT_ADDR", "").strip()
    if given.vault_address:
        return
    if not told:
        hint = 'vault_address = "https://vault.example.com:8200", or the variable VAULT_ADDR'
        yield "vault_address", "is missing", hint
        return
    try:
        base_url(told)
    except WrongValueError as error:
        yield "VAULT_ADDR", str(error), error.hint


def _secret(
    given: CredentialsSettings, env: Mapping[str, str], variable: str, key: str
) -> Iterator[Found]:
    if getattr(given, key):
        yield from _file(given, key)
    elif not env.get(variable, "").strip():
        yield variable, "is not set", f"export {variable}=..., or set credentials.{key}"


def _far(given: CredentialsSettings) -> Iterator[Found]:
    """Look at what vault and aws have in common."""
    if not given.token_field and not (given.client_id_field and given.client_secret_field):
        hint = "client_id_field and client_secret_field, or token_field"
        yield "token_field", "is empty, and there are not both of the client's fields", hint
    name = _LIBRARIES[given.source]
    if not _installed(name):
        hint = f"pip install 'dispatcher[{given.source}]'"
        yield "source", f'"{given.source}" needs the library {name}', hint


def _installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False
