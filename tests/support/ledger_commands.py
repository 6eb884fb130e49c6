"""Operator commands on single contacts of an open ledger, by their ids."""

from collections.abc import Sequence
from functools import partial

from dispatcher.ledgers.ledger import SqliteLedger
from dispatcher.ledgers.write import claims


async def replay(ledger: SqliteLedger, ids: Sequence[int]) -> dict[str, int]:
    """Replay parked and rejected contacts; other ids are left alone."""
    return await ledger._writer.job(partial(claims.replay, ids=ids, now=ledger._now()))
