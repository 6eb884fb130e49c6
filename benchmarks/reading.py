"""(e) Rows per second and CPU per row of reading a plain CSV file into contacts."""

import asyncio
import random
import statistics
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from benchmarks.harness import keep, table
from dispatcher.sources.factory import open_source
from dispatcher.sources.options import RowRules

RULES = RowRules(text="Hello {first_name}, from {city}?")
HEADER = "conversation_id,external_contact_id,address,first_name,city,order\n"


def run(rows: int, repeats: int) -> dict[str, Any]:
    """Measure, print the table, and return the result; nothing is promised.

    To compare two states of the code, run each in turns on the same machine.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "contacts.csv"
        _write(path, rows)
        measured = [_read(path, rows) for _ in range(repeats)]
    speed, cpu = (statistics.median(values) for values in zip(*measured, strict=True))
    print(table([["rows/s", "CPU µs/row"], [f"{speed:,.0f}", f"{cpu:.2f}"]]))
    result = {"rows_per_second": speed, "cpu_us_per_row": cpu, "holds": True}
    keep("reading", result)
    return result


def _write(path: Path, rows: int) -> None:
    dice = random.Random(1)
    with path.open("w") as file:
        file.write(HEADER)
        for number in range(rows):
            ids = (uuid.UUID(int=dice.getrandbits(128)) for _ in range(2))
            phone = f"+49170{dice.randrange(10**7):07}"
            file.write(f"{','.join(map(str, ids))},{phone},Ada,Rome,{number}\n")


def _read(path: Path, rows: int) -> tuple[float, float]:
    """Return rows per second, and microseconds of CPU time per row."""

    async def read() -> int:
        source = open_source(str(path), RULES, watch=False, once=True)
        return sum([len(batch.contacts) async for batch in source.batches({})])

    began, cpu = time.perf_counter(), time.process_time()
    if asyncio.run(read()) != rows:
        raise RuntimeError("not every row became a contact")
    return rows / (time.perf_counter() - began), (time.process_time() - cpu) / rows * 1e6
