"""What an error of Snowflake's connector means: away for now, or for a person to mend."""

from typing import Any

from dispatcher.domain.errors import DispatcherError, ExitCode

_AWAY = frozenset({
    "BadGatewayError", "GatewayTimeoutError", "InternalServerError", "OperationalError",
    "OtherHTTPRetryableError", "RequestTimeoutError", "ServiceUnavailableError", "TooManyRequests",
})  # fmt: skip
"""The connector's classes for a server that does not answer, or not now."""
_SESSION_ENDED = frozenset({
    250002, 290401, 390104, 390108, 390110, 390111, 390112, 390114, 390115, 390195,
})  # fmt: skip
"""Codes after which a new login goes on."""
_LOCKED = frozenset({603, 604, 625})
"""Codes of a statement that was ended by the server, or waited too long for a lock."""

_ROLE = "check role: GRANT ROLE it to the user"
_WAREHOUSE = (
    "check warehouse: it must exist, GRANT USAGE ON WAREHOUSE to the role, and let it resume "
    "(AUTO_RESUME = TRUE), or resume it: ALTER WAREHOUSE ... RESUME"
)
_OBJECT = (
    "check database, schema and the names in the query; the role needs USAGE on the database and "
    "on the schema, and SELECT on the table"
)
_LOGIN = "check account (ORGANISATION-ACCOUNT, without .snowflakecomputing.com) and the network"
_HINTS = {
    250001: _LOGIN,
    290403: _LOGIN,
    290404: _LOGIN,
    606: _WAREHOUSE,
    607: _WAREHOUSE,
    90073: _WAREHOUSE + "; a resource monitor may have suspended it",
    390100: "check user, and the password",
    390144: (
        "check user and private_key_file: its public key must be that of the user (ALTER USER ... "
        "SET RSA_PUBLIC_KEY), and the clock of this machine must be right"
    ),
    390189: _ROLE,
    390186: _ROLE,
    390201: _OBJECT,
    390202: "check the authenticator of the user",
    390422: "a network policy of the account does not admit this address",
    630: "the statement took longer than timeout_seconds: make it faster, or the limit longer",
    904: "the query names a column that does not exist",
    1003: "the query is not valid SQL",
    2003: _OBJECT,
    2043: _OBJECT,
    3001: "the role lacks a privilege: docs/sources.md and docs/sinks.md have the GRANTs",
    90105: "set database and schema",
    90106: "set schema",
}


class SnowflakeError(DispatcherError):
    """Snowflake does not do what was asked; the message has the reason and what to do.

    ``is_away`` is true if the same may be accepted later. ``code`` is Snowflake's, 0 if it has
    none.
    """

    exit_code = ExitCode.SOURCE

    def __init__(self, reason: str, *, is_away: bool = False, code: int = 0) -> None:
        super().__init__(reason)
        self.is_away = is_away
        self.code = code


def describe(error: Any) -> SnowflakeError:
    """Return an error of the connector in our words."""
    code = _code(error)
    reason = " ".join(str(error.msg or type(error).__name__).split())[:300]
    if code in _SESSION_ENDED or code in _LOCKED or _is_away(error):
        return SnowflakeError(f"does not answer: {reason}", is_away=True, code=code)
    hint = _LOGIN if type(error).__name__ == "ForbiddenError" else _HINTS.get(code)
    return SnowflakeError(f"refuses: {reason}" + (f"; {hint}" if hint else ""), code=code)


def describe_key(error: Exception) -> SnowflakeError:
    """Return why the private key cannot be used. The library's words are not shown."""
    if isinstance(error, OSError):
        return SnowflakeError(
            f"private_key_file: cannot be read ({error.strerror}); name a file that this user reads"
        )
    return SnowflakeError(
        "private_key_file: is not a private key in PEM (PKCS#8), or its passphrase is wrong or "
        "missing (passphrase_file, passphrase_variable)"
    )


def _is_away(error: Any) -> bool:
    return any(kind.__name__ in _AWAY for kind in type(error).__mro__)


def _code(error: Any) -> int:
    try:
        return int(error.errno)
    except (TypeError, ValueError):
        return 0
