"""The ledgers that the contract tests run against. A new implementation is added here."""

import pytest

from dispatcher.ledgers.ledger import SqliteLedger
from tests.support.memory_ledger import MemoryLedger

NOW = 1000.0


@pytest.fixture(params=["sqlite", "memory"])
async def open_ledger(request, tmp_path):
    """Open one and the same ledger again and again, one at a time, for a campaign by name."""
    opened = []

    async def open_again(campaign="campaign"):
        if request.param == "memory":
            opened.append(MemoryLedger(0, campaign, beside=opened[-1] if opened else None))
            return opened[-1]
        if opened:
            await opened[-1].close()
        path = tmp_path / "ledger.db"
        opened.append(await SqliteLedger.open(path, campaign, now=lambda: NOW))
        return opened[-1]

    yield open_again
    if request.param == "sqlite" and opened:
        await opened[-1].close()


@pytest.fixture
async def ledger(open_ledger):
    return await open_ledger()
