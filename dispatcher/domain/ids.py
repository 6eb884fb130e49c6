"""Identity of ids: one UUID in another case is the same id, any other id is compared as it is."""

import re

ID_LIMIT = 256
"""The most characters of an id or a key."""

_UUID_LENGTH = 36
_is_uuid = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}").fullmatch


def canonical_id(id_: str) -> str:
    """Return the form by which an id is compared: a UUID in lower case, else the id itself.

    Programs that write UUIDs differ in the case (source: RFC 9562, 4: readers ignore it).
    """
    if len(id_) != _UUID_LENGTH:
        return id_
    lower = id_.lower()
    return lower if lower != id_ and _is_uuid(id_) else id_  # most are in lower case already


def canonical_or_none(id_: str | None) -> str | None:
    """Return `canonical_id`, or None for an id that is not known."""
    return None if id_ is None else canonical_id(id_)


def same_id(one: str | None, other: str | None) -> bool:
    """Return True if two ids name the same thing; two unknown ids are equal."""
    return one == other or (
        one is not None and other is not None and canonical_id(one) == canonical_id(other)
    )
