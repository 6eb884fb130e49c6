"""The lineage for a sink, for a command that has the leases of all campaigns and sends nothing."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from dispatcher.ledgers.postgres.address import PostgresAddress
from dispatcher.ledgers.postgres.lineage_log import PostgresLineageLog
from dispatcher.ledgers.postgres.operator_connection import OperatorConnection
from dispatcher.ledgers.postgres.operator_store import find_runs, locked_by
from dispatcher.ledgers.postgres.store import PostgresStore
from dispatcher.ports import HeldLease, Lease, LeaseKind, LedgerError
from dispatcher.ports.questions import CampaignNames

_POLL_SECONDS = 0.2


@asynccontextmanager
async def operator_lineage_log(address: PostgresAddress) -> AsyncIterator[PostgresLineageLog]:
    """Take the leases of all campaigns, and open their lineage for sinks.

    A run that is started meanwhile waits until the command has ended. The leases of a run that was
    killed are waited for.

    Raises:
        LedgerLockedError: a run has one of the campaigns: it sends to its sinks by itself.
        CopiedLedgerError: the ledger is a copy.
        LedgerError: there is no ledger, or it cannot be used.

    """
    await asyncio.to_thread(_check_ledger, address)
    store = await PostgresStore.open(address)
    try:
        names = await store.look(CampaignNames())
        await _take(store, [Lease(LeaseKind.CAMPAIGN, name) for name in names], address)
        yield store.lineage_log()
    finally:
        await store.close()


async def _take(store: PostgresStore, leases: Sequence[Lease], address: PostgresAddress) -> None:
    """Take the leases as soon as those of ended runs have run out."""
    before: Mapping[Lease, HeldLease] = {}
    while held := await store.try_take(leases):
        if any(one.lease in before and before[one.lease].left < one.left for one in held):
            await asyncio.to_thread(_name_run, address)
        before = {one.lease: one for one in held}
        await asyncio.sleep(_POLL_SECONDS)


def _name_run(address: PostgresAddress) -> None:
    """Raise the error that names the run which has a campaign."""
    opened = OperatorConnection(address, read_only=True)
    try:
        with opened.errors() as connection:
            runs = find_runs(connection)
    finally:
        opened.close()
    if not runs:
        raise LedgerError(f"ledger {address.name}: a run has just ended; repeat the command")
    raise locked_by(address, runs[0])


def _check_ledger(address: PostgresAddress) -> None:
    """Check that there is a ledger: a store would make one of an empty database."""
    OperatorConnection(address, read_only=True).close()
