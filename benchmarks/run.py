"""Run the benchmarks: ``make bench`` for all, ``make bench ARGS="overhead"`` for one.

Results are printed as Markdown tables and kept as JSON in var/benchmarks/.
"""

import argparse
import sys

from benchmarks import ledger, memory, overhead, quota, reading, requests

NAMES = ("overhead", "quota", "memory", "ledger", "reading", "requests")


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help="which ones; all by default")
    parser.add_argument(
        "--contacts", type=int, default=20_000, help="of each overhead and ledger run"
    )
    parser.add_argument("--repeats", type=int, default=5, help="of each pair that is compared")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each quota case")
    parser.add_argument(
        "--rows",
        type=int,
        help="of memory: 1,000,000; ledger: 10,000,000; reading: 200,000; requests: 5,000",
    )
    given = parser.parse_args()
    worse = []
    for name in given.names or NAMES:
        print(f"\n## {name}\n", flush=True)
        if name == "overhead":
            result = overhead.run(given.contacts, given.repeats)
        elif name == "quota":
            result = quota.run(given.seconds)
        elif name == "memory":
            result = memory.run((10_000, given.rows or 1_000_000))
        elif name == "reading":
            result = reading.run(given.rows or 200_000, given.repeats)
        elif name == "requests":
            result = requests.run(given.rows or 5_000)
        else:
            result = ledger.run(given.rows or 10_000_000, given.contacts, given.repeats)
        if not result["holds"]:
            worse.append(name)
    if worse:
        sys.exit(f"worse than promised: {', '.join(worse)}")


if __name__ == "__main__":
    main()
