"""The fields of a secret: an OAuth client's id and secret, or a bearer token."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from dispatcher.ports import BearerToken, ClientCredentials, Credentials, CredentialsError

SCOPE_FIELD, EXPIRES_FIELD = "scope", "expires_at"
"""Optional fields beside a bearer token: what it grants, and when it expires."""


@dataclass(frozen=True, slots=True)
class SecretFields:
    """The names of a secret's fields; a field with an empty name is ignored."""

    client_id: str = "client_id"
    client_secret: str = "client_secret"  # noqa: S105 - the name of a field
    token: str = "token"  # noqa: S105 - the name of a field


USUAL_FIELDS = SecretFields()


def parse_secret(secret: Mapping[str, object], fields: SecretFields, where: str) -> Credentials:
    """Return the credentials of a secret; ``where`` names its place in messages.

    Raises:
        CredentialsError: it has neither a client nor a token, or both, or a field of a wrong type.

    """
    token, client_id, client_secret = (
        _text(secret, name, where)
        for name in (fields.token, fields.client_id, fields.client_secret)
    )
    pair = f'"{fields.client_id}" and "{fields.client_secret}"'
    if token and client_id and client_secret:
        raise CredentialsError(
            f'{where} has "{fields.token}" as well as {pair}: take one of them out, or set'
            ' credentials.token_field = "" to use the client'
        )
    if token:
        return make_bearer_token(token, where, _scopes(secret, where), _expiry(secret, where))
    if client_id and client_secret:
        return ClientCredentials(client_id, client_secret, where)
    raise CredentialsError(
        f'{where} must have the fields {pair}, or "{fields.token}": write them there, or name'
        " its own with credentials.client_id_field, client_secret_field or token_field"
    )


def make_bearer_token(
    value: str, where: str, scopes: tuple[str, ...] | None = None, expires_at: float | None = None
) -> BearerToken:
    """Return the token of an ``Authorization`` header.

    Raises:
        CredentialsError: it has characters that no header can contain.

    """
    if not value.isascii() or not value.isprintable() or " " in value:
        raise CredentialsError(f"{where}: the token must be one word of ASCII characters")
    return BearerToken(value, scopes, expires_at, where)


def _text(secret: Mapping[str, object], name: str, where: str) -> str:
    value = secret.get(name, "") if name else ""
    if not isinstance(value, str):
        raise CredentialsError(f'{where}: the field "{name}" must be a text')
    return value.strip()


def _scopes(secret: Mapping[str, object], where: str) -> tuple[str, ...] | None:
    value = secret.get(SCOPE_FIELD)
    if value is None:
        return None
    if isinstance(value, str):
        return tuple(value.split())
    if isinstance(value, list) and all(isinstance(scope, str) for scope in value):
        return tuple(value)
    raise CredentialsError(f'{where}: the field "{SCOPE_FIELD}" must be a text or a list of texts')


def _expiry(secret: Mapping[str, object], where: str) -> float | None:
    value = secret.get(EXPIRES_FIELD)
    if value is None or value == "":
        return None
    try:
        if isinstance(value, str):
            return _parse_time(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    except (ValueError, OverflowError):
        pass
    raise CredentialsError(
        f'{where}: the field "{EXPIRES_FIELD}" must be seconds since 1970, or a time such as'
        " 2026-11-22T10:00:00Z"
    )


def _parse_time(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        time = datetime.fromisoformat(text)
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
