"""Who logs in to Snowflake, where, and with what."""

from dataclasses import dataclass, field
from typing import Any

_LOGIN_SECONDS = 10
_NETWORK_SECONDS = 15
"""How long the connector repeats a request that fails; one that is still answered goes on."""


@dataclass(frozen=True, slots=True)
class SnowflakeLogin:
    """A user of an account, and what its sessions begin with.

    Either ``private_key_file`` (PEM, perhaps with a ``passphrase``) or ``password`` is set; a
    programmatic access token is a password. ``host``, ``port`` and ``protocol`` are only for a
    server that is not the account's own. ``timeout_seconds`` limits each statement.
    """

    account: str
    user: str
    role: str = ""
    warehouse: str = ""
    database: str = ""
    schema: str = ""
    private_key_file: str = ""
    passphrase: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    host: str = ""
    port: int = 443
    protocol: str = "https"
    timeout_seconds: float = 600.0

    @property
    def place(self) -> str:
        """The database and the schema, for people."""
        return ".".join(part for part in (self.database, self.schema) if part)

    def hidden(self, text: str) -> str:
        """Return a text without the secrets."""
        for secret in (self.passphrase, self.password):
            text = text.replace(secret, "***") if secret else text
        return text

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the connector's ``connect``."""
        names = ("account", "user", "role", "warehouse", "database", "schema")
        server = ("host", "port", "protocol") if self.host else ()
        values = {name: getattr(self, name) for name in (*names, *server)}
        return {
            **{name: value for name, value in values.items() if value},
            **self._proof(),
            "application": "dispatcher",
            "client_prefetch_threads": 1,
            "login_timeout": _LOGIN_SECONDS,
            "network_timeout": int(min(_NETWORK_SECONDS, max(1, self.timeout_seconds))),
            "paramstyle": "qmark",
            "session_parameters": {
                "CLIENT_OUT_OF_BAND_TELEMETRY_ENABLED": False,
                "CLIENT_TELEMETRY_ENABLED": False,
                "QUERY_TAG": "dispatcher",
                "STATEMENT_TIMEOUT_IN_SECONDS": int(self.timeout_seconds),
                "TIMEZONE": "UTC",
            },
        }

    def _proof(self) -> dict[str, Any]:
        if not self.private_key_file:
            return {"password": self.password}
        passphrase = {"private_key_file_pwd": self.passphrase} if self.passphrase else {}
        key = {"authenticator": "SNOWFLAKE_JWT", "private_key_file": self.private_key_file}
        return {**key, **passphrase}
