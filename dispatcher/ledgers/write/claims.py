"""Who holds which contact: claims, what a dead daemon held, and what a person puts back."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import orjson

from dispatcher.domain.status import SendBlock
from dispatcher.ledgers.codec import claim_of
from dispatcher.ledgers.statements import SQL
from dispatcher.ports import Claim


@dataclass(frozen=True, slots=True)
class Recovered:
    """What there is to take up: contacts that are ready again, and all that are in doubt."""

    released: int
    in_doubt: int


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of contacts that a person put back."""

    ready: int
    in_doubt: int


def claim(connection: sqlite3.Connection, campaign: int, limit: int, now: float) -> list[Claim]:
    """Claim up to ``limit`` contacts that are due at ``now``, the earliest due first.

    Their conversations are looked at, their people are not: see `hindered`.
    """
    (found,) = connection.execute(SQL["due_contacts"], (campaign, now, limit)).fetchone()
    claims = [claim_of(row[:-1], row[-1]) for row in orjson.loads(found)]
    if claims:
        ids = orjson.dumps([each.id for each in claims]).decode()
        connection.execute(SQL["mark_claimed"], (ids,))
    return claims


def blocked_by(connection: sqlite3.Connection, ids: Iterable[int]) -> dict[int, SendBlock]:
    """Return what stands against contacts because of what their people were sent."""
    listed = orjson.dumps(list(ids)).decode()
    (found,) = connection.execute(SQL["hindered_claims"], (listed,)).fetchone()
    return {id_: SendBlock(why) for id_, why in orjson.loads(found)}


def blocking_people(claims: Sequence[Claim], hints: Mapping[int, SendBlock]) -> Sequence[Claim]:
    """Mark claims with what stands against them, where nothing is known to yet."""
    if not hints:
        return claims
    return [replace(it, block=it.block or hints.get(it.id)) for it in claims]


def recover(connection: sqlite3.Connection, campaign: int, now: float) -> Recovered:
    """Release what was claimed; what was sending is in doubt, to be looked for at once."""
    connection.execute(SQL["tell_restart"], (now, campaign))
    connection.execute(SQL["doubt_sending"], (now, campaign))
    released = connection.execute(SQL["release_claimed"], (now, campaign)).rowcount
    (in_doubt,) = connection.execute(SQL["count_doubts"], (campaign,)).fetchone()
    return Recovered(released, in_doubt)


def replay(
    connection: sqlite3.Connection, campaign: int, ids: Sequence[int], now: float
) -> Replayed:
    """Put the parked ones among ``ids`` back; one in doubt is never made ready."""
    listed = orjson.dumps(ids).decode()
    connection.execute(SQL["tell_replay"], (now, listed, campaign))
    doubtful = connection.execute(SQL["replay_in_doubt"], (now, listed, campaign)).rowcount
    ready = connection.execute(SQL["replay_ready"], (now, listed, campaign)).rowcount
    return Replayed(ready, doubtful)
