"""(a) The whole dispatcher against the bare loop, alternating in one run on one sandbox."""

import socket
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.harness import (
    contacts,
    cpu_share,
    keep,
    mark,
    measured,
    median,
    table,
    write_config,
)
from tests.support.sandbox_process import SCENARIOS, SandboxProcess, sandbox

WORKERS = 64
PROMISED = 0.80
"""Throughput of the whole against the bare loop."""
BUSY = 0.70
"""Above this share of its core the sandbox may itself be what is measured."""


def run(count: int = 20_000, repeats: int = 5) -> dict[str, Any]:
    """Measure, print the table, and return the result."""
    runs: dict[str, list[dict[str, Any]]] = {"bare": [], "whole": []}
    with tempfile.TemporaryDirectory() as name, socket.socket(type=socket.SOCK_DGRAM) as agent:
        folder = Path(name)
        agent.bind(("127.0.0.1", 0))  # takes what comes, and never reads
        port = agent.getsockname()[1]
        with sandbox(SCENARIOS / "bench.toml", folder / "effects.jsonl") as world:
            for number in range(-1, repeats):
                size = count if number >= 0 else count // 4
                pair = _pair(folder, world, port, size, number)
                if number >= 0:
                    for side, result in pair.items():
                        runs[side].append(result)
    return _report(runs, count, repeats)


def _pair(
    folder: Path, world: SandboxProcess, port: int, count: int, number: int
) -> dict[str, dict[str, Any]]:
    """Run one side after the other, each on contacts of its own."""
    bare_rows = contacts(folder, f"bare{number}", count, 2 * number + 10)
    whole_rows = contacts(folder, f"whole{number}", count, 2 * number + 11)
    config = write_config(
        folder, f"whole{number}", contacts=whole_rows, url=world.url, workers=WORKERS,
        statsd_port=port,
    )  # fmt: skip
    since = mark(world)
    bare = measured("bare.py", world.url, bare_rows, WORKERS)
    bare["sandbox_cpu_share"] = cpu_share(world, since)
    since = mark(world)
    whole = measured("whole.py", config)
    whole["sandbox_cpu_share"] = cpu_share(world, since)
    for side in (bare, whole):
        if side["contacts"] != count:
            raise RuntimeError(f"{side['contacts']} of {count} contacts were sent")
    return {"bare": bare, "whole": whole}


def _report(runs: dict[str, list[dict[str, Any]]], count: int, repeats: int) -> dict[str, Any]:
    sides = {
        side: {
            "contacts_per_second": median([r["contacts"] / r["seconds"] for r in results]),
            "cpu_us_per_contact": median([r["cpu_seconds"] / r["contacts"] * 1e6 for r in results]),
            "sandbox_cpu_share": max(r["sandbox_cpu_share"] for r in results),
        }
        for side, results in runs.items()
    }
    ratios = [
        (whole["contacts"] / whole["seconds"]) / (bare["contacts"] / bare["seconds"])
        for bare, whole in zip(runs["bare"], runs["whole"], strict=True)
    ]
    rows: list[list[object]] = [["", "contacts/s", "CPU µs/contact", "sandbox's core"]]
    for side, figures in sides.items():
        rate, cpu = figures["contacts_per_second"], figures["cpu_us_per_contact"]
        rows.append([side, f"{rate:.0f}", f"{cpu:.0f}", f"{figures['sandbox_cpu_share']:.0%}"])
    print(table(rows))
    shown = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    print(f"whole / bare, side by side: {shown}; median {median(ratios):.2f}")
    for side, figures in sides.items():
        if figures["sandbox_cpu_share"] > BUSY:
            print(f"NOTE: in the {side} runs the sandbox took more than {BUSY:.0%} of its core")
    print(f"promised: {PROMISED:.2f}")
    holds = median(ratios) >= PROMISED
    result = {
        "holds": holds,
        "count": count,
        "repeats": repeats,
        "ratio": median(ratios),
        "ratios": ratios,
    }
    result |= {"sides": sides, "runs": runs}
    keep("overhead", result)
    return result
