"""(f) The dispatcher against what users would run instead, side by side."""

import socket
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import versus_report
from benchmarks.alternatives.rows import ALTERNATIVES, Alternative, Job
from benchmarks.effects import EffectsReader, account
from benchmarks.harness import RESULTS, keep
from benchmarks.worlds import World, worlds
from tests.support.sandbox_process import SandboxProcess, sandbox

PARTS = ("plain", "latency", "demo", "faults")
CONTACTS = (3_000, 1_000, 1_000)
"""Of a run: without waits, with latency, and where sessions are waited for."""


@dataclass
class Match:
    """All alternatives that have one dialect, on one world, against one sandbox."""

    world: World
    dialect: str
    folder: Path
    running: SandboxProcess
    statsd_port: int
    runs: int = 0
    found: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._effects = EffectsReader(self.running.log)

    def play(self, rounds: int) -> list[dict[str, Any]]:
        """Run all alternatives so many times, in turns in both directions."""
        compared = [one for one in ALTERNATIVES if self.dialect in one.dialects]
        able = [one for one in compared if not self._skipped(one)]
        for number in range(rounds):
            for alternative in able[:: -1 if number % 2 else 1]:
                outcome = self._run(alternative)
                self.found.setdefault(alternative.name, []).append(outcome)
        return [
            {"world": self.world.name, "dialect": self.dialect, "name": one.name,
             "contacts": self.world.count, "runs": self.found[one.name]}
            for one in able
        ]  # fmt: skip

    def _skipped(self, alternative: Alternative) -> bool:
        why = alternative.why_skipped(self._job())
        if why:
            print(f"Not run: {alternative.name} on {self.world.name} in {self.dialect}: {why}.")
        return bool(why)

    def _job(self) -> Job:
        self.runs += 1
        copy = self.world.copy(self.folder, self.runs)
        return Job(self.world, self.dialect, copy, self.running.url, self.statsd_port)

    def _run(self, alternative: Alternative) -> dict[str, Any]:
        job = self._job()
        before = self.running.counts()
        result = alternative.run(job)
        after = self.running.counts()
        people = account(self._effects.read(), job.conversations(), self.dialect)
        requests = _requests(after) - _requests(before)
        return {**result, "requests": requests, **vars(people)}


def _requests(counts: dict[str, Any]) -> int:
    """Return the requests so far that the quota counts: all but those for tokens."""
    return counts["requests"] - sum(counts["answers"].get("token", {}).values())


def run(
    names: Sequence[str] = (),
    rounds: int = 3,
    numbers: tuple[int, int, int] = CONTACTS,
    plots: Path = RESULTS,
) -> dict[str, Any]:
    """Measure, print the table, draw the plot, and return the result."""
    chosen = [world for world in worlds(*numbers) if world.name in (names or PARTS)]
    measured_now = []
    for world in chosen:
        rows = [row for dialect in world.dialects for row in _measure(world, dialect, rounds)]
        keep(f"versus-{world.name}", {"rows": rows})
        measured_now += rows
    return versus_report.report(measured_now, plots)


def _measure(world: World, dialect: str, rounds: int) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as name, socket.socket(type=socket.SOCK_DGRAM) as agent:
        folder = Path(name)
        agent.bind(("127.0.0.1", 0))  # takes what comes, and never reads
        scenario, log = world.write(folder), folder / "effects.jsonl"
        with sandbox(scenario, log, "--dialect", dialect) as running:
            port = agent.getsockname()[1]
            return Match(world, dialect, folder, running, port).play(rounds)
