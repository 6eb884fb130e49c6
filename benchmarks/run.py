"""Run the benchmarks: ``make bench`` for all, ``make bench ARGS="overhead"`` for one.

Results are printed as Markdown tables and kept as JSON in var/benchmarks/.
"""

import argparse
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from benchmarks import (
    before_after,
    daemons,
    database,
    growth,
    intake,
    ledger,
    ledgers,
    memory,
    moving,
    overhead,
    quota,
    reading,
    requests,
    versus,
)
from benchmarks.harness import RESULTS
from benchmarks.sources import frame as sources

Options = argparse.Namespace
BENCHMARKS: Mapping[str, Callable[[Options], dict[str, Any]]] = {
    "overhead": lambda o: overhead.run(o.contacts, o.repeats or 5),
    "telemetry-before-after": lambda o: before_after.run(o.before, o.contacts, o.repeats or 9),
    "quota": lambda o: quota.run(o.seconds),
    "memory": lambda o: memory.run((10_000, o.rows or 1_000_000)),
    "daemons": lambda o: daemons.run(o.contacts, o.repeats or 5),
    "ledger": lambda o: (database if o.ledger == "postgres" else ledger).run(
        o.rows or 10_000_000, o.contacts, o.repeats or 5
    ),
    "moving": lambda o: moving.run(o.rows or 1_000_000),
    "ledgers": lambda o: ledgers.run(o.contacts, o.repeats or 5, o.ledger),
    "reading": lambda o: reading.run(o.rows or 200_000, o.repeats or 5),
    "intake": lambda o: intake.run(o.rows or 10_000, o.repeats or 3),
    "sources": lambda o: sources.run(o.parts, o.rows or 1_000_000),
    "requests": lambda o: requests.run(o.rows or 5_000),
    "versus": lambda o: versus.run(o.parts, o.repeats or 3, plots=o.plots),
    "growth": lambda o: growth.run(
        o.parts, o.repeats or 3, o.contacts, rows=o.rows, ledgers=o.ledgers, plots=o.plots
    ),
}
PARTS = (*versus.PARTS, *growth.PARTS, *sources.PARTS)


def main() -> None:
    """Run what was asked for."""
    options = _parser().parse_args()
    signal.signal(signal.SIGTERM, _end)
    worse = []
    for name in options.names or BENCHMARKS:
        print(f"\n## {name}\n", flush=True)
        if not BENCHMARKS[name](options)["holds"]:
            worse.append(name)
    if worse:
        sys.exit(f"worse than promised: {', '.join(worse)}")


def _end(number: int, _: object) -> NoReturn:
    """End as Ctrl-C does, so that the servers that were started end, too."""
    sys.exit(128 + number)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("names", nargs="*", choices=[*BENCHMARKS, []], help="which ones; all by default")
    add(
        "--contacts",
        type=int,
        default=20_000,
        help="of a run of overhead, ledger, ledgers, daemons, growth",
    )
    add("--ledger", choices=ledgers.KINDS, default="", help="of ledgers; both by default")
    add(
        "--repeats",
        type=int,
        help="of what is compared: 5 times; versus, growth and intake: 3; before and after: 9",
    )
    add("--before", default="", help="the commit that telemetry-before-after compares with")
    add("--seconds", type=float, default=60.0, help="of each quota case")
    add(
        "--rows",
        type=int,
        help="of memory, moving and sources: 1,000,000; ledger: 10,000,000; reading: 200,000; "
        "requests: 5,000; intake: 10,000 posts",
    )
    add(
        "--parts",
        nargs="+",
        choices=PARTS,
        default=[],
        help="of versus, growth or sources; all by default",
    )
    add("--plots", type=Path, default=RESULTS, help="the folder that versus and growth draw into")
    add(
        "--ledgers", type=Path, help="a folder where growth keeps its filled ledgers and finds them"
    )
    return parser


if __name__ == "__main__":
    main()
