"""Batches of maintenance work, run by the writer of a ledger that is open."""

from typing import TypeVar

from dispatcher.ledgers.ledger import SqliteLedger
from dispatcher.ledgers.maintenance.batches import BatchGenerator

T = TypeVar("T")


async def run_jobs(ledger: SqliteLedger, work: BatchGenerator[T]) -> T:
    """Run the jobs of ``work`` one after the other, between the ledger's own writes."""
    answer = None
    while True:
        try:
            job = work.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result
        answer = await ledger.job(job)
