"""Contacts in doubt: when a look back is due, and the facts that decide about their sends."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace

from dispatcher.domain.evidence import DeliveryWitness
from dispatcher.domain.status import Step
from dispatcher.domain.unsettled_send import UnsettledSend
from dispatcher.ledgers.codec import RowValues, claim_of, person_hash
from dispatcher.ledgers.statements import SQL, fetch_json, json_list
from dispatcher.ports import InDoubtContact, KnownEffects

_CLAIM_FIELDS = 11
"""The first fields of a row are those of a claim."""


def due_in_doubt(
    connection: sqlite3.Connection, campaign: int, limit: int, now: float
) -> list[InDoubtContact]:
    """Return contacts in doubt whose look back is due at ``now``, the earliest due first."""
    rows = fetch_json(connection, SQL["due_doubts"], campaign, now, limit)
    return [_in_doubt_contact(row) for row in rows]


def look_times(connection: sqlite3.Connection, campaign: int, limit: int) -> list[float]:
    """Return when up to ``limit`` contacts in doubt are due for a look, the earliest first."""
    return [float(at) for at in fetch_json(connection, SQL["look_times"], campaign, limit)]


def recent_conversations(
    connection: sqlite3.Connection, campaign: int, now: float, limit: int
) -> list[str]:
    """Return conversations of which the platform may have new records; see `Ledger`."""
    waiting = fetch_json(connection, SQL["waiting_conversations"], campaign, now, limit)
    delivered = fetch_json(connection, SQL["delivered_conversations"], limit)
    return list(dict.fromkeys([*waiting, *delivered]))


def campaigns_in_doubt(
    connection: sqlite3.Connection, campaigns: Sequence[str]
) -> Mapping[str, int]:
    """Count the unsettled sends in all campaigns except these, by campaign."""
    return dict(fetch_json(connection, SQL["doubts_elsewhere"], json_list(campaigns)))


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
    return KnownEffects(
        messages=frozenset(message for _, message, _ in links if message is not None),
        conversations=frozenset(conversation for conversation, _, opened in links if opened),
        unsettled=list({row[0]: _unsettled_send(row) for row in sends}.values()),
        unnamed=frozenset(conversation for conversation, message, _ in links if message is None),
    )


def witnesses(connection: sqlite3.Connection, after: float, limit: int) -> list[DeliveryWitness]:
    """Return the first messages that the platform took after a time."""
    rows = fetch_json(connection, SQL["witnesses"], after, limit)
    return [DeliveryWitness(talk, message, digest.lower()) for talk, message, digest in rows]


def _in_doubt_contact(row: RowValues) -> InDoubtContact:
    claim = claim_of(row[:_CLAIM_FIELDS])
    send = _unsettled_send([claim.id, *row[_CLAIM_FIELDS:]])
    send = replace(send, ended_at=claim.progress.doubted_at)
    return InDoubtContact(claim.id, claim.contact, claim.progress, send)


def _unsettled_send(row: RowValues) -> UnsettledSend:
    """Return a send from its intent. Without an intent it is an open that cannot be found."""
    id_, step, conversation, identity, digest, at, *ended = row
    return UnsettledSend(
        id_,
        Step(step or Step.OPEN),
        conversation,
        identity,
        digest.lower(),
        float(at or 0.0),
        ended[0] if ended else None,
    )
