"""The worlds in which the alternatives are compared, and a copy of their contacts for each run."""

import csv
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dispatcher.sandbox.contact_files import write_contacts
from dispatcher.sandbox.conversation_kinds import KINDS, OPEN_STATES, kind_name
from dispatcher.sandbox.scenario.scenario import load
from dispatcher.sandbox.world.ids import address
from tests.support.sandbox_process import DEMO_SCENARIO

SEED = 12
EXPORTED = ("address", "session_status")
"""Columns of what was known when the contacts were exported; it may have changed since."""

UNLIMITED = """
[rate]
allowed = 1_000_000_000
"""
"""Half open and half ended sessions, a quota that never limits, answers at once."""
LATENCY = """
[latency.default]
kind = "lognormal"
ms = 40.0
sigma = 0.4
"""
"""Answers as far away as those of a platform in a data centre, as in the scenario ``plain``."""
FAULTS = """
[[fault]]
kind = "reset_before"
endpoints = ["check", "notify", "open"]
probability = 0.02

[[fault]]
kind = "reset_after"
endpoints = ["check", "notify", "open"]
probability = 0.02

[[fault]]
kind = "no_answer"
endpoints = ["notify", "open"]
probability = 0.005
effect = true

[[fault]]
kind = "error_500"
endpoints = ["check", "notify", "open"]
probability = 0.02

[[fault]]
kind = "error_503_json"
endpoints = ["check", "notify", "open"]
probability = 0.02
"""
"""What a network and a busy platform do: one request in twelve has no usable answer."""

DEMO_SETTINGS = {
    "platform.requests_per_minute": 60_000,
    "platform.window_seconds": 2,
    "platform.timeout_seconds": 5,
    "engine.probe_seconds": 0.25,
    "engine.wait_limit_seconds": 10,
    "retry.max_attempts": 5,
    "retry.not_ended_seconds": 0.5,
    "retry.not_ended_max_minutes": 0.05,
    "retry.backoff_seconds": 0.1,
    "retry.backoff_max_seconds": 1,
}
"""The demo's settings: pauses that suit a platform whose sessions end after a second."""
BOUNDS = {
    "reconcile.max_effect_delay_seconds": 0.5,
    "reconcile.max_lag_seconds": 1.2,
    "reconcile.clock_skew_seconds": 0.5,
    "reconcile.look_seconds": 0.5,
}
"""What is assumed about the platform's records, which lag by a second."""


@dataclass(frozen=True)
class World:
    """A scenario of the sandbox, how many contacts, and the dispatcher's settings for it."""

    name: str
    scenario: str
    count: int
    settings: Mapping[str, object] = field(default_factory=dict)
    dialects: tuple[str, ...] = ("messaging", "genesys")

    def write(self, folder: Path) -> Path:
        """Write the scenario and the contacts that the copies are made from; return the former."""
        path = folder / f"{self.name}.toml"
        path.write_text(self.scenario)
        shares = dict(load(path).world.shares)
        write_contacts(folder / f"{self.name}.csv", count=self.count, shares=shares, seed=SEED)
        return path

    def copy(self, folder: Path, number: int) -> Path:
        """Write the contacts once more for run ``number``; its folder has nothing else."""
        path = folder / f"{self.name}-{number}" / "contacts.csv"
        path.parent.mkdir()
        with (folder / f"{self.name}.csv").open(newline="") as lines, path.open("w") as file:
            rows = csv.DictReader(lines)
            writer = csv.DictWriter(file, [*(rows.fieldnames or ()), *EXPORTED])
            writer.writeheader()
            writer.writerows(renamed(rows, number))
        return path


def renamed(rows: Iterator[dict[str, str]], number: int) -> Iterator[dict[str, str]]:
    """Yield the rows with conversations of their own: same kinds, same order, other ids.

    A conversation remembers what happened to it, so that no two runs may have the same one. The
    columns `EXPORTED` are what an export knows of the session; most alternatives have no use for
    them.
    """
    for row, index in zip(rows, itertools.count(), strict=False):
        old = row["conversation_id"]
        new = f"{old.partition('-')[0]}-{number:08x}-{index}"
        external = row["external_contact_id"].replace(old, new)
        kind = KINDS[kind_name(new)]
        status = "open" if kind.state in OPEN_STATES else kind.state
        exported = (address(new) if kind.reachable else "", status)
        yield {
            **row,
            "conversation_id": new,
            "external_contact_id": external,
            **dict(zip(EXPORTED, exported, strict=True)),
        }


def worlds(plain: int, latency: int, demo: int) -> tuple[World, ...]:
    """Return the worlds, with so many contacts; the last two have the same number."""
    scenario = DEMO_SCENARIO.read_text()
    return (
        World("plain", UNLIMITED, plain),
        World("latency", UNLIMITED + LATENCY, latency, dialects=("genesys",)),
        World("demo", scenario, demo, DEMO_SETTINGS),
        World("faults", scenario + FAULTS, demo, {**DEMO_SETTINGS, **BOUNDS}),
    )
