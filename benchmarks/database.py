"""(d) in PostgreSQL: a ledger with ten million settled contacts against an empty one."""

import asyncio
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from benchmarks.filled_database import fill
from benchmarks.harness import RESULTS, SECRETS, keep, median, table
from benchmarks.ledger import (
    CLAIMS,
    SIDES,
    answered_claim,
    figure,
    first_send,
    measure_sides,
    people,
    whole_run,
)
from dispatcher.ledgers.postgres.address import PostgresAddress
from dispatcher.ledgers.postgres.operator_store import PostgresOperatorStore
from dispatcher.ledgers.postgres.store import PostgresStore
from dispatcher.ports import Batch, Lease, LeaseKind, Ledger
from dispatcher.ports.care import PruneOrder
from tests.support.forked_process import ROOT, clean_environment
from tests.support.sandbox_process import SCENARIOS, SandboxProcess, sandbox
from tests.support.servers.postgres import PASSWORD, USER, Postgres, postgres

PROMISED = 1.2
"""By so much anything may take longer than with an empty ledger."""
SETTINGS = ("shared_buffers=1GB", "max_wal_size=8GB", "checkpoint_timeout=30min")
PAGES = "pages, a contact of a whole run"
OLD = 2_000
"""Contacts that are pruned."""


def run(rows: int, count: int, repeats: int) -> dict[str, Any]:
    """Measure, print the table, and return the result."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=RESULTS) as name,
        postgres(*SETTINGS, fsync=True) as server,
    ):
        folder, filled = Path(name), _database(server)
        began = time.perf_counter()
        fill(filled, "bench", rows)
        size = _size(server, filled) / (1 << 30)
        print(f"{rows:,} rows, {size:.2f} GiB, written in {time.perf_counter() - began:.0f} s")

        places: dict[str, PostgresAddress] = {}
        used: dict[str, PostgresAddress] = {}
        pages: dict[str, list[float]] = {side: [] for side in SIDES}

        def place(side: str, _name: str) -> dict[str, object]:
            places.clear()
            places[side] = used[side] = filled if side == "filled" else _database(server)
            return {"ledger_url": places[side].url}

        def whole(config: Path, world: SandboxProcess) -> float:
            ((side, address),) = places.items()
            before = _pages(server, address)
            seconds = whole_run(config, world)
            pages[side].append((_pages(server, address) - before) / count)
            return seconds

        figures: dict[str, dict[str, list[float]]] = {}
        with sandbox(SCENARIOS / "bench.toml", folder / "effects.jsonl") as world:
            for what, measure, number, contacts in (
                ("first send", first_send, repeats, 200),
                ("whole run", whole, repeats, count),
            ):
                figures[what] = measure_sides(folder, place, number, world, contacts, measure)
        figures[PAGES] = {side: found[1:] for side, found in pages.items()}
        figures["claim, answered"] = asyncio.run(_claims(used, repeats))
        figures["status"] = _statuses(used, repeats)
        few = _database(server)
        fill(few, "bench", 10 * OLD)
        figures["prune, a contact of the ledger"] = {
            "empty": [_prune(few) / (10 * OLD)], "filled": [_prune(filled) / rows],
        }  # fmt: skip
    return _report(rows, figures)


def _database(server: Postgres) -> PostgresAddress:
    url = f"postgresql://{USER}@127.0.0.1:{server.port}/{server.database().name}"
    return PostgresAddress(url, PASSWORD)


def _size(server: Postgres, address: PostgresAddress) -> int:
    name = address.url.rpartition("/")[2]
    return int(server.value(f"SELECT pg_database_size('{name}')"))


def _pages(server: Postgres, address: PostgresAddress) -> int:
    """Return how many pages of 8 kB were looked at in a database so far.

    It grows by the same in each run, however busy the machine is.
    """
    name = address.url.rpartition("/")[2]
    query = f"SELECT blks_hit + blks_read FROM pg_stat_database WHERE datname = '{name}'"
    return int(server.value(query))


def _statuses(sides: dict[str, PostgresAddress], repeats: int) -> dict[str, list[float]]:
    """Return how long ``status`` takes; a first pair only warms up."""
    found: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(-1, repeats):
        for side, address in sides.items():
            seconds = _status(address)
            if number >= 0:
                found[side].append(seconds)
    return found


async def _claims(sides: dict[str, PostgresAddress], repeats: int) -> dict[str, list[float]]:
    """Return how long a claim of 100 takes in each round until it is answered, with its commit.

    The sides take turns claim by claim. Each has one run for all rounds, as a dispatcher that goes
    on: in a new session, the first look into each page of the server's memory is a page fault.
    """
    found: dict[str, list[float]] = {side: [] for side in sides}
    async with AsyncExitStack() as stack:
        ledgers = {side: await _campaign(stack, address) for side, address in sides.items()}
        for number in range(-1, repeats):
            for ledger in ledgers.values():
                await ledger.admit(Batch(people(number)), 0.0, 0)
            times: dict[str, list[float]] = {side: [] for side in sides}
            for turn in range(CLAIMS):
                for side in list(sides)[:: -1 if turn % 2 else 1]:
                    times[side].append(await answered_claim(ledgers[side]))
            if number >= 0:
                for side in sides:
                    found[side].append(median(times[side]))
    return found


async def _campaign(stack: AsyncExitStack, address: PostgresAddress) -> Ledger:
    """Return the ledger of a run that has the lease of the campaign."""
    store = await PostgresStore.open(address)
    stack.push_async_callback(store.close)
    held = await store.try_take([Lease(LeaseKind.CAMPAIGN, "bench")])
    if held:
        raise RuntimeError(f"another run has the campaign: {held}")
    return await store.campaign("bench")


def _status(address: PostgresAddress) -> float:
    """Return seconds that the real ``dispatcher status`` takes."""
    command = [sys.executable, "-m", "dispatcher", "status", "--ledger", address.url, "--json"]
    began = time.perf_counter()
    subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT,
        env={**clean_environment(), "PGPASSWORD": PASSWORD, **SECRETS},
    )  # fmt: skip
    return time.perf_counter() - began


def _prune(address: PostgresAddress) -> float:
    """Return seconds that it takes to find and remove the oldest contacts."""
    began = time.perf_counter()
    pruned, _ = PostgresOperatorStore(address).tend(PruneOrder(1_750_000_000.0 + OLD * 0.2))
    if not pruned.contacts:
        raise RuntimeError("nothing was pruned")
    return time.perf_counter() - began


def _report(rows: int, figures: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
    ratios = {
        name: median([f / e for e, f in zip(sides["empty"], sides["filled"], strict=True)])
        for name, sides in figures.items()
    }
    shown: list[list[object]] = [["", "empty", "filled", "filled / empty", "promised"]]
    for name, sides in figures.items():
        shows = "{:.1f}".format if name == PAGES else figure
        times = [shows(median(sides[side])) for side in SIDES]
        shown.append([name, *times, f"{ratios[name]:.2f}", f"<= {PROMISED}"])
    print(table(shown))
    holds = max(ratios.values()) <= PROMISED
    result = {"holds": holds, "rows": rows, "ratios": ratios, "seconds": figures}
    keep("ledger-postgres", result)
    return result
