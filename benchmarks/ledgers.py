"""(l) A ledger in a file against one in a PostgreSQL database on the same machine, side by side."""

import asyncio
import json
import os
import resource
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any
from zlib import crc32

from benchmarks.harness import (
    PASSWORD_VARIABLE,
    RESULTS,
    contacts,
    keep,
    measured,
    median,
    table,
    write_config,
)
from dispatcher.domain.contact import Contact
from dispatcher.domain.decision import Notify
from dispatcher.domain.progress import NEW
from dispatcher.domain.status import Reason, Relation, Status, Step
from dispatcher.ledgers.ledger import SqliteLedger
from dispatcher.ledgers.postgres.address import PostgresAddress
from dispatcher.ledgers.postgres.store import PostgresStore
from dispatcher.ports import Batch, Claim, Intent, Ledger, Settlement
from tests.support.sandbox_process import SCENARIOS, sandbox
from tests.support.servers.postgres import PASSWORD, USER, Postgres, postgres

KINDS = ("file", "postgres")
WORKERS = 64
PROMISED = 0.9
"""A daemon with a database sends so many contacts of those that one with a file sends, and more."""
_SETTLED_ONCE = NEW.count_send()
_BATCH = 500


def run(count: int, repeats: int, ledger: str = "") -> dict[str, Any]:
    """Measure, print the table, and return the result; ``ledger`` is one kind alone."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    kinds = (ledger,) if ledger else KINDS
    figures: dict[str, dict[str, list[dict[str, float]]]] = {
        name: {kind: [] for kind in kinds} for name in ("ledger alone", "whole run")
    }
    with (
        tempfile.TemporaryDirectory(dir=RESULTS) as name,
        postgres(fsync=True) as server,
        sandbox(SCENARIOS / "bench.toml", Path(name) / "effects.jsonl") as world,
    ):
        for number in range(-1, repeats):
            for kind in kinds[:: -1 if number % 2 else 1]:
                folder = Path(name) / f"{kind}-{number}"
                folder.mkdir()
                place = _url(server) if kind == "postgres" else str(folder / "ledger.db")
                alone = measured("ledgers.py", place, count, environment=_secrets())
                whole = _whole(folder, server, kind, world.url, count)
                if number >= 0:
                    figures["ledger alone"][kind].append(alone)
                    figures["whole run"][kind].append(whole)
    return _report(count, figures)


def _whole(folder: Path, server: Postgres, kind: str, url: str, count: int) -> dict[str, float]:
    name = f"whole-{folder.name}"
    source = contacts(folder, name, count, crc32(name.encode()))
    more = {"ledger_url": _url(server)} if kind == "postgres" else {}
    config = write_config(
        folder, name, contacts=source, url=url, workers=WORKERS, statsd_port=9, **more
    )
    found = measured("whole.py", config, environment=_secrets())
    if found["contacts"] != count:
        raise RuntimeError(f"{found['contacts']} of {count} contacts were sent")
    return found


def _url(server: Postgres) -> str:
    return f"postgresql://{USER}@127.0.0.1:{server.port}/{server.database().name}"


def _secrets() -> dict[str, str]:
    return {PASSWORD_VARIABLE: PASSWORD}


async def drive(place: str, count: int) -> dict[str, float]:
    """Admit and send ``count`` contacts as the engine does, without a platform."""
    if place.startswith("postgresql"):
        store = await PostgresStore.open(PostgresAddress(place, os.environ[PASSWORD_VARIABLE]))
        close, ledger = store.close, await store.campaign("bench")
    else:
        opened = await SqliteLedger.open(place, "bench")
        close, ledger = opened.close, opened
    queue: asyncio.Queue[Claim | None] = asyncio.Queue(2 * _BATCH)
    began, cpu = time.perf_counter(), _cpu()
    sending = [asyncio.ensure_future(_send(ledger, queue)) for _ in range(WORKERS)]
    numbers = iter(range(count))
    while part := list(islice(numbers, _BATCH)):
        rows = [
            Contact(
                f"key-{n:08}", f"talk-{n:08}", "Hello somebody " * 10, external_contact_id=f"p-{n}"
            )
            for n in part
        ]
        for claim in (await ledger.admit(Batch(rows), time.time(), len(rows))).claims:
            await queue.put(claim)
    for _ in sending:
        await queue.put(None)
    await asyncio.gather(*sending)
    seconds, used = time.perf_counter() - began, _cpu() - cpu
    await close()
    return {"contacts": count, "seconds": seconds, "cpu_seconds": used}


async def _send(ledger: Ledger, queue: "asyncio.Queue[Claim | None]") -> None:
    while (claim := await queue.get()) is not None:
        contact = claim.contact
        now, who = time.time(), contact.external_contact_id
        decision = Notify(contact.conversation_id)
        await ledger.intend(Intent(claim.id, Step.NOTIFY, decision, now, _SETTLED_ONCE, who))
        await ledger.settle(
            Settlement(
                claim.id, Status.NOTIFIED, Reason.DELIVERED, now, _SETTLED_ONCE, Relation.NOTIFIED,
                contact.conversation_id, f"message-{claim.id}", who, "active", now, "correlation",
            )
        )  # fmt: skip


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _report(count: int, figures: dict[str, dict[str, list[dict[str, float]]]]) -> dict[str, Any]:
    shown: list[list[object]] = [
        ["", "ledger", "contacts/s", "CPU of the daemon, µs a contact", "contacts/s, of a file's"]
    ]
    ratios: dict[str, float] = {}
    for name, sides in figures.items():
        speed = {
            kind: median([count / it["seconds"] for it in found]) for kind, found in sides.items()
        }
        for kind, found in sides.items():
            cpu = median([it["cpu_seconds"] / count for it in found]) * 1e6
            ratio = speed[kind] / speed["file"] if "file" in speed else 1.0
            ratios[f"{name}, {kind}"] = ratio
            shown.append([name, kind, f"{speed[kind]:.0f}", f"{cpu:.0f}", f"{ratio:.2f}"])
    print(table(shown))
    holds = ratios.get("whole run, postgres", 1.0) >= PROMISED
    result = {"holds": holds, "contacts": count, "ratios": ratios, "figures": figures}
    keep("ledgers", result)
    return result


if __name__ == "__main__":
    print(json.dumps(asyncio.run(drive(sys.argv[1], int(sys.argv[2])))))
