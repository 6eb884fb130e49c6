"""(k) What each source guarantees, measured against its real server."""

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness import as_environment, keep, table
from benchmarks.sources import files, kafka, objects, snowflake, sql
from benchmarks.sources.kind import Breakable, Kind, Served, bad_rows
from tests.support.forked_process import ROOT, clean_environment

KINDS: Mapping[str, Kind] = {
    "files": files.plain,
    "parquet": files.parquet,
    "objects": objects.plain,
    "objects-gz": objects.compressed,
    "objects-parquet": objects.parquet,
    "objects-http": objects.web,
    "sql": sql.table,
    "snowflake": snowflake.by_key,
    "snowflake-result": snowflake.result,
    "kafka": kafka.topic,
}
"""One module a kind; to add one, add its line here."""
PARTS = tuple(KINDS)
KILLS = 20
RESUMED_ROWS = 40_000
AWAY_SECONDS = 1.0
CONFIG = """
campaign = "bench"
[message]
text = "Hello {first_name}, from {city}?"
[platform]
base_url = "http://127.0.0.1:9"
"""


@dataclass
class Figures:
    """What one source made of the tests; ``back_seconds`` is None where nothing can be away."""

    kills: int
    rows_per_second: float
    cpu_us_per_row: float
    start_mb: float
    peak_mb: float
    back_seconds: float | None
    bad_rows: int
    mistakes: list[str]


def run(parts: Sequence[str], rows: int) -> dict[str, Any]:
    """Measure each source, print the table, and return the result."""
    found: dict[str, Figures] = {}
    print(table([_head(rows)]), flush=True)
    for name in parts or PARTS:
        with tempfile.TemporaryDirectory() as folder, KINDS[name](Path(folder)) as served:
            found[name] = _measure(served, Path(folder), rows)
            print(table([_line(name, found[name])]).partition("\n")[0], flush=True)
    for name, one in found.items():
        for mistake in one.mistakes:
            print(f"{name}: {mistake}")
    result = {
        "sources": {name: asdict(one) for name, one in found.items()},
        "holds": not any(one.mistakes for one in found.values()),
    }
    keep("sources", result)
    return result


def _head(rows: int) -> list[str]:
    return ["source", f"after {KILLS} kills", f"MB at {rows:,} rows: start, peak", "rows/s",
            "CPU µs/row", "away and back", "bad rows kept"]  # fmt: skip


def _line(name: str, one: Figures) -> list[str]:
    back = "-" if one.back_seconds is None else f"noticed after {one.back_seconds:.1f} s"
    resumed = "; ".join(one.mistakes) or "each row once"
    return [name, resumed, f"{one.start_mb:.0f}, {one.peak_mb:.0f}", f"{one.rows_per_second:,.0f}",
            f"{one.cpu_us_per_row:.1f}", back, f"{one.bad_rows:,}"]  # fmt: skip


def _measure(served: Served, folder: Path, rows: int) -> Figures:
    (folder / "config.toml").write_text(CONFIG)
    served.fill(RESUMED_ROWS)
    mistakes = _wrong("after kills", _kill(served, folder), RESUMED_ROWS)
    back = None
    if served.breakable is not None:
        back, result = _go_away(served, served.breakable, folder)
        mistakes += _wrong("away and back", result, RESUMED_ROWS)
    served.fill(rows)
    result = _end(_start(served, folder))
    mistakes += _wrong("read at once", result, rows)
    return Figures(
        kills=KILLS,
        rows_per_second=rows / result["seconds"],
        cpu_us_per_row=result["cpu_seconds"] / rows * 1e6,
        start_mb=result["start_mb"],
        peak_mb=result["peak_mb"],
        back_seconds=back,
        bad_rows=result["rejected"],
        mistakes=mistakes,
    )


def _wrong(what: str, result: Mapping[str, Any], rows: int) -> list[str]:
    """Return what is not as it has to be: each row once, and each bad one kept."""
    bad = bad_rows(rows)
    expected = {"admitted": rows - bad, "duplicates": 0, "rejected": bad}
    return [
        f"{what}: {result[key]} {key} instead of {number}"
        for key, number in expected.items()
        if result[key] != number
    ]


def _kill(served: Served, folder: Path) -> dict[str, Any]:
    """Kill readers a moment after their first batches, then let one read to the end."""
    dice, ledger = random.Random(1), folder / "killed.db"
    for _ in range(KILLS):
        reader = _start(served, folder, ledger)
        _await(reader, "." * dice.randint(1, 2))
        time.sleep(dice.uniform(0, 0.02))
        reader.kill()
        reader.communicate()
    return _end(_start(served, folder, ledger))


def _go_away(served: Served, server: Breakable, folder: Path) -> tuple[float, dict[str, Any]]:
    """Take the server away while it is read; return the seconds until its return is noticed."""
    reader = _start(served, folder, folder / "away.db", breakable=True)
    _await(reader, "...")
    server.break_off()
    _await(reader, "?")
    time.sleep(AWAY_SECONDS)
    server.give_back()
    began = time.perf_counter()
    _await(reader, "!")
    return time.perf_counter() - began, _end(reader)


def _start(
    served: Served, folder: Path, ledger: Path | None = None, *, breakable: bool = False
) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "benchmarks.sources.reader", str(folder / "config.toml")]
    settings = as_environment(served.settings(breakable=breakable))
    environment = {**clean_environment(), **served.environment, **settings, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [*command, *([str(ledger)] if ledger else [])],
        stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment,
    )  # fmt: skip


def _await(reader: "subprocess.Popen[str]", signs: str) -> None:
    """Wait until a reader has printed these signs in this order, others between them or not."""
    assert reader.stdout is not None
    for sign in signs:
        while (found := reader.stdout.read(1)) != sign:
            if found in ("", "\n"):
                raise RuntimeError(f"the reader ended before it printed {sign!r}")


def _end(reader: "subprocess.Popen[str]") -> dict[str, Any]:
    out, _ = reader.communicate()
    if reader.returncode:
        raise RuntimeError("a reader failed")
    result: dict[str, Any] = json.loads(out.splitlines()[-1])
    return result
