"""The kinds of sources, and the section that each kind but files has below ``[source]``."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from dispatcher.settings.errors import WrongValueError
from dispatcher.settings.field_types import SettingsSection, Text

SourceKind = Literal["files", "objects", "sql", "snowflake", "kafka", "http"]
"""Where contacts are read from."""

SECTIONS = ("objects", "sql", "snowflake", "kafka", "http")
"""The kinds that have a section of their own, which is called as the kind."""

NEEDED_SECTIONS = ("sql", "snowflake", "kafka")
"""The kinds whose section has required keys."""

WITH_PATH = ("files", "objects")
"""The kinds that ``source.path`` names."""


_PASSWORD = re.compile(r"[^:]+://[^:/]*:[^@]*@|(?:password|passwd|pwd)(?:=|%3d)", re.IGNORECASE)
"""A password as SQLAlchemy reads it, also with slashes, or among the options of the driver."""


def _without_password(url: str) -> str:
    if _PASSWORD.search(url):
        raise WrongValueError(
            "has a password", "set password_file or password_variable, and remove it from the URL"
        )
    if not re.match(r"[\w+]+:/", url):
        raise WrongValueError(
            "is not a URL of SQLAlchemy", "for example postgresql+psycopg://user@host/database"
        )
    return url


def _servers(value: str) -> str:
    """Check a list of host:port, as Kafka's own clients take it."""
    if "@" in value:
        raise WrongValueError(
            "has a user name or a password",
            "set sasl_username and password_file or password_variable, and remove it here",
        )
    for server in value.split(","):
        host, _, port = server.strip().rpartition(":")
        if not host or "/" in host or not (port.isascii() and port.isdigit()):
            raise WrongValueError(
                f'has "{server.strip()}", which is not host:port',
                'for example "kafka-1.example.com:9092,kafka-2.example.com:9092"',
            )
    return value


Servers = Annotated[str, AfterValidator(_servers)]
DatabaseUrl = Annotated[str, AfterValidator(_without_password)]


class ObjectStoreSettings(SettingsSection):
    """How an object store is reached. Credentials come from the environment, not from here."""

    endpoint: str = ""
    region: str = ""
    anonymous: bool = False
    allow_http: bool = False
    virtual_hosted: bool = False


class SqlSettings(SettingsSection):
    """The query of a SQL database, and how the database is reached."""

    url: DatabaseUrl
    query: Text
    key: Text
    password_file: str = ""
    password_variable: str = ""
    page_rows: int = Field(default=1000, ge=10, le=100_000)
    timeout_seconds: float = Field(default=60.0, ge=1, le=86_400)


class SnowflakeLoginSettings(SettingsSection):
    """Who logs in to Snowflake, and where."""

    account: Text
    user: Text
    role: str = ""
    warehouse: str = ""
    database: Text
    schema_name: Text = "PUBLIC"
    private_key_file: str = ""
    passphrase_file: str = ""
    passphrase_variable: str = ""
    password_file: str = ""
    password_variable: str = ""
    host: str = ""
    port: int = Field(default=443, ge=1, le=65535)
    protocol: Literal["https", "http"] = "https"
    timeout_seconds: float = Field(default=600.0, ge=1, le=86_400)


class SnowflakeSettings(SnowflakeLoginSettings):
    """The query of Snowflake; without a key its result is read once, as it is."""

    query: Text
    key: str = ""
    page_rows: int = Field(default=10_000, ge=10, le=100_000)


class TopicSettings(SettingsSection):
    """The topic of a Kafka cluster, and how its brokers are reached."""

    bootstrap_servers: Servers
    topic: Text
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    sasl_username: str = ""
    password_file: str = ""
    password_variable: str = ""
    ssl_cafile: str = ""
    ssl_certfile: str = ""
    ssl_keyfile: str = ""
    timeout_seconds: float = Field(default=10.0, ge=1, le=600)


class KafkaSettings(TopicSettings):
    """The topic that contacts are read from."""

    start: Literal["earliest", "latest"] = "earliest"
    key_as_contact_key: bool = False
    generation: str = ""


class HttpSourceSettings(SettingsSection):
    """Where clients post contacts, and how much is accepted."""

    host: Text = "127.0.0.1"
    port: int = Field(default=8484, ge=0, le=65535)
    token_file: str = ""
    token_variable: str = ""
    most_waiting: int = Field(default=100_000, ge=1, le=100_000_000)
    most_rows: int = Field(default=1000, ge=1, le=10_000)
    most_bytes: int = Field(default=1 << 20, ge=1024, le=16 << 20)
