"""Reads a source once, as one measured process: ``reader.py CONFIG [LEDGER]``.

It prints a dot for each batch, a question mark when the source begins to wait, an exclamation mark
when it is back, and at the end a line of JSON. With a ledger each batch is admitted before its dot.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from dispatcher.app.sources import make_source
from dispatcher.ledgers.ledger import SqliteLedger
from dispatcher.ports import Batch, Source
from dispatcher.settings import load

LOOK_SECONDS = 0.02


def main(config: Path, ledger: Path | None) -> None:
    """Read to the end, and print what it took."""
    source = make_source(load(config, env=os.environ, purpose="preview"), once=True)
    before, cpu, began = _memory_mb("VmRSS"), time.process_time(), time.perf_counter()
    found = asyncio.run(_admit(source, ledger) if ledger else _read(source))
    result = {
        **found,
        "seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time() - cpu,
        "start_mb": before,
        "peak_mb": _memory_mb("VmHWM"),
    }
    print("\n" + json.dumps(result), flush=True)


async def _read(source: Source) -> dict[str, Any]:
    admitted, places = 0, set()
    async for batch in source.batches({}):
        admitted += len(batch.contacts)
        places |= {(row.file, row.line) for row in batch.rejected}
    return {"admitted": admitted, "duplicates": 0, "rejected": len(places)}


async def _admit(source: Source, path: Path) -> dict[str, Any]:
    async with await SqliteLedger.open(path, "bench") as ledger:
        watching = asyncio.create_task(_watch(source))
        async for batch in source.batches(await ledger.streams()):
            await _admit_batch(ledger, batch)
        watching.cancel()
        totals = await ledger.totals()
    rejected = sum(totals.rejected.values())
    return {
        "admitted": totals.admitted,
        "duplicates": totals.duplicates,
        "rejected": rejected,
    }


async def _admit_batch(ledger: SqliteLedger, batch: Batch) -> None:
    admitted = await ledger.admit(batch, time.time(), 0)
    if batch.done is not None:
        batch.done(admitted)
    print(".", end="", flush=True)


async def _watch(source: Source) -> None:
    waited = False
    while True:
        if bool(source.waits_for) != waited:
            waited = not waited
            print("?" if waited else "!", end="", flush=True)
        await asyncio.sleep(LOOK_SECONDS)


def _memory_mb(name: str) -> float:
    """Return the memory in MB; the peak of getrusage is that of the parent, if it has more."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if sys.argv[2:] else None)
