"""Several daemons on one ledger in PostgreSQL: what the ledger does for two beside one.

Each is a process with a campaign of its own. It claims, intends and settles contacts, so that every
one costs what it costs in a run; there is no platform.
"""

import asyncio
import multiprocessing
import time
from collections.abc import Sequence
from multiprocessing.synchronize import Barrier
from statistics import median
from typing import Any

from benchmarks.harness import keep, table
from dispatcher.domain.contact import Contact
from dispatcher.domain.decision import Notify
from dispatcher.domain.status import Reason, Relation, Status, Step
from dispatcher.ledgers.postgres.address import PostgresAddress
from dispatcher.ledgers.postgres.store import PostgresStore
from dispatcher.ports import Batch, Claim, Intent, Lease, LeaseKind, Ledger, Settlement
from tests.support.servers.postgres import PASSWORD, USER, PostgresDatabase, postgres

TIMES_ONE = 1.7
"""What two daemons do at least, in contacts a second of one."""
AT_A_TIME = 64
BATCH = 256


def run(count: int, repeats: int) -> dict[str, Any]:
    """Measure one daemon and two, in turns, print the table, and return the result."""
    figures: dict[int, list[float]] = {1: [], 2: []}
    with postgres(fsync=True) as server:
        for number in range(-1, repeats):
            for daemons in (1, 2)[:: -1 if number % 2 else 1]:
                rate = _measure(server.database(), daemons, count)
                if number >= 0:  # the first pair only warms up
                    figures[daemons].append(rate)
    one, two = (median(figures[daemons]) for daemons in (1, 2))
    rows: list[list[object]] = [["daemons", "contacts/s", "range", "of one", "promised"]]
    for daemons, rates in figures.items():
        share = median(rates) / one
        promise = f">= {TIMES_ONE}" if daemons > 1 else "-"
        spread = f"{min(rates):,.0f}-{max(rates):,.0f}"
        rows.append([daemons, f"{median(rates):,.0f}", spread, f"{share:.2f}", promise])
    print(table(rows))
    result = {"contacts": count, "figures": figures, "holds": two / one >= TIMES_ONE}
    keep("daemons", result)
    return result


def _measure(database: PostgresDatabase, daemons: int, count: int) -> float:
    """Return the contacts a second of all daemons together."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(daemons), context.SimpleQueue()
    url = f"postgresql://{USER}@127.0.0.1:{database.port}/{database.name}"
    asyncio.run(_prepare(url))
    processes = [
        context.Process(target=_daemon, args=(url, f"c{number}", count, barrier, results))
        for number in range(daemons)
    ]
    for process in processes:
        process.start()
    spans = [results.get() for _ in processes]
    for process in processes:
        process.join()
    began, ended = min(span[0] for span in spans), max(span[1] for span in spans)
    return float(daemons * count / (ended - began))


async def _prepare(url: str) -> None:
    """Make the schema, so that no daemon waits for another one that makes it."""
    await (await PostgresStore.open(PostgresAddress(url, PASSWORD))).close()


def _daemon(url: str, campaign: str, count: int, barrier: Barrier, results: Any) -> None:
    results.put(asyncio.run(_work(url, campaign, count, barrier)))


async def _work(url: str, campaign: str, count: int, barrier: Barrier) -> tuple[float, float]:
    store = await PostgresStore.open(PostgresAddress(url, PASSWORD))
    if await store.try_take([Lease(LeaseKind.CAMPAIGN, campaign)]):
        raise RuntimeError(f"another daemon has {campaign}")
    ledger = await store.campaign(campaign)
    for first in range(0, count, BATCH):
        await ledger.admit(Batch(_people(campaign, first, min(first + BATCH, count))), 0.0, 0)
    await asyncio.to_thread(barrier.wait)
    began = time.time()
    claims: Sequence[Claim] = await ledger.claim(AT_A_TIME, 1.0)
    while claims:
        await asyncio.gather(*(_send(ledger, claim) for claim in claims))
        claims = await ledger.claim(AT_A_TIME, 1.0)
    ended = time.time()
    await store.close()
    return began, ended


async def _send(ledger: Ledger, claim: Claim) -> None:
    conversation = claim.contact.conversation_id
    intent = Intent(claim.id, Step.NOTIFY, Notify(conversation), 1.0, claim.progress)
    if await ledger.intend(intent) is not None:
        raise RuntimeError(f"contact {claim.id} may not be sent to")
    await ledger.settle(
        Settlement(
            claim.id, Status.NOTIFIED, Reason.DELIVERED, 2.0, claim.progress,
            relation=Relation.NOTIFIED, conversation_id=conversation,
            message_id=f"message-{claim.id}",
        )
    )  # fmt: skip


def _people(campaign: str, first: int, last: int) -> list[Contact]:
    keys = [f"{campaign}-{number}" for number in range(first, last)]
    return [Contact(key, key, "Hello somebody", external_contact_id=key) for key in keys]
