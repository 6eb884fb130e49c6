"""How notices say that a run ended."""

import asyncio

import pytest

from dispatcher.app.run_end import ended, raised, with_counts
from dispatcher.domain.status import Reason, Status
from dispatcher.engine.run_options import RunOutcome
from dispatcher.ports import LedgerError, SourceError, Totals


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (ended(RunOutcome.HALTED), {"outcome": "halted"}),
        (ended(None), {"outcome": "stopped"}),
        (raised(asyncio.CancelledError(), 1), {"outcome": "drained"}),
        (raised(asyncio.CancelledError(), 2), {"outcome": "stopped"}),
        (
            raised(SourceError("a: gone;\nmount it"), 0),
            {"outcome": "error", "exit_code": 3, "detail": "a: gone; mount it"},
        ),
        (
            raised(LedgerError("ledger a: full"), 0),
            {"outcome": "error", "exit_code": 4, "detail": "ledger a: full"},
        ),
        (
            raised(KeyError("secret-9Q"), 0),
            {"outcome": "error", "exit_code": 1, "detail": "KeyError"},
        ),
    ],
)
def test_each_way_to_end(facts, expected):
    """Of a bug the text is not shown: it may be a contact's."""
    assert facts == expected


def test_contacts_are_counted_by_status():
    """Over all reasons; not at all if the ledger could not be read."""
    by_status = {
        (Status.SKIPPED, Reason.DROPPED): 1,
        (Status.SKIPPED, Reason.EXPIRED): 2,
        (Status.READY, None): 3,
    }
    totals = Totals(6, 6, 0, {}, 0, by_status)
    assert with_counts({"outcome": "done"}, totals) == {"outcome": "done", "skipped": 3, "ready": 3}
    assert with_counts({"outcome": "done"}, None) == {"outcome": "done"}
