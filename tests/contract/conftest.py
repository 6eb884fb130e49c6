"""The stores and ledgers that the contract tests run against; new kinds are added here."""

import pytest

from dispatcher.ledgers.ledger import SqliteLedger
from dispatcher.ledgers.operator_store import SqliteOperatorStore
from dispatcher.ledgers.store import SqliteStore
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


@pytest.fixture(params=["sqlite"])
def store_path(request, tmp_path):
    """The place of a store that is not there yet."""
    return tmp_path / "ledger.db"


@pytest.fixture
async def open_store(store_path):
    """Open one and the same store again and again, one at a time, with a first campaign."""
    opened = []

    async def open_again(campaign="a"):
        if opened:
            await opened[-1].close()
        opened.append(await SqliteStore.open(store_path, campaign, now=lambda: NOW))
        return opened[-1]

    yield open_again
    if opened:
        await opened[-1].close()


@pytest.fixture
async def store(open_store):
    return await open_store()


@pytest.fixture
def operator(store_path):
    """The same store for a command of an operator."""
    return SqliteOperatorStore(store_path)
