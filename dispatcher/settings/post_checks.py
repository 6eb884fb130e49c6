"""Checks of ``[source]`` for contacts that are posted over HTTP."""

import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from dispatcher.domain.loopback import is_loopback
from dispatcher.settings.cross_checks import Check, Finding
from dispatcher.settings.model import Settings, SourceSettings

_OF_FILES = (
    "format", "watch", "poll_seconds", "stable_seconds", "delimiter", "max_record_lines", "header",
)  # fmt: skip
"""Keys of ``[source]`` that mean nothing for posts."""


def _of_files(s: Settings, key: str) -> Finding | None:
    """Report a key that posts do not have."""
    default = SourceSettings.model_fields[key].default
    if s.source.kind != "http" or getattr(s.source, key) == default:
        return None
    return "is for files", 'source.kind is "http"; remove the key'


def _token(s: Settings) -> Finding | None:
    http = s.source.posts
    if s.source.kind != "http":
        return None
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


def token_file_problem(path: str) -> Finding | None:
    """Report a file with a token that cannot be used; empty is none."""
    hint = "a file with the token that clients must have, and nothing else"
    if not path:
        return None
    if not Path(path).is_file():
        return f'is not a file: "{path}"', hint
    if not os.access(path, os.R_OK):
        return f'cannot be read: "{path}"', hint
    return None if Path(path).stat().st_size else (f'is empty: "{path}"', hint)


def missing_variables(settings: Settings, env: Mapping[str, str]) -> Iterator[str]:
    """Yield the variables that a campaign's source needs and that are not set."""
    variable = settings.source.posts.token_variable
    if variable and not env.get(variable, "").strip():
        yield variable


POSTS = (
    *(Check((f"source.{key}", "source.kind"), partial(_of_files, key=key)) for key in _OF_FILES),
    Check(
        ("source.http.token_file", "source.http.host", "source.http.token_variable", "source.kind"),
        _token,
    ),
)
"""Settings of ``[source]`` that posts do not have, and those of the port."""

POST_FILES = (
    Check(
        ("source.http.token_file", "source.kind"),
        lambda s: token_file_problem(s.source.posts.token_file),
    ),
)
"""Files that posts need."""
