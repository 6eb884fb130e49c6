"""(o) Several daemons on one ledger in PostgreSQL: what the ledger does for two beside one.

Each is a process with a campaign of its own. It claims, intends and settles contacts, so that every
one costs what it costs in a run; there is no platform.

One daemon and its session of the server work at the same time, so together they use more than one
core. What the second daemon adds is seen only if there is a core for it and its session: here each
daemon has one together with its session. Two daemons with a server each show what the machine
permits then. All on the same cores is measured, too.
"""

import asyncio
import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Barrier
from statistics import median
from typing import Any, NamedTuple

from benchmarks.harness import keep, move_to_cores, on_cores, table
from dispatcher.domain.contact import Contact
from dispatcher.domain.decision import Notify
from dispatcher.domain.status import Reason, Relation, Status, Step
from dispatcher.ledgers.postgres.address import PostgresAddress
from dispatcher.ledgers.postgres.store import PostgresStore
from dispatcher.ports import Batch, Claim, Intent, Lease, LeaseKind, Ledger, Settlement
from tests.support.servers.postgres import PASSWORD, USER, Postgres, postgres

TIMES_ONE = 1.7
"""What two daemons do at least, in contacts a second of one, if each has a core for itself."""
AT_A_TIME = 64
BATCH = 256
START_SECONDS = 600.0
SHARED = "all on the same cores"
APART = "each on a core with its session"
OWN_SERVERS = "the same, and each has a server"


class Place(NamedTuple):
    """Where a daemon runs: the number of its server, and its cores and its session's; None: all."""

    server: int
    cores: frozenset[int] | None


Layout = tuple[str, tuple[Place, ...]]
"""What a layout is called, and the places of its daemons."""


def run(count: int, repeats: int) -> dict[str, Any]:
    """Measure all layouts in turns, print the table, and return the result."""
    layouts = list(_layouts())
    figures: dict[tuple[int, str], list[float]] = {}
    with ExitStack() as stack:
        servers = [stack.enter_context(postgres(fsync=True)) for _ in range(2)]
        for number in range(-1, repeats):
            for where, places in layouts[:: -1 if number % 2 else 1]:
                rate = _measure(servers, places, count)
                if number >= 0:  # the first round only warms up
                    figures.setdefault((len(places), where), []).append(rate)
    return _report(count, figures)


def _layouts() -> Iterator[Layout]:
    yield SHARED, (Place(0, None),)
    yield SHARED, (Place(0, None), Place(0, None))
    if len(cores := _cores()) > 1:
        first, second = (frozenset({core}) for core in cores[:2])
        yield APART, (Place(0, first),)
        yield APART, (Place(0, first), Place(0, second))
        yield OWN_SERVERS, (Place(0, first), Place(1, second))


def _cores() -> Sequence[int]:
    """Return the cores that this process may use; empty where processes cannot be kept to some."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else ()


def _report(count: int, figures: dict[tuple[int, str], list[float]]) -> dict[str, Any]:
    rows: list[list[object]] = [["daemons", "where", "contacts/s", "range", "of one", "promised"]]
    ratios: dict[str, float] = {}
    for (daemons, where), rates in figures.items():
        alone = figures[1, SHARED if where == SHARED else APART]
        ratio = ratios[f"{daemons}, {where}"] = median(rates) / median(alone)
        is_promised = daemons > 1 and where == APART
        spread = f"{min(rates):,.0f}-{max(rates):,.0f}"
        promise = f">= {TIMES_ONE}" if is_promised else "-"
        rows.append([daemons, where, f"{median(rates):,.0f}", spread, f"{ratio:.2f}", promise])
    print(table(rows))
    result = {
        "contacts": count,
        "figures": {f"{daemons}, {where}": rates for (daemons, where), rates in figures.items()},
        "ratios": ratios,
        "holds": ratios.get(f"2, {APART}", TIMES_ONE) >= TIMES_ONE,
    }
    keep("daemons", result)
    return result


def _measure(servers: Sequence[Postgres], places: Sequence[Place], count: int) -> float:
    """Return the contacts a second of all daemons together."""
    urls = {number: _url(servers[number]) for number in {place.server for place in places}}
    for number, url in urls.items():
        asyncio.run(_prepare(url))
        of_server = {core for place in places for core in place.cores or _cores()}
        _move(servers[number], of_server, children=True)
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(len(places))
    started: list[tuple[BaseProcess, Connection]] = []
    try:
        for number, (server, cores) in enumerate(places):
            if cores:
                _move(servers[server], set(cores), children=False)
            ours, theirs = context.Pipe(duplex=False)
            arguments = (urls[server], f"c{number}", count, barrier, theirs)
            process = context.Process(target=_daemon, args=arguments)
            with on_cores(cores and set(cores)):
                process.start()
            started.append((process, ours))
            theirs.close()
            ours.recv()  # its session is there, on the cores that the server has now
        spans = [ours.recv() for _, ours in started]
    finally:
        for process, _ in started:
            process.terminate()
            process.join()
    began, ended = min(span[0] for span in spans), max(span[1] for span in spans)
    return float(len(places) * count / (ended - began))


def _move(server: Postgres, cores: set[int], *, children: bool) -> None:
    """Let a server start its sessions on these cores, if processes can be kept to some."""
    if cores:
        move_to_cores(server.process_id, cores, children=children)


def _url(server: Postgres) -> str:
    return f"postgresql://{USER}@127.0.0.1:{server.port}/{server.database().name}"


async def _prepare(url: str) -> None:
    """Make the schema, so that no daemon waits for another one that makes it."""
    await (await PostgresStore.open(PostgresAddress(url, PASSWORD))).close()


def _daemon(url: str, campaign: str, count: int, barrier: Barrier, answers: Connection) -> None:
    answers.send(asyncio.run(_work(url, campaign, count, barrier, answers)))


async def _work(
    url: str, campaign: str, count: int, barrier: Barrier, answers: Connection
) -> tuple[float, float]:
    store = await PostgresStore.open(PostgresAddress(url, PASSWORD))
    if await store.try_take([Lease(LeaseKind.CAMPAIGN, campaign)]):
        raise RuntimeError(f"another daemon has {campaign}")
    ledger = await store.campaign(campaign)
    for first in range(0, count, BATCH):
        await ledger.admit(Batch(_people(campaign, first, min(first + BATCH, count))), 0.0, 0)
    answers.send("ready")
    await asyncio.to_thread(barrier.wait, START_SECONDS)
    began = time.monotonic()
    claims: Sequence[Claim] = await ledger.claim(AT_A_TIME, 1.0)
    while claims:
        await asyncio.gather(*(_send(ledger, claim) for claim in claims))
        claims = await ledger.claim(AT_A_TIME, 1.0)
    ended = time.monotonic()
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
