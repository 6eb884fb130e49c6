"""``make diagnose``: play every fault and every healthy world, and print faults by monitors."""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.diagnose import report
from tests.diagnose.capture import read
from tests.diagnose.faults import FAULTS
from tests.diagnose.healthy import HEALTHY
from tests.diagnose.matrix import Row, judge
from tests.diagnose.monitor import Monitor, load
from tests.diagnose.stage import play
from tests.diagnose.virtual_worlds import LONG
from tests.diagnose.world import World
from tests.diagnose.world_servers import can_mount
from tests.support.forked_process import ROOT

VIRTUAL = {virtual.world.name: virtual for virtual in LONG}
WORLDS = {world.name: world for world in (*FAULTS, *HEALTHY, *(virtual.world for virtual in LONG))}
JOBS = 16
"""Worlds that are played at the same time: most of a world is waiting."""
MONITORS = ROOT / "config" / "datadog"


def main(arguments: Sequence[str]) -> int:
    """Play; the exit code is 1 if a world has not exactly its own alarms."""
    options = _options(arguments)
    monitors = load(options.monitors)
    chosen = [WORLDS[name] for name in options.fault] or list(WORLDS.values())
    skipped = [world for world in chosen if world.small_disk and not can_mount()]
    chosen = [world for world in chosen if world not in skipped]
    with tempfile.TemporaryDirectory(prefix="diagnose-") as folder:
        kept = options.keep or Path(folder) / "captures"
        if not options.replay:
            _play(chosen, Path(folder) / "worlds", kept, options.jobs)
        rows = _judge(chosen, options.replay or kept, monitors)
    report.show(rows, skipped)
    if options.write:
        report.write(rows, ROOT / "docs" / "diagnosis.md")
    return 1 if any(row.mistakes for row in rows) else 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make diagnose", description=__doc__)
    parser.add_argument(
        "--fault", action="append", default=[], choices=sorted(WORLDS), metavar="NAME",
        help=f"only this world; can be repeated: {', '.join(WORLDS)}",
    )  # fmt: skip
    parser.add_argument("--jobs", type=int, default=JOBS, help="worlds at the same time")
    parser.add_argument("--keep", type=Path, help="keep the captures in this folder")
    parser.add_argument("--replay", type=Path, help="play nothing, judge the captures of --keep")
    parser.add_argument("--monitors", type=Path, default=MONITORS, help="the folder of monitors")
    parser.add_argument("--write", action="store_true", help="write the table of docs/diagnosis.md")
    return parser.parse_args(arguments)


def _play(chosen: Sequence[World], folder: Path, kept: Path, jobs: int) -> None:
    began = time.monotonic()

    def one(world: World) -> None:
        virtual = VIRTUAL.get(world.name)
        capture = virtual.capture() if virtual else play(world, folder / world.name)
        capture.save(kept)
        passed = time.monotonic() - began
        sys.stderr.write(f"{passed:5.0f} s  {world.name}: {len(capture.datagrams)} datagrams\n")

    real = [world for world in chosen if world.name not in VIRTUAL]
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(one, sorted(real, key=lambda world: -world.seconds)))
    for world in chosen:  # afterwards, because they need the processor
        if world.name in VIRTUAL:
            one(world)


def _judge(chosen: Sequence[World], kept: Path, monitors: Sequence[Monitor]) -> list[Row]:
    played = [world for world in chosen if (kept / f"{world.name}.json").exists()]
    return [judge(world, read(kept / f"{world.name}.json"), monitors) for world in played]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
