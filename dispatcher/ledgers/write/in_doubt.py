"""Contacts in doubt: when each is looked for, and what else is known about its conversation."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace

import orjson

from dispatcher.domain.evidence import DeliveryWitness
from dispatcher.domain.status import Step
from dispatcher.domain.unsettled_send import UnsettledSend
from dispatcher.ledgers.codec import Fields, claim_of, person_of
from dispatcher.ledgers.statements import SQL
from dispatcher.ports import InDoubtContact, KnownEffects

_CLAIM_WIDTH = 11  # columns of a row that are those of a claim


def due_in_doubt(
    connection: sqlite3.Connection, campaign: int, limit: int, now: float
) -> list[InDoubtContact]:
    """Return contacts in doubt that are due for a look at ``now``, the earliest due first."""
    (found,) = connection.execute(SQL["due_doubts"], (campaign, now, limit)).fetchone()
    return [_doubt(row) for row in orjson.loads(found)]


def next_look_back(connection: sqlite3.Connection, campaign: int) -> float | None:
    """Return when the next contact in doubt is due for a look."""
    (at,) = connection.execute(SQL["next_look"], (campaign,)).fetchone()
    return None if at is None else float(at)


def campaigns_in_doubt(
    connection: sqlite3.Connection, campaigns: Sequence[str]
) -> Mapping[str, int]:
    """Count, by campaign, sends of unknown end in all campaigns but these, before any is sent."""
    listed = orjson.dumps(list(campaigns)).decode()
    (found,) = connection.execute(SQL["doubts_elsewhere"], (listed,)).fetchone()
    counts: dict[str, int] = orjson.loads(found)
    return counts


def known_effects(
    connection: sqlite3.Connection,
    conversations: Sequence[str],
    since: float,
    people: Sequence[str] = (),
) -> KnownEffects:
    """Return what is known about these, over all campaigns: see the port."""
    listed = orjson.dumps(list(conversations)).decode()
    (traced,) = connection.execute(SQL["lineage_of"], (since, listed)).fetchone()
    (unsettled,) = connection.execute(SQL["unsettled_of"], (listed,) * 2).fetchone()
    rows, sends = orjson.loads(traced), orjson.loads(unsettled)
    if people:
        persons = orjson.dumps([person_of(each) for each in people]).decode()
        (more,) = connection.execute(SQL["unsettled_with"], (persons,)).fetchone()
        sends += orjson.loads(more)
    return KnownEffects(
        messages=frozenset(message for _, message, _ in rows if message is not None),
        conversations=frozenset(conversation for conversation, _, opened in rows if opened),
        unsettled=list({row[0]: _intended(row) for row in sends}.values()),
        unnamed=frozenset(conversation for conversation, message, _ in rows if message is None),
    )


def witnesses(connection: sqlite3.Connection, after: float, limit: int) -> list[DeliveryWitness]:
    """Return the first messages that were taken after a time."""
    (found,) = connection.execute(SQL["witnesses"], (after, limit)).fetchone()
    return [
        DeliveryWitness(conversation, message, digest.lower())
        for conversation, message, digest in orjson.loads(found)
    ]


def _doubt(row: Fields) -> InDoubtContact:
    claim = claim_of(row[:_CLAIM_WIDTH])
    intended = _intended([claim.id, *row[_CLAIM_WIDTH:]])
    known = replace(intended, ended_at=claim.progress.doubted_at)
    return InDoubtContact(claim.id, claim.contact, claim.progress, known)


def _intended(row: Fields) -> UnsettledSend:
    """Read an intent; without one there is nothing to be found by, as for an unlinked open."""
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
