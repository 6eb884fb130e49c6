"""The whole crash harness: `make crash`. Many worlds, hundreds of kills, one comparison each."""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from dispatcher.settings.model import PlatformSettings
from tests.support.crash_launcher import Launcher, launching
from tests.support.crash_ledgers import LEDGERS
from tests.support.crash_loss import lose_commits
from tests.support.crash_play import (
    faults_for,
    play_without_stalls,
    points_for,
    settles_before,
)
from tests.support.crash_sources import REMOTE_SOURCES, SOURCES
from tests.support.crash_verdict import Verdict
from tests.support.crash_world import World, world
from tests.support.dialects import DIALECTS, tells_texts

KILLS = 540
CONTACTS = 216_000
ROUNDS = 4
LOSSES = 3
"""How often commits are lost."""
RANDOM_SHARE = 0.25
POWER_CUTS = ("glob", "file")
CAMPAIGNS = ("one", "two")
STOPPED_SECONDS = 4.0
"""Longer than all bounds from an intent until its effect is shown."""
FIRST_CALLS: tuple[str, ...] = get_args(PlatformSettings.model_fields["first_call"].annotation)


@dataclass(frozen=True)
class Plan:
    """One world's part."""

    source: str
    seed: int
    kills: int
    contacts: int
    more: dict[str, Any]
    dialect: str = "messaging"
    first_call: str = "check"
    ledger: str = "file"

    @property
    def title(self) -> str:
        """What the progress calls it."""
        kind = {
            "power_cut": "power cuts",
            "replicated": "a primary that is lost",
            "campaigns": "two campaigns",
            "beyond": "records that lag beyond the bounds",
            "stopped_seconds": "runs that stop between an intent and its request",
        }
        return ", ".join([self.source, *(kind[name] for name in self.more)])

    @property
    def doubt_allowed(self) -> bool:
        """Whether some contacts cannot but end in doubt."""
        return "beyond" in self.more or ("campaigns" in self.more and not tells_texts(self.dialect))


@dataclass(frozen=True)
class Wanted:
    """What of the whole is played, and how much."""

    kills: int = KILLS
    contacts: int = CONTACTS
    dialect: str = "messaging"
    first_call: str = "check"
    sources: tuple[str, ...] = SOURCES
    ledger: str = "file"


