"""Which keys exist, what they accept, and which one an unknown key probably means."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from dispatcher.settings.credentials import CredentialsSettings, secret_hint
from dispatcher.settings.field_types import SettingsSection
from dispatcher.settings.model import (
    CAMPAIGN_SECTIONS,
    SECRETS,
    CampaignSettings,
    ClientSettings,
    Settings,
)
from dispatcher.settings.sinks import SINK_KINDS

KeyPath = tuple[str, ...]
"""A key in its parts: ("platform", "base_url"); tables of columns have a third part.

Keys of ``[[campaigns]]`` and ``[[clients]]`` have one more in front, which counts from 1:
("campaigns[1]", "name").
"""

CAMPAIGNS = "campaigns"
"""The key that is a list of campaigns."""
CLIENTS = "clients"
"""The key that is a list of OAuth clients."""
SINKS = "sinks"
"""The key that is a list of sinks."""
LIST_KEYS = (CAMPAIGNS, CLIENTS, SINKS)
"""The keys that are lists of tables."""
_ITEM = re.compile(rf"({'|'.join(LIST_KEYS)})\[([1-9][0-9]*)\]")


@cache
def known() -> dict[KeyPath, FieldInfo]:
    """Return every key that can be set, except those inside lists."""
    keys: dict[KeyPath, FieldInfo] = {}
    for name, field in Settings.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, SettingsSection):
            keys.update(_keys_in((name,), kind))
        elif name not in (*SECRETS, *LIST_KEYS):
            keys[name,] = field
    return keys


def _keys_in(path: KeyPath, section: type[SettingsSection]) -> Iterator[tuple[KeyPath, FieldInfo]]:
    """Yield the keys of a section, and of the sections in it."""
    for name, info in section.model_fields.items():
        inner = _section_of(info)
        if inner is None:
            yield (*path, name), info
        else:
            yield from _keys_in((*path, name), inner)


def _section_of(info: FieldInfo) -> type[SettingsSection] | None:
    """Return the section that a key of another section is, if it is there; None for a value."""
    for kind in get_args(info.annotation):
        if isinstance(kind, type) and issubclass(kind, SettingsSection):
            return kind
    return None


def item(number: int, list_key: str = CAMPAIGNS) -> str:
    """Return the first part of the keys of an item of a list, counted from 1."""
    return f"{list_key}[{number}]"


def item_list(path: KeyPath) -> str | None:
    """Return the list that a key is in; None if it is not in a list."""
    match = _ITEM.fullmatch(path[0])
    return match.group(1) if match else None


def holds_keys(path: KeyPath) -> bool:
    """Return True if the table at this path has keys of the settings, each with its own origin."""
    if item_list(path) == CLIENTS:
        return path[1:] in ((), ("credentials",))
    if item_list(path) == SINKS:
        return path[1:] == ()
    if item_list(path) is not None:
        path = path[1:]
        return path == () or (path[0] in CAMPAIGN_SECTIONS and _is_section(path)) or is_table(path)
    return _is_section(path) or is_table(path)


@cache
def _section_paths() -> frozenset[KeyPath]:
    return frozenset(path[:end] for path in known() for end in range(1, len(path)))


def _is_section(path: KeyPath) -> bool:
    return path in _section_paths()


@cache
def sections() -> frozenset[str]:
    """Return the names of all tables."""
    return frozenset(path[0] for path in known() if len(path) > 1)


def is_table(path: KeyPath) -> bool:
    """Return True if the key is a table whose names the user chooses."""
    if path and item_list(path) is not None:
        path = path[1:]
    field = known().get(path)
    return field is not None and get_origin(field.annotation) is dict


def takes_text(path: KeyPath) -> bool:
    """Return True if the key accepts a string, so that 2026 is not read as a number."""
    field = known().get(path)
    kind = None if field is None else field.annotation
    return kind in {str, Path} or get_origin(kind) is Literal or is_table(path[:-1])


def hint_for_unknown(path: KeyPath) -> str:
    """Return a hint with the key that an unknown one probably means."""
    name = path[-1]
    if name in SECRETS or any(word in name for word in ("secret", "password", "token")):
        if path[:1] == ("ledger",):
            return "set ledger.password_file or ledger.password_variable"
        near = get_close_matches(name, _NAMED_LIKE_SECRETS, n=1, cutoff=0.9)
        return did_you_mean(f"credentials.{near[0]}") if near else secret_hint(name)
    if (list_key := item_list(path)) is not None:
        near = get_close_matches(name, _names_in(list_key), n=1)
    else:
        near = get_close_matches(name, [*sections(), "campaign"], n=1) if len(path) == 1 else []
        is_section = near and near[0] in sections()
        if is_section:
            return did_you_mean_section(near[0])
        near = _nearest(path)
    return did_you_mean(near[0]) if near else "`dispatcher check --show` prints every key"


def did_you_mean(name: str) -> str:
    """Return the hint with the name that an unknown one probably means."""
    return f"did you mean {name}?"


def did_you_mean_section(name: str) -> str:
    """Return the hint with the section that an unknown one probably means."""
    return did_you_mean(f"the section [{name}]")


def _names_in(list_key: str) -> list[str]:
    """Return the names of all keys of an item of a list, those in its sections too."""
    if list_key == CLIENTS:
        return [*ClientSettings.model_fields, *CredentialsSettings.model_fields]
    if list_key == SINKS:
        return [name for kind in SINK_KINDS for name in kind.model_fields]
    inner = [path[1] for path in known() if path[0] in CAMPAIGN_SECTIONS]
    return [*CampaignSettings.model_fields, *inner]


def _nearest(path: KeyPath) -> list[str]:
    """Return the known key most similar to ``path``; none if no key is similar."""
    same = {key[-1]: key for key in known() if key[:-1] == path[:-1]}
    leaves = {key[-1]: key for key in known()}
    if path[-1] in leaves:
        return [".".join(leaves[path[-1]])]
    dotted = {".".join(key): key for key in known()}
    for keys, word in ((same, path[-1]), (dotted, ".".join(path)), (leaves, path[-1])):
        close = get_close_matches(word, keys, n=1, cutoff=0.7)
        if close:
            return [".".join(keys[close[0]])]
    return []


_NAMED_LIKE_SECRETS = [key[-1] for key in known() if key[0] == "credentials"]
"""Keys that say where a secret is; a misspelt one gets a hint to the right key."""
