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
from tests.support.crash_play import play_without_stalls, points_for, settles_before
from tests.support.crash_sources import REMOTE_SOURCES, SOURCES
from tests.support.crash_verdict import Verdict
from tests.support.crash_world import World, world
from tests.support.dialects import DIALECTS, tells_texts

KILLS = 540
CONTACTS = 216_000
ROUNDS = 4
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

    @property
    def title(self) -> str:
        """What the progress calls it."""
        kind = {
            "power_cut": "power cuts",
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


def plans(wanted: Wanted) -> Iterator[Plan]:
    """Split the whole over the worlds: each source several times, each world with a seed."""
    sources = wanted.sources
    kinds: list[tuple[str, dict[str, Any]]] = [(source, {}) for source in sources] * ROUNDS
    kinds += [(source, {"power_cut": True}) for source in POWER_CUTS]
    kinds += [(source, {"power_cut": True}) for source in sources if source in REMOTE_SOURCES]
    kinds.append(("glob", {"campaigns": CAMPAIGNS}))
    kinds.append(("folder", {"beyond": True}))
    kinds.append(("glob", {"stopped_seconds": STOPPED_SECONDS}))
    kinds = [kind for kind in kinds if kind[0] in sources]
    shares = len(kinds)
    for seed, (source, more) in enumerate(kinds, 1):
        parts = -(-wanted.kills // shares), -(-wanted.contacts // shares)
        yield Plan(source, seed, *parts, more, wanted.dialect, wanted.first_call)


def play(
    plan: Plan, folder: Path, launcher: Launcher, reached: AbstractSet[str] = frozenset()
) -> tuple[Verdict, World]:
    """Kill as often as planned, finish, and compare; points not in ``reached`` come first."""
    per_cycle = plan.contacts // plan.kills
    settings = {"per_cycle": per_cycle, "seed": plan.seed, "dialect": plan.dialect, **plan.more}
    settings["first_call"] = plan.first_call
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
    """Every point in turn, in an order of chance, with random moments between them.

    Those that no world before has reached come first, so that few kills reach all.

    A power cut is played at named points alone: a kill from outside cannot know what is synced.
    """
    share = 0.0 if lived.power_cut else RANDOM_SHARE
    while True:
        points = points_for(plan.source)
        lived.dice.shuffle(points)
        points.sort(key=(reached | lived.killed_at).__contains__)
        for point in points:
            if lived.dice.random() < share:
                yield ""
            yield point


def run(wanted: Wanted) -> bool:
    """Play all worlds; True if the promise was kept in every one."""
    whole, number, reached, kept, again = Verdict(), 0, set[str](), True, 0
    start = time.monotonic()
    for plan in plans(wanted):
        verdict, lived, replays = play_plan(plan, reached)
        problems = verdict.problems(doubt_allowed=plan.doubt_allowed)
        kept, number = kept and not problems, number + lived.kills
        whole.add(verdict)
        again += replays
        reached |= lived.killed_at
        _say(
            f"{time.monotonic() - start:6.0f} s  {number:4} kills  {whole.contacts:7,} contacts  "
            f"{len(verdict.in_doubt):5} in doubt  {plan.title}: {'; '.join(problems) or 'kept'}"
        )
    points = {point for source in wanted.sources for point in points_for(source)}
    missed = sorted(points - reached)
    _say(f"{number} kills over {whole.contacts:,} contacts, {whole.effects:,} messages")
    _say(whole.per_million())
    _say(
        f"{again} worlds played again; longest stall of a sandbox whose world counts: "
        f"{whole.stalled_seconds:.2f} s"
    )
    if missed:
        _say(f"never reached: {', '.join(missed)}")
    return kept and not missed and number >= wanted.kills and whole.contacts >= wanted.contacts


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
    given = parser.parse_args(arguments)
    kinds = tuple(given.sources)
    wanted = Wanted(given.kills, given.contacts, given.dialect, given.first_call, kinds)
    return 0 if run(wanted) else 1


if __name__ == "__main__":
    sys.exit(main())