def plans(wanted: Wanted) -> Iterator[Plan]:
    """Split the whole over the worlds: each source several times, each world with a seed."""
    sources = wanted.sources
    kinds: list[tuple[str, dict[str, Any]]] = [(source, {}) for source in sources] * ROUNDS
    # what a power cut takes from a file, a primary that is lost may take from a database
    loss = {"power_cut": True} if wanted.ledger == "file" else {"replicated": True}
    kinds += [(source, loss) for source in POWER_CUTS]
    kinds += [(source, loss) for source in sources if source in REMOTE_SOURCES]
    kinds.append(("glob", {"campaigns": CAMPAIGNS}))
    kinds.append(("folder", {"beyond": True}))
    kinds.append(("glob", {"stopped_seconds": STOPPED_SECONDS}))
    kinds = [kind for kind in kinds if kind[0] in sources]
    shares = len(kinds)
    for seed, (source, more) in enumerate(kinds, 1):
        parts = -(-wanted.kills // shares), -(-wanted.contacts // shares)
        yield Plan(source, seed, *parts, more, wanted.dialect, wanted.first_call, wanted.ledger)


def play(
    plan: Plan, folder: Path, launcher: Launcher, reached: AbstractSet[str] = frozenset()
) -> tuple[Verdict, World]:
    """Kill as often as planned, finish, and compare; points not in ``reached`` come first."""
    per_cycle = plan.contacts // plan.kills
    settings = {"per_cycle": per_cycle, "seed": plan.seed, "dialect": plan.dialect, **plan.more}
    settings |= {"first_call": plan.first_call, "ledger": plan.ledger}
    with world(folder, plan.source, launcher, contacts=plan.contacts, **settings) as lived:
        for point in _order(plan, lived, reached):
            if lived.kills >= plan.kills:
                break
            lived.kill(point, settles=settles_before(point, lived, per_cycle))
        return lived.finish(), lived


def play_plan(plan: Plan, reached: AbstractSet[str]) -> tuple[Verdict, World, int]:
    """Play a world, and say why it is played again.

    ``reached`` are the points of worlds before.

    Return what counts, the world of the last try, and how often it was played again.
    """
    worlds: list[World] = []

    def played(folder: Path) -> Verdict:
        with launching() as launcher:
            verdict, lived = play(plan, folder, launcher, reached)
        worlds.append(lived)
        return verdict

    def say(verdict: Verdict) -> None:
        _say(
            f"{plan.title}, seed {plan.seed}: played again, because the sandbox did not run for "
            f"{verdict.stalled_seconds:.1f} s (the machine is too busy): "
            f"{'; '.join(verdict.problems(doubt_allowed=plan.doubt_allowed))}"
        )

    with tempfile.TemporaryDirectory() as folder:
        if "beyond" in plan.more:  # its effects are not within the bounds anyway
            verdict = played(Path(folder))
        else:
            allowed = plan.doubt_allowed
            verdict = play_without_stalls(played, Path(folder), say, doubt_allowed=allowed)
    return verdict, worlds[-1], len(worlds) - 1


def _order(plan: Plan, lived: World, reached: AbstractSet[str]) -> Iterator[str]:
    """Every point and fault in turn, in an order of chance, with random moments between them.

    Those that no world before has reached come first, so that few kills reach all.

    A power cut is played at named points alone: a kill from outside cannot know what is synced.
    """
    share = 0.0 if lived.power_cut else RANDOM_SHARE
    replicated = plan.more.get("replicated", False)
    faults = faults_for(plan.source, plan.ledger, replicated=replicated)
    while True:
        points = [*points_for(plan.source, plan.ledger), *faults]
        lived.dice.shuffle(points)
        points.sort(key=(reached | lived.killed_at).__contains__)
        for point in points:
            if lived.dice.random() < share:
                yield ""
            yield point


def run(wanted: Wanted) -> bool:
    """Play all worlds; True if the promise was kept in every one."""
    whole, number, faults, reached, kept, again = Verdict(), 0, 0, set[str](), True, 0
    start = time.monotonic()
    for plan in plans(wanted):
        verdict, lived, replays = play_plan(plan, reached)
        problems = verdict.problems(doubt_allowed=plan.doubt_allowed)
        kept, number = kept and not problems, number + lived.kills
        faults += lived.faults
        whole.add(verdict)
        again += replays
        reached |= lived.killed_at
        _say(
            f"{time.monotonic() - start:6.0f} s  {number:4} kills  {whole.contacts:7,} contacts  "
            f"{len(verdict.in_doubt):5} in doubt  {plan.title}: {'; '.join(problems) or 'kept'}"
        )
    missed = sorted(_all_points(wanted) - reached)
    _say(
        f"{number} kills and {faults} faults over {whole.contacts:,} contacts, "
        f"{whole.effects:,} messages"
    )
    _say(whole.per_million())
    _say(
        f"{again} worlds played again; longest stall of a sandbox whose world counts: "
        f"{whole.stalled_seconds:.2f} s"
    )
    if wanted.ledger != "file":
        kept &= _lose_commits()
    if missed:
        _say(f"never reached: {', '.join(missed)}")
    return kept and not missed and number >= wanted.kills and whole.contacts >= wanted.contacts


def _lose_commits() -> bool:
    """Lose commits that were confirmed, with a standby that is behind; True if it is told."""
    told = True
    for seed in range(1, LOSSES + 1):
        with launching() as launcher, tempfile.TemporaryDirectory() as folder:
            loss = lose_commits(Path(folder), launcher, seed)
        told &= not loss.problems
        _say(
            f"a standby that is behind takes over: {len(loss.unknown)} of {loss.effects} messages "
            f"are not in the ledger, {len(loss.named)} contacts named: "
            f"{'; '.join(loss.problems) or 'told'}"
        )
    return told


def _all_points(wanted: Wanted) -> set[str]:
    points = {point for source in wanted.sources for point in points_for(source, wanted.ledger)}
    return points.union(
        *(faults_for(source, wanted.ledger, replicated=True) for source in wanted.sources)
    )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--contacts", type=int, default=CONTACTS)
    parser.add_argument("--dialect", choices=DIALECTS, default="messaging")
    parser.add_argument("--first-call", choices=FIRST_CALLS, default="check")
    all_sources = (*SOURCES, *REMOTE_SOURCES)
    parser.add_argument("--sources", nargs="+", choices=all_sources, default=SOURCES)
    parser.add_argument("--ledger", choices=LEDGERS, default="file")
    given = parser.parse_args(arguments)
    names = {**vars(given), "sources": tuple(given.sources)}
    wanted = Wanted(**names)
    return 0 if run(wanted) else 1


if __name__ == "__main__":
    sys.exit(main())
