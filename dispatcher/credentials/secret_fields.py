"""What a secret holds: an OAuth client's id and secret, or a bearer token."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from dispatcher.ports import BearerToken, ClientCredentials, Credentials, CredentialsError

SCOPE_FIELD, EXPIRES_FIELD = "scope", "expires_at"
"""Fields that may stand beside a bearer token: what it grants, and until when it lives."""


@dataclass(frozen=True, slots=True)
class SecretFields:
    """How a secret calls its parts; an empty name is a part that is not looked for."""

    client_id: str = "client_id"
    client_secret: str = "client_secret"  # noqa: S105 - the name of a field
    token: str = "token"  # noqa: S105 - the same


USUAL_FIELDS = SecretFields()


def credentials_of(secret: Mapping[str, object], fields: SecretFields, where: str) -> Credentials:
    """Read a secret's fields; ``where`` names for people where it is kept.

    Raises:
        CredentialsError: it holds neither a client nor a token, or both, or not as texts.

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
        return bearer(token, where, _scopes(secret, where), _expiry(secret, where))
    if client_id and client_secret:
        return ClientCredentials(client_id, client_secret, where)
    raise CredentialsError(
        f'{where} must have the fields {pair}, or "{fields.token}": write them there, or name'
        " its own with credentials.client_id_field, client_secret_field or token_field"
    )


def bearer(
    value: str, where: str, scopes: tuple[str, ...] | None = None, expires_at: float | None = None
) -> BearerToken:
    """Return a token that a header can carry.

    Raises:
        CredentialsError: it has signs that no header can carry.

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
    told = secret.get(SCOPE_FIELD)
    if told is None:
        return None
    if isinstance(told, str):
        return tuple(told.split())
    if isinstance(told, list) and all(isinstance(each, str) for each in told):
        return tuple(told)
    raise CredentialsError(f'{where}: the field "{SCOPE_FIELD}" must be a text or a list of texts')


def _expiry(secret: Mapping[str, object], where: str) -> float | None:
    told = secret.get(EXPIRES_FIELD)
    if told is None or told == "":
        return None
    try:
        if isinstance(told, str):
            return _moment(told)
        if isinstance(told, int | float) and not isinstance(told, bool):
            return float(told)
    except (ValueError, OverflowError):
        pass
    raise CredentialsError(
        f'{where}: the field "{EXPIRES_FIELD}" must be seconds since 1970, or a time such as'
        " 2026-11-22T10:00:00Z"
    )


def _moment(told: str) -> float:
    try:
        return float(told)
    except ValueError:
        moment = datetime.fromisoformat(told)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
