"""Which keys there are, what they take, and which one was probably meant."""

import re
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Literal, get_origin

from pydantic.fields import FieldInfo

from dispatcher.settings.credentials import CredentialsSettings, secret_hint
from dispatcher.settings.model import (
    CAMPAIGN_SECTIONS,
    SECRETS,
    CampaignSettings,
    ClientSettings,
    Settings,
)
from dispatcher.settings.section import SettingsSection

KeyPath = tuple[str, ...]
"""A key in its parts: ("platform", "base_url"); tables of columns have a third part.

Keys of ``[[campaigns]]`` and ``[[clients]]`` have one more in front, which counts from 1:
("campaigns[1]", "name").
"""

LIST = "campaigns"
"""The key that is a list of campaigns."""
CLIENTS = "clients"
"""The key that is a list of OAuth clients."""
LISTS = (LIST, CLIENTS)
"""The keys that are lists of tables."""
_ALL_KEYS = "config/dispatcher.toml shows every key"
_ITEM = re.compile(rf"({LIST}|{CLIENTS})\[([1-9][0-9]*)\]")


@cache
def known() -> dict[KeyPath, FieldInfo]:
    """Return every key that can be set, but for those inside of lists."""
    keys: dict[KeyPath, FieldInfo] = {}
    for name, field in Settings.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, SettingsSection):
            keys.update({(name, inner): info for inner, info in kind.model_fields.items()})
        elif name not in (*SECRETS, *LISTS):
            keys[name,] = field
    return keys


@cache
def _known_in_campaigns() -> dict[KeyPath, FieldInfo]:
    whole = {path: info for path, info in known().items() if path[0] in CAMPAIGN_SECTIONS}
    own = CampaignSettings.model_fields.items()
    return whole | {(name,): info for name, info in own if name not in CAMPAIGN_SECTIONS}


def item(number: int, of: str = LIST) -> str:
    """Return the first part of the keys of one of ``[[campaigns]]``, counted from 1."""
    return f"{of}[{number}]"


def item_list(path: KeyPath) -> str | None:
    """Return the list that a key belongs to; None if to none."""
    found = _ITEM.fullmatch(path[0])
    return found.group(1) if found else None


def holds_keys(path: KeyPath) -> bool:
    """Tell whether a table at this place holds keys, each with a place of its own."""
    if item_list(path) == CLIENTS:
        return path[1:] in ((), ("credentials",))
    if item_list(path) is not None:
        path = path[1:]
        return not path or path in _SECTIONS_OF_A_CAMPAIGN or is_table(path)
    return path in _SECTIONS or is_table(path)


@cache
def sections() -> frozenset[str]:
    """Return the names of all tables."""
    return frozenset(path[0] for path in known() if len(path) > 1)


def is_table(path: KeyPath) -> bool:
    """Tell whether the key holds a table of the user's own names."""
    if path and item_list(path) is not None:
        path = path[1:]
    field = known().get(path)
    return field is not None and get_origin(field.annotation) is dict


def takes_text(path: KeyPath) -> bool:
    """Tell whether a text is what the key takes, so that 2026 stands for itself."""
    if is_table(path[:-1]):
        return True
    field = known().get(path)
    if field is None:
        return False
    return field.annotation in {str, Path} or get_origin(field.annotation) is Literal


def hint_for_unknown(path: KeyPath) -> str:
    """Suggest the key that was probably meant."""
    if path[-1] in SECRETS or any(word in path[-1] for word in ("secret", "password", "token")):
        meant = get_close_matches(path[-1], _NAMED_LIKE_SECRETS, n=1, cutoff=0.9)
        return f"did you mean credentials.{meant[0]}?" if meant else secret_hint(path[-1])
    if item_list(path) == CLIENTS:
        names = [*ClientSettings.model_fields, *CredentialsSettings.model_fields]
        meant = get_close_matches(path[-1], names, n=1)
        return f"did you mean {meant[0]}?" if meant else _ALL_KEYS
    if item_list(path) is not None:
        names = [key[-1] for key in _known_in_campaigns()]
        meant = get_close_matches(path[-1], [*CAMPAIGN_SECTIONS, *names], n=1)
        return f"did you mean {meant[0]}?" if meant else _ALL_KEYS
    if len(path) == 1:
        close = get_close_matches(path[0], [*sections(), "campaign"], n=1)
        if close and close[0] in sections():
            return f"did you mean the section [{close[0]}]?"
    near = _nearest(path)
    return f"did you mean {near}?" if near else _ALL_KEYS


def _nearest(path: KeyPath) -> str | None:
    same = {key[-1]: key for key in known() if key[:-1] == path[:-1]}
    leaves = {key[-1]: key for key in known()}
    if path[-1] in leaves:
        return ".".join(leaves[path[-1]])
    whole = {".".join(key): key for key in known()}
    for names, word in ((same, path[-1]), (whole, ".".join(path)), (leaves, path[-1])):
        close = get_close_matches(word, names, n=1, cutoff=0.7)
        if close:
            return ".".join(names[close[0]])
    return None


_NAMED_LIKE_SECRETS = [key[-1] for key in known() if key[0] == "credentials"]
"""Keys that say where a secret is: one that is written wrongly is no secret."""
_SECTIONS = frozenset((name,) for name in sections())
_SECTIONS_OF_A_CAMPAIGN = frozenset((name,) for name in CAMPAIGN_SECTIONS)
