"""The kinds of sources, and the section that each kind but files has below ``[source]``."""

from typing import Literal

from pydantic import Field

from dispatcher.settings.field_types import SettingsSection, Text

SourceKind = Literal["files", "objects", "http"]
"""Where contacts are read from."""

SECTIONS = ("objects", "http")
"""The kinds that have a section of their own, which is called as the kind."""

PATH_KINDS = ("files", "objects")
"""The kinds that are read from ``source.path``."""

PATH_KEYS = (
    "path", "format", "watch", "poll_seconds", "stable_seconds", "delimiter", "max_record_lines",
    "header",
)  # fmt: skip
"""The keys of ``[source]`` that only these kinds have."""


class ObjectStoreSettings(SettingsSection):
    """How an object store is reached. Credentials come from the environment, not from here."""

    endpoint: str = ""
    region: str = ""
    anonymous: bool = False
    allow_http: bool = False
    virtual_hosted: bool = False


class HttpSourceSettings(SettingsSection):
    """Where clients post contacts, and how much is accepted."""

    host: Text = "127.0.0.1"
    port: int = Field(default=8484, ge=0, le=65535)
    token_file: str = ""
    token_variable: str = ""
    most_waiting: int = Field(default=100_000, ge=1, le=100_000_000)
    most_rows: int = Field(default=1000, ge=1, le=10_000)
    most_bytes: int = Field(default=1 << 20, ge=1024, le=16 << 20)
