"""Ids as the ledger has them: a UUID in lower case, and in older campaigns as the row had it."""

import sqlite3
from collections.abc import Iterable

from dispatcher.domain.ids import canonical_id
from dispatcher.ledgers.codec import person_as_spelled, person_hash
from dispatcher.ledgers.statements import SQL


def spellings(id_: str) -> tuple[str, ...]:
    """Return the forms in which a ledger may have an id, the present one first."""
    canonical = canonical_id(id_)
    upper = canonical.upper()
    is_uuid = canonical_id(upper) == canonical
    return tuple(dict.fromkeys((canonical, upper, id_) if is_uuid else (id_,)))


def spelled_keys(
    connection: sqlite3.Connection, campaign: int, keys: Iterable[str]
) -> dict[str, str]:
    """Map each key under which the campaign may have a contact to its present form."""
    if not _may_have_upper_case(connection, campaign):
        return {key: key for key in keys}
    return forms_of_keys(keys)


def spelled_people(
    connection: sqlite3.Connection, campaign: int, external_ids: Iterable[str]
) -> dict[str, str]:
    """Map each hash under which the campaign may have a person to the present one."""
    if not _may_have_upper_case(connection, campaign):
        return {person: person for person in map(person_hash, external_ids)}
    return forms_of_people(external_ids)


def forms_of_keys(keys: Iterable[str]) -> dict[str, str]:
    """Return the keys in all of their forms, with the present form of each."""
    return {spelled: key for key in keys for spelled in spellings(key)}


def forms_of_people(external_ids: Iterable[str]) -> dict[str, str]:
    """Return the hashes of all forms of the ids of people, with the present one of each."""
    return {
        person_as_spelled(spelled): person_hash(id_)
        for id_ in external_ids
        for spelled in spellings(id_)
    }


def older_hashes(external_ids: Iterable[str]) -> dict[str, str]:
    """Return the hashes of the older forms of the ids of people, with the present ones."""
    return {
        person_as_spelled(spelled): person_hash(id_)
        for id_ in external_ids
        for spelled in spellings(id_)[1:]
    }


def respelled_people(connection: sqlite3.Connection, external_ids: Iterable[str]) -> dict[str, str]:
    """Map each older hash that people may have in any campaign to the present one."""
    (any_upper_case,) = connection.execute(SQL["any_upper_case"]).fetchone()
    if not any_upper_case:
        return {}
    return older_hashes(external_ids)


def _may_have_upper_case(connection: sqlite3.Connection, campaign: int) -> bool:
    row = connection.execute(SQL["has_upper_case"], (campaign,)).fetchone()
    return row is not None and bool(row[0])
