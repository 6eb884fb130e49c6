"""(i) CPU time of a contact now against an earlier commit, alternating on one sandbox."""

import io
import socket
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.harness import contacts, keep, measured, median, table, write_config
from tests.support.forked_process import ROOT
from tests.support.sandbox_process import SCENARIOS, SandboxProcess, sandbox

WORKERS = 64
BEFORE = "d25befe"
"""The last commit before the condition, the facts behind it, and traces."""
PROMISED = 1.03
"""CPU time of a contact now against before, with everything on but traces."""
SIDES = ("before", "now")


def run(before: str = "", count: int = 20_000, repeats: int = 9) -> dict[str, Any]:
    """Measure against a commit, print the table, and return the result."""
    before = before or BEFORE
    runs: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as name, socket.socket(type=socket.SOCK_DGRAM) as agent:
        folder = Path(name)
        roots = {"before": extract(before, folder / "before"), "now": ROOT}
        agent.bind(("127.0.0.1", 0))  # takes what comes, and never reads
        port = agent.getsockname()[1]
        with sandbox(SCENARIOS / "bench.toml", folder / "effects.jsonl") as world:
            for number in range(-1, repeats):
                size = count if number >= 0 else count // 4
                pair = _pair(folder, roots, world, port, size, number)
                if number >= 0:
                    for side, result in pair.items():
                        runs[side].append(result)
    return _report(runs, before, count, repeats)


def extract(commit: str, folder: Path) -> Path:
    """Write the files of a commit into a folder, and return it.

    Raises:
        RuntimeError: the repository has no such commit.

    """
    done = subprocess.run(
        ["git", "archive", commit, "dispatcher", "benchmarks", "tests", "config"],
        cwd=ROOT, capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"no commit {commit} here: {done.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as files:
        files.extractall(folder, filter="data")
    return folder


def _pair(
    folder: Path, roots: Mapping[str, Path], world: SandboxProcess, port: int, count: int,
    number: int,
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """Run one side after the other, each on contacts of its own; the order alternates."""
    found = {}
    for side in SIDES if number % 2 else reversed(SIDES):
        name = f"{side}{number}"
        rows = contacts(folder, name, count, 2 * number + 10 + SIDES.index(side))
        config = write_config(
            folder, name, contacts=rows, url=world.url, workers=WORKERS, statsd_port=port
        )
        found[side] = measured("whole.py", config, root=roots[side])
        if found[side]["contacts"] != count:
            raise RuntimeError(f"{found[side]['contacts']} of {count} contacts were sent")
    return found


def _report(
    runs: dict[str, list[dict[str, Any]]], before: str, count: int, repeats: int
) -> dict[str, Any]:
    costs = {side: [r["cpu_seconds"] / r["contacts"] * 1e6 for r in runs[side]] for side in SIDES}
    ratios = [now / then for then, now in zip(costs["before"], costs["now"], strict=True)]
    rows: list[list[object]] = [["", "CPU µs/contact", "lowest", "highest"]]
    for side, cost in costs.items():
        shown = f"{side} ({before})" if side == "before" else side
        rows.append([shown, f"{median(cost):.1f}", f"{min(cost):.1f}", f"{max(cost):.1f}"])
    print(table(rows))
    print(
        "now / before, side by side:", ", ".join(f"{ratio:.3f}" for ratio in ratios),
        f"; median {median(ratios):.3f}",
    )  # fmt: skip
    print(f"promised: at most {PROMISED:.2f}")
    result = {"holds": median(ratios) <= PROMISED, "ratio": median(ratios), "ratios": ratios}
    result |= {"before": before, "count": count, "repeats": repeats, "runs": runs}
    keep("telemetry-before-after", result)
    return result
