"""(d) A ledger with ten million settled contacts against an empty one, side by side."""

import asyncio
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

from benchmarks.filled import fill
from benchmarks.harness import (
    RESULTS,
    SECRETS,
    contacts,
    keep,
    measured,
    median,
    table,
    write_config,
)
from dispatcher.domain.contact import Contact
from dispatcher.ledgers.ledger import SqliteLedger
from dispatcher.ledgers.schema import open_for_writing
from dispatcher.ledgers.write import admission, claims, index_staging
from dispatcher.ports import Batch, Ledger
from tests.support.forked_process import ROOT, clean_environment
from tests.support.sandbox_process import SCENARIOS, SandboxProcess, sandbox
from tests.support.scenario_runner import CREDENTIALS

WORKERS = 64
SIDES = ("empty", "filled")
FIRST_SEND_SECONDS = 2.0
STATUS_SECONDS = 1.0
CLAIM = 1.2
"""By so much a claim may take longer than from an empty ledger, in the one thread that writes."""
WHOLE = 1.1
"""By so much a whole run may take longer than with an empty ledger."""
Measure = Callable[[Path, SandboxProcess], float]
Place = Callable[[str, str], dict[str, object]]
"""Returns what names the ledger of a side in a configuration that has a name."""

READY = 20_000
"""Contacts of which some are claimed."""
CLAIMS = 100
_POLL_SECONDS = 0.002


def run(rows: int, count: int, repeats: int) -> dict[str, Any]:
    """Measure, print the table, and return the result."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=RESULTS) as name:
        folder = Path(name)
        filled = folder / "filled.db"
        began = time.perf_counter()
        fill(filled, "bench", rows)
        size = filled.stat().st_size / (1 << 30)
        print(f"{rows:,} rows, {size:.2f} GiB, written in {time.perf_counter() - began:.0f} s")
        figures: dict[str, dict[str, list[float]]] = {}
        figures["status"] = {"filled": [_status(filled) for _ in range(repeats)]}
        with sandbox(SCENARIOS / "bench.toml", folder / "effects.jsonl") as world:
            place = partial(_place, folder, filled)
            figures["first send"] = measure_sides(folder, place, repeats, world, 200, first_send)
            figures["whole run"] = measure_sides(
                folder, place, repeats * 3, world, count, whole_run
            )
            figures["moving, a contact"] = {"filled": [merge_staged_rows(filled) / count]}
        figures["claim"] = _claims(folder, filled, repeats, _claim)
        figures["claim, answered"] = _claims(folder, filled, repeats, _answered_claim)
    return _report(rows, figures)


def _place(folder: Path, filled: Path, side: str, name: str) -> dict[str, object]:
    """Return the file of a side; the filled ledger is at rest before each of its turns."""
    if side == "filled":
        merge_staged_rows(filled)
    return {"ledger": filled if side == "filled" else folder / f"{name}.db"}


def measure_sides(
    folder: Path, place: Place, repeats: int, world: SandboxProcess, count: int, measure: Measure
) -> dict[str, list[float]]:
    """Measure one side after the other, after a first pair that only warms up.

    The sides take turns in being first.
    """
    found: dict[str, list[float]] = {side: [] for side in SIDES}
    for number in range(-1, repeats):
        for side in SIDES[:: -1 if number % 2 else 1]:
            name = f"{measure.__name__}-{side}-{number}"
            source = contacts(folder, name, count, crc32(name.encode()))
            config = write_config(
                folder, name, contacts=source, url=world.url, workers=WORKERS, statsd_port=9,
                **place(side, name),
            )  # fmt: skip
            before = world.counts()["effects"]
            seconds = measure(config, world)
            sent = world.counts()["effects"] - before
            if sent != count:
                raise RuntimeError(f"{sent} of {count} contacts were sent")
            if number >= 0:
                found[side].append(seconds)
    return found


def merge_staged_rows(ledger: Path) -> float:
    """Merge all staged rows, as an idle dispatcher would; return the seconds."""
    began = time.perf_counter()
    with closing(open_for_writing(ledger)) as connection:
        while index_staging.merge_staged(connection):
            pass
    return time.perf_counter() - began


def first_send(config: Path, world: SandboxProcess) -> float:
    """Return seconds from the start of the real command until a message took effect."""
    before = world.counts()["effects"]
    command = [sys.executable, "-m", "dispatcher", "run", "--config", str(config), "--once"]
    began = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=ROOT,
        env={**clean_environment(), **CREDENTIALS, **SECRETS},
    )  # fmt: skip
    while world.counts()["effects"] == before and process.poll() is None:
        time.sleep(_POLL_SECONDS)
    seconds = time.perf_counter() - began
    _, err = process.communicate(timeout=120)
    if process.returncode:
        raise RuntimeError(f"the run failed:\n{err.decode()}")
    return seconds


def whole_run(config: Path, _world: SandboxProcess) -> float:
    """Return seconds of a whole run; modules are imported before the clock starts."""
    return float(measured("whole.py", config, environment=SECRETS)["seconds"])


def _status(ledger: Path) -> float:
    """Return seconds that the real ``dispatcher status`` takes."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "dispatcher", "status", "--ledger", str(ledger), "--json"],
        check=True, stdout=subprocess.DEVNULL, cwd=ROOT, env=clean_environment(),
    )  # fmt: skip
    return time.perf_counter() - began


