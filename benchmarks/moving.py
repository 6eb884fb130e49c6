"""(m) A ledger that moves from a file into a database on the same machine, and back."""

import json
import os
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.filled import fill
from benchmarks.harness import PASSWORD_VARIABLE, RESULTS, keep, measured, table
from benchmarks.peak_memory import peak_rss_mb
from dispatcher.ledgers.copying.copy import Copier
from dispatcher.ledgers.copying.copy_ledger import CopyLedger
from dispatcher.ledgers.copying.file_copy_ledger import FileCopyLedger
from dispatcher.ledgers.postgres.address import PostgresAddress
from dispatcher.ledgers.postgres.server_copy_ledger import ServerCopyLedger
from tests.support.servers.postgres import PASSWORD, USER, postgres

PROMISED_MB = 400.0
"""The peak memory of a copy, whatever the size of the ledger; 200 MB are SQLite's cache."""


def run(rows: int = 1_000_000) -> dict[str, Any]:
    """Measure, print the table, and return the result."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=RESULTS) as name, postgres(fsync=True) as server:
        path, back = Path(name) / "ledger.db", Path(name) / "back.db"
        fill(path, "play", rows)
        url = f"postgresql://{USER}@127.0.0.1:{server.port}/{server.database().name}"
        secrets = {PASSWORD_VARIABLE: PASSWORD}
        moves = {
            "into the database": measured("moving.py", path, url, environment=secrets),
            "into a file": measured("moving.py", url, back, environment=secrets),
        }
        sizes = [f"{file.stat().st_size / 2**30:.2f} GiB" for file in (path, back)]
    shown: list[list[object]] = [
        ["", "rows", "copied, rows/s", "compared, rows/s", "whole, s", "peak RSS"]
    ]
    for title, move in moves.items():
        copied, compared = (
            f"{number / move[name]:,.0f}"
            for name, number in (("copying", move["rows"]), ("comparing", 2 * move["rows"]))
        )
        whole, peak = f"{move['seconds']:.0f}", f"{move['peak_rss_mb']:.0f} MB"
        shown.append([title, f"{move['rows']:,}", copied, compared, whole, peak])
    print(table(shown))
    print(f"files: {', '.join(sizes)}")
    holds = all(move["peak_rss_mb"] <= PROMISED_MB for move in moves.values())
    result = {"contacts": rows, "moves": moves, "holds": holds}
    keep("moving", result)
    return result


def _end(place: str, *, create: bool) -> CopyLedger:
    now = time.time()
    if place.startswith("postgresql:"):
        address = PostgresAddress(place, os.environ[PASSWORD_VARIABLE])
        return ServerCopyLedger.open(address, create=create, now=now)
    return FileCopyLedger.open(Path(place), create=create, now=now)


def main() -> None:
    """Copy one ledger to another one, and print figures as JSON."""
    source, target = sys.argv[1:]
    moments: dict[str, float] = {}

    def note(_: tuple[int, int | None], compared: tuple[int, int | None]) -> None:
        moments["compared" if compared[0] else "copied"] = time.perf_counter()

    started = time.perf_counter()
    with closing(_end(source, create=False)) as old, closing(_end(target, create=True)) as new:
        copied = Copier(old, new, note).copy()
    figures = {
        "rows": sum(copied.rows.values()),
        "copying": moments["copied"] - started,
        "comparing": moments["compared"] - moments["copied"],
        "seconds": time.perf_counter() - started,
        "peak_rss_mb": peak_rss_mb(),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
