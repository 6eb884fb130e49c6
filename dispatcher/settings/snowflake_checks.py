"""Checks of ``[source.snowflake]``: the login, its files, and what a result permits."""

from functools import partial
from pathlib import Path

from dispatcher.settings.cross_checks import Check, Finding
from dispatcher.settings.model import Settings
from dispatcher.settings.source_kinds import SnowflakeLoginSettings

_SECRETS = ("passphrase", "password")
_FILES = ("private_key_file", "passphrase_file", "password_file")


def find_login(section: SnowflakeLoginSettings) -> dict[str, Finding]:
    """Return what is wrong with a login, by its keys."""
    found: dict[str, Finding] = {}
    if not (section.private_key_file or section.password_file or section.password_variable):
        found["private_key_file"] = (
            "is empty, and so are password_file and password_variable",
            "name the file of the private key",
        )
    for name in _SECRETS:
        if getattr(section, f"{name}_file") and getattr(section, f"{name}_variable"):
            problem = f"is set together with {name}_variable"
            found[f"{name}_file"] = problem, "keep one of the two"
    if section.private_key_file and (section.password_file or section.password_variable):
        key = "password_file" if section.password_file else "password_variable"
        found[key] = "is set together with private_key_file", "keep one of the two"
    if not section.private_key_file and (section.passphrase_file or section.passphrase_variable):
        key = "passphrase_file" if section.passphrase_file else "passphrase_variable"
        found[key] = "is set without private_key_file", "set both"
    return found


def find_files(section: SnowflakeLoginSettings) -> dict[str, Finding]:
    """Return which files of a login are missing, by their keys."""
    paths = {key: getattr(section, key) for key in _FILES}
    return {
        key: (f'is not a file: "{path}"', "")
        for key, path in paths.items()
        if path and not Path(path).is_file()
    }


def _login(s: Settings, key: str) -> Finding | None:
    section = s.source.snowflake
    return None if section is None else find_login(section).get(key)


def _file(s: Settings, key: str) -> Finding | None:
    section = s.source.snowflake
    return None if section is None else find_files(section).get(key)


def _watch(s: Settings) -> Finding | None:
    if s.source.snowflake is None or s.source.snowflake.key or not s.source.watch:
        return None
    problem = "is true, and source.snowflake.key is empty: the query is executed once"
    return problem, "set the key by which new rows are found, or watch = false"


_KEYS = (*_FILES, "passphrase_variable", "password_variable")
SNOWFLAKE = (
    *(Check((f"source.snowflake.{key}",), partial(_login, key=key)) for key in _KEYS),
    Check(("source.watch", "source.snowflake.key"), _watch),
)
"""Settings of a query in Snowflake that depend on each other."""

SNOWFLAKE_FILES = tuple(
    Check((f"source.snowflake.{key}",), partial(_file, key=key)) for key in _FILES
)
"""Files of its login."""
