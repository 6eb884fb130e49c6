"""(g) The cost of a contact as the campaigns, the OAuth clients and the settled rows grow."""

import random
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from benchmarks import growth_report
from benchmarks.filled import fill
from benchmarks.harness import RESULTS, SETTINGS, contacts, keep, measured, write_config
from benchmarks.ledger import merge_staged_rows
from tests.support.sandbox_process import SCENARIOS, SandboxProcess, sandbox

PARTS = ("campaigns", "clients", "rows")
CAMPAIGNS = (1, 10, 100)
CLIENTS = (1, 10, 50)
ROWS = (10_000, 1_000_000, 10_000_000)
WORKERS = 64


@dataclass(frozen=True)
class Run:
    """What one measured run needs: its configuration, and variables of its environment."""

    config: Path
    environment: Mapping[str, str] = field(default_factory=dict)


class Part(Protocol):
    """Something that grows, and how a run is set up for one size of it."""

    @property
    def sizes(self) -> Sequence[int]:
        """The sizes, the smallest first."""
        ...

    def scenario(self) -> str:
        """Return the sandbox's scenario."""
        ...

    def prepare(self, folder: Path, size: int, count: int, url: str) -> Run:
        """Set up a run of ``count`` contacts; ``folder`` is its own."""
        ...


@dataclass(frozen=True)
class Campaigns:
    """Campaigns in one run, which share the contacts."""

    sizes: Sequence[int] = CAMPAIGNS

    def scenario(self) -> str:
        """Return a world without limits."""
        return _unlimited()

    def prepare(self, folder: Path, size: int, count: int, url: str) -> Run:
        """Write a file for each campaign."""
        text = SETTINGS.format(**_values(folder, url))
        for number in range(size):
            path = contacts(folder, f"c{number}", count // size, _seed())
            text += f'[[campaigns]]\nname = "c{number}"\n[campaigns.source]\npath = "{path}"\n'
        config = folder / "dispatcher.toml"
        config.write_text(text)
        return Run(config)


@dataclass(frozen=True)
class Clients:
    """OAuth clients in one pool; each has a quota that never limits."""

    sizes: Sequence[int] = CLIENTS

    def scenario(self) -> str:
        """Return a world that has all of the clients, for all sizes."""
        more = (
            f'[[clients]]\nclient_id = "client-{n}"\nclient_secret = "secret-{n}"\n'
            for n in range(1, max(self.sizes))
        )
        return _unlimited() + "".join(more)

    def prepare(self, folder: Path, size: int, count: int, url: str) -> Run:
        """Name the clients in the configuration, and their secrets in the environment."""
        path = contacts(folder, "contacts", count, _seed())
        config = write_config(folder, "dispatcher", contacts=path, **_values(folder, url))
        environment = {}
        if size > 1:
            with config.open("a") as file:
                file.writelines(f'[[clients]]\nname = "c{n}"\n' for n in range(size))
            for n in range(size):
                environment[f"DISPATCHER_CLIENT_ID__C{n}"] = f"client-{n}"
                environment[f"DISPATCHER_CLIENT_SECRET__C{n}"] = f"secret-{n}"
            environment["DISPATCHER_CLIENT_ID__C0"] = "sandbox-client"
            environment["DISPATCHER_CLIENT_SECRET__C0"] = "sandbox-secret"
        return Run(config, environment)


@dataclass(frozen=True)
class Rows:
    """Settled contacts in the ledger that a run continues with; they were written in bulk."""

    ledgers: Path
    sizes: Sequence[int] = ROWS

    def scenario(self) -> str:
        """Return a world without limits."""
        return _unlimited()

    def prepare(self, folder: Path, size: int, count: int, url: str) -> Run:
        """Fill the ledger, unless an earlier run did; merge what is staged, as if it was idle."""
        path = contacts(folder, "contacts", count, _seed())
        ledger = self.ledgers / f"{size}.db"
        if not ledger.exists():
            self.ledgers.mkdir(parents=True, exist_ok=True)
            part = ledger.with_suffix(".part")
            part.unlink(missing_ok=True)
            fill(part, "bench", size)
            part.rename(ledger)
        merge_staged_rows(ledger)
        values = {**_values(folder, url), "ledger": ledger}
        return Run(write_config(folder, "dispatcher", contacts=path, **values))


def run(
    names: Sequence[str], rounds: int, count: int, *, rows: int | None, ledgers: Path | None,
    plots: Path = RESULTS,
) -> dict[str, Any]:  # fmt: skip
    """Measure, print the table, draw the plot, and return the result."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=RESULTS) as temporary:
        sizes = [size for size in ROWS if rows is None or size <= rows]
        parts: dict[str, Part] = {
            "campaigns": Campaigns(),
            "clients": Clients(),
            "rows": Rows(ledgers or Path(temporary), sizes),
        }
        measurements = []
        for name in [name for name in PARTS if name in (names or PARTS)]:
            result = {"part": name, "count": count, "sizes": _measure(parts[name], rounds, count)}
            keep(f"growth-{name}", result)
            measurements.append(result)
    return growth_report.report(measurements, plots)


def _measure(part: Part, rounds: int, count: int) -> dict[str, list[dict[str, float]]]:
    """Measure all sizes in turns in both directions, after a first run that only warms up."""
    found: dict[str, list[dict[str, float]]] = {str(size): [] for size in part.sizes}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scenario = folder / "scenario.toml"
        scenario.write_text(part.scenario())
        with sandbox(scenario, folder / "effects.jsonl") as world:
            _play(part, folder / "first", part.sizes[0], count // 4, world)
            for number in range(rounds):
                for size in part.sizes[:: -1 if number % 2 else 1]:
                    played = _play(part, folder / f"{number}-{size}", size, count, world)
                    found[str(size)].append(played)
    return found


def _play(
    part: Part, folder: Path, size: int, count: int, world: SandboxProcess
) -> dict[str, float]:
    folder.mkdir()
    prepared = part.prepare(folder, size, count, world.url)
    before = world.counts()["effects"]
    result = measured("whole.py", prepared.config, environment=prepared.environment)
    sent = world.counts()["effects"] - before
    if sent != count:
        raise RuntimeError(f"{sent} of {count} contacts were sent")
    return {"seconds": result["seconds"], "cpu_us": result["cpu_seconds"] / count * 1e6}


def _unlimited() -> str:
    return (SCENARIOS / "bench.toml").read_text()


def _values(folder: Path, url: str) -> dict[str, object]:
    return {
        "url": url, "workers": WORKERS, "statsd_port": 9, "ledger": folder / "ledger.db",
        "log": folder / "dispatcher.log",
    }  # fmt: skip


def _seed() -> int:
    """Return a seed for contacts that are in no ledger yet, not even in one that is found."""
    return random.getrandbits(32)
