"""Checks of ``[ledger]``: a file or a database, and what a database needs."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from dispatcher.settings.credentials import is_installed
from dispatcher.settings.cross_checks import Check, Finding
from dispatcher.settings.key_paths import KeyPath
from dispatcher.settings.layers import Layers
from dispatcher.settings.ledger import (
    OF_A_FILE,
    OF_A_SERVER,
    SERVER_URL,
    LedgerSettings,
    user_of,
)
from dispatcher.settings.model import Settings
from dispatcher.settings.value_sources import ENVIRONMENT, SET

DRIVER = "psycopg"
"""What the extra ``postgres`` installs for the ledger."""


def choose_ledger(layers: Layers, flags: Mapping[str, object]) -> None:
    """Remove the keys that do not belong to the ledger that ``--ledger`` names.

    These are those of the other kind, and the password in the configuration if its user is another
    one. A password of the environment stays.
    """
    others: tuple[str, ...] = ()
    if (url := flags.get("ledger.url")) is not None:
        others = (*OF_A_FILE, *_passwords_of_others(layers, str(url)))
    elif flags.get("ledger.path") is not None:
        others = ("url", *OF_A_SERVER)
    for key in others:
        layers.pop(("ledger", key))


def _passwords_of_others(layers: Layers, url: str) -> Iterator[str]:
    configured = layers.values.get(("ledger", "url"))
    if isinstance(configured, str) and user_of(configured) != user_of(url):
        for key in ("password_file", "password_variable"):
            if layers.origins.get(("ledger", key)) not in (None, ENVIRONMENT, SET):
                yield key


def ledger_flag(ledger: str | None) -> dict[str, object]:
    """Return the key that ``--ledger`` sets, with its value."""
    is_server = ledger is not None and SERVER_URL.match(ledger) is not None
    return {"ledger.url" if is_server else "ledger.path": ledger}


def find(layers: Layers) -> Iterator[tuple[KeyPath, str, str]]:
    """Yield the keys of ``[ledger]`` that are set and do not belong to its kind."""
    if layers.values.get(("ledger", "url")):
        if ("ledger", "path") in layers.origins:
            problem = "is set together with ledger.url, which names a database"
            yield ("ledger", "path"), problem, "a ledger is a file or a database; keep one"
        return
    for key in OF_A_SERVER:
        default = LedgerSettings.model_fields[key].default
        if layers.values.get(("ledger", key), default) != default:
            hint = "delete it, or set ledger.url"
            yield ("ledger", key), "is only for a ledger in a database", hint


def _password(s: Settings) -> Finding | None:
    if s.ledger.password_file and s.ledger.password_variable:
        return "is set together with ledger.password_variable", "keep one of the two"
    return None


def _driver(s: Settings) -> Finding | None:
    if not s.ledger.url or is_installed(DRIVER):
        return None
    return f"needs the library {DRIVER}", "pip install 'dispatcher[postgres]'"


def _password_file(s: Settings) -> Finding | None:
    path = s.ledger.password_file
    hint = "a file with the password of the database's user, and nothing else"
    if not path:
        return None
    if not Path(path).is_file():
        return f'is not a file: "{path}"', hint
    return None if os.access(path, os.R_OK) else (f'cannot be read: "{path}"', hint)


DATABASE = (
    Check(("ledger.password_file", "ledger.password_variable"), _password),
    Check(("ledger.url",), _driver),
)
"""What a ledger in a database needs."""

DATABASE_FILES = (Check(("ledger.password_file",), _password_file),)
"""Files that a ledger in a database needs."""
