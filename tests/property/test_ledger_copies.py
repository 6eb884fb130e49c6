"""Copies of ledgers from a file into a database and back: nothing changes on the way."""

import os
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from dispatcher.ledgers.copying import copy_ledger, file_copy_ledger
from dispatcher.ledgers.copying.copy import Copier
from dispatcher.ledgers.copying.file_copy_ledger import FileCopyLedger
from dispatcher.ledgers.postgres import server_copy_ledger
from dispatcher.ledgers.postgres.server_copy_ledger import ServerCopyLedger
from tests.support.random_ledgers import ledgers, whole_content, write_ledger
from tests.support.servers.shared import on

pytestmark = on("postgres_server")
NOW = 1.8e9


@pytest.fixture(scope="module")
def address(ledger_databases):
    address = ledger_databases.create()
    yield address
    ledger_databases.drop(address)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    for module in (copy_ledger, file_copy_ledger, server_copy_ledger):
        monkeypatch.setattr(module, "BATCH", 3)


def copy(source, target):
    with closing(source) as old, closing(target) as new:
        return Copier(old, new, now=lambda: NOW).copy()


@settings(
    max_examples=int(os.environ.get("EXAMPLES", "6")),  # an example makes two databases
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(ledgers())
def test_a_ledger_comes_back_as_it_was(address, tables):
    """All rows of all tables, with every character, number and time; twice."""
    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder) / "a.db", Path(folder) / "b.db"
        write_ledger(first, tables)
        try:
            there = copy(
                FileCopyLedger.open(first, create=False, now=NOW),
                ServerCopyLedger.open(address, create=True, now=NOW),
            )
            assert there.rows["contact"] == len(tables["contact"])
            back = copy(
                ServerCopyLedger.open(address, create=False, now=NOW),
                FileCopyLedger.open(second, create=True, now=NOW),
            )
        finally:
            with closing(ServerCopyLedger.open(address, create=True, now=NOW)) as used:
                used.clear()
                used.mark(None)
        assert back.rows == there.rows
        assert whole_content(second) == whole_content(first)
