"""Kills exports to each kind of sink 20 times at each step by SIGKILL, and compares the rows.

    python -m tests.support.sinks_whole

Each export is `dispatcher lineage export --to SINK` in a process of its own, over a real ledger and
real servers. The exit code is 1 if a row is missing or there twice, or a step was not reached as
often as it should be. ``--broken`` takes a build that breaks the promise, which must be found.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

from tests.support.sink_builds import BROKEN
from tests.support.sink_kills import Export, Outcome, kill_everywhere, launching_exports
from tests.support.sink_steps import STEPS
from tests.support.sink_targets import TARGETS

KILLS = 20
AT_ONCE = 2
"""Targets at the same time: one for each core."""
ROUNDS_PER_LINE = 5

HEADER = (
    "| target | steps | kills | rows | missing | twice |\n| --- | --- | --- | --- | --- | --- |"
)


def play(title: str, kills: int, broken: str) -> Outcome:
    """Kill exports to one target, with a line from time to time."""
    started, rounds = time.monotonic(), 0

    def on_round(outcome: Outcome) -> None:
        nonlocal rounds
        rounds += 1
        if rounds % ROUNDS_PER_LINE == 0:
            seconds = time.monotonic() - started
            _say(f"{seconds:6.0f} s  {title}: {outcome.kills.total():,} kills")

    with (
        tempfile.TemporaryDirectory() as folder,
        TARGETS[title](Path(folder)) as sink,
        launching_exports() as launcher,
    ):
        export = Export(Path(folder), sink, launcher, broken)
        outcome = kill_everywhere(export, kills, Random(title), on_round)
    missed = [step for step in STEPS[sink.kind] if outcome.kills[step] < kills]
    if missed:
        outcome.problems.append(f"not reached {kills} times: {', '.join(missed)}")
    for problem in outcome.problems:
        _say(f"{title}: {problem}")
    return outcome


def _line(title: str, outcome: Outcome) -> str:
    steps, kills = len(outcome.kills), outcome.kills.total()
    cells = (title, f"{steps}", f"{kills:,}", f"{outcome.rows:,}")
    return f"| {' | '.join(cells)} | {len(outcome.missing):,} | {len(outcome.twice):,} |"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table; return 1 if something is wrong with one target."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=KILLS, help="for each step of each target")
    parser.add_argument("--broken", choices=BROKEN, default="")
    parser.add_argument("--targets", nargs="+", default=(), help="words of their titles; all")
    options = parser.parse_args(arguments)
    words = options.targets or ("",)
    titles = [title for title in TARGETS if any(word.lower() in title.lower() for word in words)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = pool.map(lambda title: play(title, options.kills, options.broken), titles)
        found = dict(zip(titles, outcomes, strict=True))
    _say("\n".join([HEADER, *(_line(title, outcome) for title, outcome in found.items())]))
    return int(any(outcome.problems for outcome in found.values()))


if __name__ == "__main__":
    sys.exit(main())
