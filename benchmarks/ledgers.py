"""(l) A ledger in a file against one in a PostgreSQL database on the same machine, side by side."""

import asyncio
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
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
    move_to_cores,
    table,
    write_config,
)
from dispatcher.domain.contact import Contact
from dispatcher.domain.decision import Notify
from dispatcher.domain.progress import NEW
from dispatcher.domain.status import Reason, Relation, Status, Step
from dispatcher.ledgers.ledger import SqliteLedger
from dispatcher.ledgers.postgres.address import PostgresAddress, connect
from dispatcher.ledgers.postgres.migrations import migrate
from dispatcher.ledgers.postgres.store import PostgresStore
from dispatcher.ledgers.schema import open_for_writing
from dispatcher.ports import Batch, Claim, Intent, Ledger, Settlement
from tests.support.sandbox_process import SCENARIOS, sandbox
from tests.support.servers.postgres import PASSWORD, USER, Postgres, postgres

KINDS = ("file", "postgres")
WORKERS = 64
PROMISED = 0.9
"""A dispatcher with a database sends at least so many contacts of those that one with a file sends.

It is promised for a database on other cores than the dispatcher's, as on a machine of its own. On
the same cores the server's work is time that the dispatcher does not get.
"""
SHARED, APART = "all on the same cores", "the dispatcher on a core of its own"
ALONE, WHOLE = "ledger alone", "whole run"
_SETTLED_ONCE = NEW.count_send()
_BATCH = 500


def run(count: int, repeats: int, ledger: str = "") -> dict[str, Any]:
    """Measure, print the table, and return the result; ``ledger`` is one kind alone."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    kinds = (ledger,) if ledger else KINDS
    figures: Figures = {}
    for layout, cores in _layouts().items():
        for what, kind, found in _rounds(cores, kinds, count, repeats):
            figures.setdefault((what, layout), {}).setdefault(kind, []).append(found)
    return _report(count, figures)


Cores = tuple[set[int] | None, set[int] | None]
"""The cores of the dispatcher, and those of the database and the sandbox; None: all."""
Figures = dict[tuple[str, str], dict[str, list[dict[str, float]]]]
"""What was measured, by what was measured and where, and then by the kind of ledger."""


def _rounds(
    cores: Cores, kinds: Sequence[str], count: int, repeats: int
) -> Iterator[tuple[str, str, dict[str, float]]]:
    """Measure both kinds of ledgers in turns, after a round that warms up."""
    own, others = cores
    with (
        tempfile.TemporaryDirectory(dir=RESULTS) as name,
        postgres(fsync=True) as server,
        sandbox(SCENARIOS / "bench.toml", Path(name) / "effects.jsonl") as world,
    ):
        if others is not None:
            move_to_cores(server.process_id, others)
            move_to_cores(world.process.pid, others)
        for number in range(-1, repeats):
            for kind in kinds[:: -1 if number % 2 else 1]:
                folder = Path(name) / f"{kind}-{number}"
                folder.mkdir()
                place = _Place(folder, kind, server, own)
                alone, whole = place.ledger_alone(count), place.whole_run(world.url, count)
                if number >= 0:
                    yield ALONE, kind, alone
                    yield WHOLE, kind, whole


def _layouts() -> dict[str, Cores]:
    layouts: dict[str, Cores] = {SHARED: (None, None)}
    if hasattr(os, "sched_getaffinity") and len(cores := sorted(os.sched_getaffinity(0))) > 1:
        layouts[APART] = ({cores[0]}, set(cores[1:]))
    return layouts


@dataclass(frozen=True)
class _Place:
    """Where a dispatcher runs, and where its ledger is."""

    folder: Path
    kind: str
    server: Postgres
    cores: set[int] | None

    def ledger_alone(self, count: int) -> dict[str, float]:
        """Admit and send contacts without a platform."""
        is_file = self.kind == "file"
        place = str(self.folder / "ledger.db") if is_file else _url(self.server)
        return measured("ledgers.py", place, count, environment=_secrets(), cores=self.cores)

    def whole_run(self, url: str, count: int) -> dict[str, float]:
        """Run the whole dispatcher, with an empty ledger that is there already."""
        name = f"whole-{self.folder.name}"
        source = contacts(self.folder, name, count, crc32(name.encode()))
        if self.kind == "file":
            more = {"ledger": self.folder / "whole.db"}
            with closing(open_for_writing(self.folder / "whole.db")):
                pass
        else:
            more = {"ledger_url": _url(self.server)}
            address = PostgresAddress(more["ledger_url"], PASSWORD)
            with connect(address) as connection:
                migrate(connection, address)
        config = write_config(
            self.folder, name, contacts=source, url=url, workers=WORKERS, statsd_port=9, **more
        )
        found = measured("whole.py", config, environment=_secrets(), cores=self.cores)
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


def _report(count: int, figures: Figures) -> dict[str, Any]:
    shown: list[list[object]] = [
        [
            "", "where", "ledger", "contacts/s", "CPU of the daemon, µs a contact",
            "contacts/s, of a file's", "promised",
        ]
    ]  # fmt: skip
    promised_in = WHOLE, APART if (WHOLE, APART) in figures else SHARED
    ratios: dict[str, float] = {}
    for (name, layout), sides in sorted(figures.items()):
        speed = {
            kind: median([count / it["seconds"] for it in found]) for kind, found in sides.items()
        }
        for kind, found in sides.items():
            cpu = median([it["cpu_seconds"] / count for it in found]) * 1e6
            ratio = speed[kind] / speed["file"] if "file" in speed else 1.0
            ratios[f"{name}, {kind}, {layout}"] = ratio
            is_promised = kind == "postgres" and (name, layout) == promised_in
            promise = f">= {PROMISED}" if is_promised else "-"
            shown.append(
                [name, layout, kind, f"{speed[kind]:.0f}", f"{cpu:.0f}", f"{ratio:.2f}", promise]
            )
    print(table(shown))
    holds = ratios.get(f"{WHOLE}, postgres, {promised_in[1]}", 1.0) >= PROMISED
    kept = {", ".join(where): found for where, found in figures.items()}
    result = {"holds": holds, "contacts": count, "ratios": ratios, "figures": kept}
    keep("ledgers", result)
    return result


if __name__ == "__main__":
    print(json.dumps(asyncio.run(drive(sys.argv[1], int(sys.argv[2])))))
