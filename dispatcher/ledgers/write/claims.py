"""Claims: taken by a run, recovered after a crash, and replayed by an operator."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from dispatcher.domain.status import SendBlock
from dispatcher.ledgers.codec import RowValues, claim_of
from dispatcher.ledgers.statements import SQL, fetch_json, json_list, selecting
from dispatcher.ports import Claim, Recovered

_DUE = selecting("claims", "select_due")
_READY = selecting("claims", "select_ready")


def claim(connection: sqlite3.Connection, campaign: int, limit: int, now: float) -> list[Claim]:
    """Claim up to ``limit`` contacts that are due at ``now``, the earliest due first.

    ``block`` is set if another send to the conversation is unsettled; for people see `blocked_by`.
    """
    return _mark(connection, fetch_json(connection, _DUE, campaign, now, limit))


def claim_early(connection: sqlite3.Connection, campaign: int, ids: Iterable[int]) -> list[Claim]:
    """Claim the contacts among ``ids`` that are ready, whenever they are due."""
    return _mark(connection, fetch_json(connection, _READY, campaign, json_list(ids)))


def _mark(connection: sqlite3.Connection, rows: list[RowValues]) -> list[Claim]:
    claims = [claim_of(row[:-2], row[-1], row[-2]) for row in rows]
    if claims:
        ids = json_list(claim.id for claim in claims)
        connection.execute(SQL["mark_claimed"], (ids,))
    return claims


def blocked_by(connection: sqlite3.Connection, ids: Iterable[int]) -> dict[int, SendBlock]:
    """Return what blocks sends to the people of contacts, by the contact's id."""
    blocks = fetch_json(connection, SQL["blocked_claims"], json_list(ids))
    return {id_: SendBlock(block) for id_, block in blocks}


def fill_blocks(claims: Sequence[Claim], blocks: Mapping[int, SendBlock]) -> Sequence[Claim]:
    """Return the claims; those without a block get theirs from ``blocks``."""
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


def replay(connection: sqlite3.Connection, ids: Iterable[int], now: float) -> dict[str, int]:
    """Put the parked and rejected contacts among ``ids`` back; return how many by new status.

    A contact that was parked in doubt is in doubt again; the others become ready.
    """
    values = (now, json_list(ids))
    connection.execute(SQL["record_replay"], values)
    in_doubt = connection.execute(SQL["replay_in_doubt"], values).rowcount
    return {"ready": connection.execute(SQL["replay_ready"], values).rowcount, "in_doubt": in_doubt}
