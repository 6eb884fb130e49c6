"""Who holds which contact: claims, what a dead daemon held, and what a person puts back."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from dispatcher.domain.status import Step
from dispatcher.ledgers.codec import claim_of
from dispatcher.ledgers.named import SQL
from dispatcher.ports import Claim


@dataclass(frozen=True, slots=True)
class Doubt:
    """A contact whose send nobody knows the end of; ``step`` is the send that was intended."""

    contact_key: str
    conversation_id: str
    step: Step


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a dead daemon left: how many contacts are ready again, and those parked in doubt."""

    released: int
    in_doubt: tuple[Doubt, ...]


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of contacts that a person put back."""

    ready: int
    in_doubt: int


def claim(connection: sqlite3.Connection, campaign: int, limit: int, now: float) -> list[Claim]:
    """Claim up to ``limit`` contacts that are due at ``now``, the earliest due first."""
    (found,) = connection.execute(SQL["due_contacts"], (campaign, now, limit)).fetchone()
    claims = [claim_of(row) for row in orjson.loads(found)]
    if claims:
        ids = orjson.dumps([each.id for each in claims]).decode()
        connection.execute(SQL["mark_claimed"], (ids,))
    return claims


def recover(connection: sqlite3.Connection, campaign: int, now: float) -> Recovered:
    """Release what was claimed, park what was sending or in doubt."""
    doubts = tuple(
        Doubt(key, conversation_id, Step(step))
        for key, conversation_id, step in connection.execute(SQL["sending"], (campaign,))
    )
    connection.execute(SQL["tell_restart"], (now, campaign))
    connection.execute(SQL["park_sending"], (now, campaign))
    released = connection.execute(SQL["release_claimed"], (now, campaign)).rowcount
    return Recovered(released, doubts)


def replay(
    connection: sqlite3.Connection, campaign: int, ids: Sequence[int], now: float
) -> Replayed:
    """Put the parked ones among ``ids`` back; one in doubt is never made ready."""
    listed = orjson.dumps(ids).decode()
    connection.execute(SQL["tell_replay"], (now, listed, campaign))
    doubtful = connection.execute(SQL["replay_in_doubt"], (listed, campaign)).rowcount
    ready = connection.execute(SQL["replay_ready"], (now, listed, campaign)).rowcount
    return Replayed(ready, doubtful)
