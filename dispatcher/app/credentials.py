"""Builds the source of credentials that ``[credentials]`` describes."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import structlog
from pydantic import SecretStr

from dispatcher.credentials.aws import AwsCredentialSource, AwsOptions
from dispatcher.credentials.env import CLIENT_ID, CLIENT_SECRET, EnvCredentialSource
from dispatcher.credentials.file import FileCredentialSource
from dispatcher.credentials.secret_fields import SecretFields
from dispatcher.credentials.vault import VaultCredentialSource, VaultOptions
from dispatcher.credentials.vault_auth import (
    RoleAuth,
    TokenAuth,
    VaultAuth,
    read_env_or_file,
)
from dispatcher.ports import Clock, CredentialSource
from dispatcher.settings import CredentialsSettings


def make_credentials(
    section: CredentialsSettings,
    stack: AsyncExitStack,
    environment: Mapping[str, SecretStr],
    clock: Clock,
    names: tuple[str, str] = (CLIENT_ID, CLIENT_SECRET),
) -> CredentialSource:
    """Return the source of credentials; the stack closes it.

    ``environment`` has the variables that a source may read; ``names`` are the variables of the
    id and the secret.
    """
    env = {name: value.get_secret_value() for name, value in environment.items()}
    match section.source:
        case "env":
            return EnvCredentialSource(env, names)
        case "file":
            return FileCredentialSource(_files(section), section.wait_seconds)
        case "vault":
            options, login = _vault_options(section, env), _login(section, env)
            vault = VaultCredentialSource(options, login, clock, _warn)
            stack.push_async_callback(vault.close)
            return vault
        case "aws":
            aws = AwsCredentialSource(
                AwsOptions(
                    secret_id=section.aws_secret_id,
                    region=section.aws_region,
                    endpoint_url=section.aws_endpoint_url,
                    timeout=section.wait_seconds,
                    fields=_fields(section),
                ),
                clock,
            )
            stack.push_async_callback(aws.close)
            return aws


def _warn(words: str) -> None:
    structlog.get_logger().warning("credentials.login_not_renewed", detail=words)


def _files(section: CredentialsSettings) -> dict[str, Path]:
    names = ("client_id_file", "client_secret_file", "token_file")
    return {name: Path(getattr(section, name)) for name in names if getattr(section, name)}


def _fields(section: CredentialsSettings) -> SecretFields:
    return SecretFields(section.client_id_field, section.client_secret_field, section.token_field)


def _vault_options(section: CredentialsSettings, env: Mapping[str, str]) -> VaultOptions:
    address = section.vault_address or env.get("VAULT_ADDR", "").strip()
    return VaultOptions(
        address=address.rstrip("/"),
        mount=section.vault_mount,
        path=section.vault_path,
        namespace=section.vault_namespace or env.get("VAULT_NAMESPACE", "").strip(),
        ca_bundle=section.vault_ca_bundle,
        timeout=section.wait_seconds,
        fields=_fields(section),
    )


def _login(section: CredentialsSettings, env: Mapping[str, str]) -> VaultAuth:
    mount = section.vault_auth_mount or section.vault_auth
    match section.vault_auth:
        case "token":
            key, path = "vault_token_file", section.vault_token_file
            return TokenAuth(partial(read_env_or_file, env, "VAULT_TOKEN", path, key))
        case "approle":
            key, path = "vault_secret_id_file", section.vault_secret_id_file
            secret_id = partial(read_env_or_file, env, "VAULT_SECRET_ID", path, key)
            return RoleAuth("approle", section.vault_role_id, secret_id, mount)
        case "kubernetes":
            jwt = partial(read_env_or_file, env, "", section.vault_jwt_file, "vault_jwt_file")
            return RoleAuth("kubernetes", section.vault_role, jwt, mount)
