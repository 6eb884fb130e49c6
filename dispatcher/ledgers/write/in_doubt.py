"""Contacts in doubt: when a look back is due, and the facts that decide about their sends."""

import sqlite3
from collections.abc import Mapping, Sequence

from dispatcher.domain.evidence import DeliveryWitness
from dispatcher.ledgers.codec import person_hash
from dispatcher.ledgers.doubt_rows import effects_of, in_doubt_contact
from dispatcher.ledgers.statements import SQL, fetch_json, json_list
from dispatcher.ports import InDoubtContact, KnownEffects


def due_in_doubt(
    connection: sqlite3.Connection, campaign: int, limit: int, now: float
) -> list[InDoubtContact]:
    """Return contacts in doubt whose look back is due at ``now``, the earliest due first."""
    rows = fetch_json(connection, SQL["due_doubts"], campaign, now, limit)
    return [in_doubt_contact(row) for row in rows]


def look_back_times(connection: sqlite3.Connection, campaign: int, limit: int) -> list[float]:
    """Return when up to ``limit`` contacts in doubt are due for a look, the earliest first."""
    return [float(at) for at in fetch_json(connection, SQL["look_back_times"], campaign, limit)]


def recent_conversations(
    connection: sqlite3.Connection, campaign: int, now: float, limit: int
) -> list[str]:
    """Return conversations of which the platform may have new records; see `Ledger`."""
    waiting = fetch_json(connection, SQL["waiting_conversations"], campaign, now, limit)
    delivered = fetch_json(connection, SQL["delivered_conversations"], limit)
    return list(dict.fromkeys([*waiting, *delivered]))


def unsettled_elsewhere(
    connection: sqlite3.Connection, excluded: Sequence[str]
) -> Mapping[str, int]:
    """Count the unsettled sends in all campaigns except the ``excluded`` ones, by campaign."""
    return dict(fetch_json(connection, SQL["doubts_elsewhere"], json_list(excluded)))


def known_effects(
    connection: sqlite3.Connection,
    conversations: Sequence[str],
    since: float,
    external_contact_ids: Sequence[str] = (),
) -> KnownEffects:
    """Return what is known about conversations and people; see `Ledger`."""
    listed = json_list(conversations)
    links = fetch_json(connection, SQL["sent_messages_of"], since, listed)
    sends = fetch_json(connection, SQL["unsettled_of"], listed)
    if external_contact_ids:
        hashes = json_list(map(person_hash, external_contact_ids))
        sends += fetch_json(connection, SQL["unsettled_with"], hashes)
    return effects_of(links, sends)


def witnesses(connection: sqlite3.Connection, after: float, limit: int) -> list[DeliveryWitness]:
    """Return the first messages that the platform took after a time."""
    rows = fetch_json(connection, SQL["witnesses"], after, limit)
    return [DeliveryWitness(talk, message, digest.lower()) for talk, message, digest in rows]
