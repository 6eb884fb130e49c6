"""Which keys there are, what they take, and which one was probably meant."""

from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Literal, get_origin

from pydantic.fields import FieldInfo

from dispatcher.settings.model import SECRETS, Section, Settings

KeyPath = tuple[str, ...]
"""A key in its parts: ("platform", "base_url"); tables of columns have a third part."""


@cache
def known() -> dict[KeyPath, FieldInfo]:
    """Return every key that can be set."""
    keys: dict[KeyPath, FieldInfo] = {}
    for name, field in Settings.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            keys.update({(name, inner): info for inner, info in kind.model_fields.items()})
        elif name not in SECRETS:
            keys[name,] = field
    return keys


@cache
def sections() -> frozenset[str]:
    """Return the names of all tables."""
    return frozenset(path[0] for path in known() if len(path) > 1)


def is_table(path: KeyPath) -> bool:
    """Tell whether the key holds a table of the user's own names."""
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
        return "secrets are read from DISPATCHER_CLIENT_ID and DISPATCHER_CLIENT_SECRET alone"
    if len(path) == 1:
        close = get_close_matches(path[0], [*sections(), "campaign"], n=1)
        if close and close[0] in sections():
            return f"did you mean the section [{close[0]}]?"
    near = _nearest(path)
    return f"did you mean {near}?" if near else "config/dispatcher.toml shows every key"


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