def _claims(
    folder: Path, filled: Path, repeats: int, measure: Callable[[Path, int], float]
) -> dict[str, list[float]]:
    """Measure a claim of 100 on one side after the other."""
    found: dict[str, list[float]] = {side: [] for side in SIDES}
    paths = {"empty": folder / f"{measure.__name__}.db", "filled": filled}
    for number in range(-1, repeats):
        for side, path in paths.items():
            seconds = measure(path, number)
            if number >= 0:
                found[side].append(seconds)
    return found


def people(number: int) -> list[Contact]:
    """Return contacts that are in no ledger yet."""
    keys = [f"claim-{number}-{index}" for index in range(READY)]
    return [Contact(key, key, "Hello somebody", external_contact_id=key) for key in keys]


def _claim(path: Path, number: int) -> float:
    """Return seconds that a claim takes the writer without its commit, which is the disk's."""
    with closing(open_for_writing(path)) as connection:
        connection.execute("INSERT OR IGNORE INTO campaign (name, created_at) VALUES ('bench', 0)")
        (campaign,) = connection.execute("SELECT id FROM campaign").fetchone()
        (last,) = connection.execute("SELECT COALESCE(MAX(id), 0) FROM contact").fetchone()
        connection.execute("BEGIN IMMEDIATE")
        ids = iter(range(last + 1, last + 1 + READY))
        batch = Batch(people(number))
        admission.admit(connection, campaign, ids, batch, admission.ClaimOptions(0, 0))
        connection.execute("COMMIT")
        times = []
        for _ in range(CLAIMS):
            connection.execute("BEGIN IMMEDIATE")
            began = time.perf_counter()
            taken = claims.claim(connection, campaign, 100, 1.0)
            times.append(time.perf_counter() - began)
            connection.execute("COMMIT")
            if len(taken) != 100:
                raise RuntimeError(f"{len(taken)} contacts were claimed")
        _forget(connection)
    return median(times)


def _answered_claim(path: Path, number: int) -> float:
    """Return seconds until a claim is answered: with its commit, and with its people looked up."""
    times = asyncio.run(_answers(path, number))
    with closing(open_for_writing(path)) as connection:
        _forget(connection)
    return median(times)


async def _answers(path: Path, number: int) -> list[float]:
    async with await SqliteLedger.open(path, "bench") as ledger:
        await ledger.admit(Batch(people(number)), 0.0, 0)
        return [await answered_claim(ledger) for _ in range(CLAIMS)]


async def answered_claim(ledger: Ledger) -> float:
    """Return the seconds that a claim of 100 takes until it is answered."""
    began = time.perf_counter()
    taken = await ledger.claim(100, 1.0)
    seconds = time.perf_counter() - began
    if len(taken) != 100:
        raise RuntimeError(f"{len(taken)} contacts were claimed")
    return seconds


def _forget(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM contact WHERE reason IS NULL")
    connection.execute("UPDATE campaign SET admitted = admitted - ?", (READY,))


def _report(rows: int, figures: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
    ratios = {
        name: median([f / e for e, f in zip(sides["empty"], sides["filled"], strict=True)])
        for name, sides in figures.items()
        if "empty" in sides
    }
    shown: list[list[object]] = [["", "empty", "filled", "filled / empty", "promised"]]
    promises = {
        "status": f"< {STATUS_SECONDS:.0f} s",
        "first send": f"< {FIRST_SEND_SECONDS:.0f} s",
        "whole run": f"<= {WHOLE}",
        "claim": f"<= {CLAIM}",
    }
    for name, sides in figures.items():
        times = [figure(median(sides[side])) if side in sides else "-" for side in SIDES]
        ratio = f"{ratios[name]:.2f}" if name in ratios else "-"
        shown.append([name, *times, ratio, promises.get(name, "-")])
    print(table(shown))
    holds = (
        median(figures["status"]["filled"]) < STATUS_SECONDS
        and median(figures["first send"]["filled"]) < FIRST_SEND_SECONDS
        and ratios["whole run"] <= WHOLE
        and ratios["claim"] <= CLAIM
    )
    result = {"holds": holds, "rows": rows, "ratios": ratios, "seconds": figures}
    keep("ledger", result)
    return result


def figure(seconds: float) -> str:
    """Return a time as it is shown."""
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{seconds * 1e3:.2f} ms"
