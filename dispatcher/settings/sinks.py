"""``[[sinks]]``: where the lineage goes as it is written."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from dispatcher.settings.errors import WrongValueError
from dispatcher.settings.field_types import Alias, SettingsSection, Text, Texts, text_schema
from dispatcher.settings.source_kinds import DatabaseUrl, SnowflakeLoginSettings, TopicSettings


def _identifier(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_$]*", value):
        raise WrongValueError(
            f'is "{value}", which is no plain name of a table',
            "letters, digits and _; the section has database and schema_name",
        )
    return value


Identifier = Annotated[str, AfterValidator(_identifier), text_schema(r"^[A-Za-z_][A-Za-z0-9_$]*$")]
"""The name of a table that needs no quotes."""


class SinkSettings(SettingsSection):
    """What every kind of sink has; ``campaigns`` limits what goes out, empty: all."""

    name: Alias
    campaigns: Texts = ()


class LineageSinkSettings(SinkSettings):
    """What every sink of the lineage has."""

    flush_seconds: float = Field(default=5.0, ge=0.1, le=86_400)
    rows_per_range: int = Field(default=5000, ge=1, le=100_000)


class SqlSinkSettings(LineageSinkSettings):
    """Rows into a table of a SQL database."""

    kind: Literal["sql"]
    url: DatabaseUrl
    password_file: str = ""
    password_variable: str = ""
    table: Text = "dispatcher_lineage"
    cursor_table: Text = "dispatcher_sink"
    table_schema: str = ""
    create_tables: bool = True


class ObjectSinkSettings(LineageSinkSettings):
    """Objects below a prefix, one for each range."""

    kind: Literal["objects"]
    url: Text
    format: Literal["parquet", "jsonl"] = "parquet"
    endpoint: str = ""
    region: str = ""
    allow_http: bool = False


class SnowflakeSinkSettings(SnowflakeLoginSettings, LineageSinkSettings):
    """Rows into a table of Snowflake."""

    kind: Literal["snowflake"]
    flush_seconds: float = Field(default=60.0, ge=0.1, le=86_400)
    table: Identifier = "dispatcher_lineage"
    cursor_table: Identifier = "dispatcher_sink"
    create_tables: bool = True


class KafkaSinkSettings(LineageSinkSettings, TopicSettings):
    """Messages of a topic, one for each row."""

    kind: Literal["kafka"]
    idempotent: bool = True


def _web_address(url: str) -> str:
    if not url.startswith(("https://", "http://")) or "@" in url:
        raise WrongValueError(
            "is not a web address without a password", "for example https://hooks.example.com/ops"
        )
    return url


class WebhookSettings(SinkSettings):
    """A web server that gets notices, but no lineage; its password signs them."""

    kind: Literal["webhook"]
    url: Annotated[str, AfterValidator(_web_address)]
    password_file: str = ""
    password_variable: str = ""


SinkOfAKind = SqlSinkSettings | ObjectSinkSettings | KafkaSinkSettings | SnowflakeSinkSettings
AnySink = Annotated[SinkOfAKind | WebhookSettings, Field(discriminator="kind")]
SINK_KINDS: tuple[type[SinkSettings], ...] = (
    SqlSinkSettings,
    ObjectSinkSettings,
    KafkaSinkSettings,
    SnowflakeSinkSettings,
    WebhookSettings,
)
