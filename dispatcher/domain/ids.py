"""Identity of ids: one UUID in another case is the same id, any other id is compared as it is."""

import re

_UUID_LENGTH = 36
_is_uuid = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}").fullmatch


def canonical_id(id_: str) -> str:
    """Return the form by which an id is compared: a UUID in lower case, else the id itself.

    Programs that write UUIDs differ in the case (source: RFC 9562, 4: readers ignore it).
    """
    if len(id_) == _UUID_LENGTH and _is_uuid(id_):
        return id_.lower()
    return id_


def canonical_or_none(id_: str | None) -> str | None:
    """Return `canonical_id`, or None for an id that is not known."""
    return None if id_ is None else canonical_id(id_)


def same_id(one: str | None, other: str | None) -> bool:
    """Return True if two ids name the same thing; two unknown ids are equal."""
    return one == other or (
        one is not None and other is not None and canonical_id(one) == canonical_id(other)
    )
