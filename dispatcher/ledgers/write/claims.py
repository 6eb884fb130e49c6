"""Claims: taken by a run, recovered after a crash, and replayed by an operator."""

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
    """Numbers of contacts that were made ready again, and of all that are in doubt."""

    released: int
    in_doubt: int


@dataclass(frozen=True, slots=True)
class Replayed:
    """Numbers of parked contacts that are ready again, and that are in doubt again."""

    ready: int
    in_doubt: int


def claim(connection: sqlite3.Connection, campaign: int, limit: int, now: float) -> list[Claim]:
    """Claim up to ``limit`` contacts that are due at ``now``, the earliest due first.

    ``block`` is set if another send to the conversation is unsettled; for people see `blocked_by`.
    """
    (rows,) = connection.execute(SQL["due_contacts"], (campaign, now, limit)).fetchone()
    claims = [claim_of(row[:-1], row[-1]) for row in orjson.loads(rows)]
    if claims:
        ids = orjson.dumps([claim.id for claim in claims]).decode()
        connection.execute(SQL["mark_claimed"], (ids,))
    return claims


def blocked_by(connection: sqlite3.Connection, ids: Iterable[int]) -> dict[int, SendBlock]:
    """Return what blocks sends to the people of contacts, by the contact's id."""
    listed = orjson.dumps(list(ids)).decode()
    (blocks,) = connection.execute(SQL["blocked_claims"], (listed,)).fetchone()
    return {id_: SendBlock(block) for id_, block in orjson.loads(blocks)}


def with_blocks(claims: Sequence[Claim], blocks: Mapping[int, SendBlock]) -> Sequence[Claim]:
    """Set ``block`` of the claims that have none."""
    if not blocks:
        return claims
    return [replace(claim, block=claim.block or blocks.get(claim.id)) for claim in claims]


def recover(connection: sqlite3.Connection, campaign: int, now: float) -> Recovered:
    """Make claimed contacts ready, and sending ones in doubt with a look back due at ``now``."""
    connection.execute(SQL["record_restart"], (now, campaign))
    connection.execute(SQL["doubt_sending"], (now, campaign))
    released = connection.execute(SQL["release_claimed"], (now, campaign)).rowcount
    (in_doubt,) = connection.execute(SQL["count_doubts"], (campaign,)).fetchone()
    return Recovered(released, in_doubt)


def replay(
    connection: sqlite3.Connection, campaign: int, ids: Sequence[int], now: float
) -> Replayed:
    """Put the parked contacts among ``ids`` back: in doubt if parked so, else ready."""
    listed = orjson.dumps(ids).decode()
    connection.execute(SQL["record_replay"], (now, listed, campaign))
    in_doubt = connection.execute(SQL["replay_in_doubt"], (now, listed, campaign)).rowcount
    ready = connection.execute(SQL["replay_ready"], (now, listed, campaign)).rowcount
    return Replayed(ready, in_doubt)
