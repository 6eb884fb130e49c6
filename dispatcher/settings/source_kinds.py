"""``source.kind``: the sections and keys that only one kind of source has."""

from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import Field

from dispatcher.settings.field_types import SettingsSection, Text, is_loopback

SourceKind = Literal["files", "http"]

FILE_KEYS = (
    "path", "format", "watch", "poll_seconds", "stable_seconds", "delimiter", "max_record_lines",
    "header",
)  # fmt: skip
"""The keys of ``[source]`` that only files have."""


class HttpSourceSettings(SettingsSection):
    """``[source.http]``: where clients post contacts, and how many are accepted."""

    host: Text = "127.0.0.1"
    port: int = Field(default=8484, ge=0, le=65535)
    token_file: str = ""
    token_variable: str = ""
    most_waiting: int = Field(default=100_000, ge=1, le=100_000_000)
    most_rows: int = Field(default=1000, ge=1, le=10_000)
    most_bytes: int = Field(default=1 << 20, ge=1024, le=16 << 20)


def token_finding(http: HttpSourceSettings) -> tuple[str, str] | None:
    """Return what is wrong with where the token is kept, and a hint; None if nothing is."""
    if http.token_file and http.token_variable:
        return "and source.http.token_variable are both set", "remove one of the two"
    if http.token_file or http.token_variable or is_loopback(http.host):
        return None
    problem = (
        f'is empty, and source.http.host "{http.host}" is not loopback: everybody who reaches the '
        "port could send messages"
    )
    hint = "name a file with the token that clients must have, or set source.http.token_variable"
    return problem, hint


def missing_variables(http: HttpSourceSettings, env: Mapping[str, str]) -> Iterator[str]:
    """Yield the variables that the section names and that are not set."""
    if http.token_variable and not env.get(http.token_variable, "").strip():
        yield http.token_variable
