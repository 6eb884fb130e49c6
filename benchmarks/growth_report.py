"""The table, the promises and the plot of the cost of a contact as things grow."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import kept, median, table
from benchmarks.plot import Bar, Panel, draw

PROMISED = {"campaigns": 1.3, "clients": 1.2, "rows": 1.2}
"""By so much more CPU time a contact may take at any size than at the smallest."""
TITLES = {
    "campaigns": "Campaigns in one run",
    "clients": "OAuth clients in one pool",
    "rows": "Settled contacts in the ledger",
}
HEAD = ("what grows", "", "contacts/s", "CPU µs/contact", "CPU / smallest", "promised")

Part = Mapping[str, Any]
"""What was measured of one part: ``sizes`` has the runs of every size, the smallest first."""


def report(parts: Sequence[Part], plots: Path) -> dict[str, Any]:
    """Print the table, draw the plot, and return the result."""
    print(table([HEAD, *(row for part in parts for row in rows(part))]))
    for part in parts:
        for size, runs in part["sizes"].items():
            shown = ", ".join(f"{run['cpu_us']:.0f}" for run in runs)
            print(f"{part['part']} {int(size):,}, CPU µs/contact, round by round: {shown}")
    every = [found for name in TITLES if (found := kept(f"growth-{name}"))]
    plots.mkdir(parents=True, exist_ok=True)
    (plots / "growth.svg").write_text(plot(every), encoding="utf-8")
    return {"holds": all(max(ratios(part).values()) <= PROMISED[part["part"]] for part in parts)}


def ratios(part: Part) -> dict[str, float]:
    """Return CPU time against the smallest size, by size: the median of the rounds' ratios."""
    smallest, *_ = part["sizes"].values()
    return {
        size: median([run["cpu_us"] / least["cpu_us"] for run, least in pairs(runs, smallest)])
        for size, runs in part["sizes"].items()
    }


def pairs(runs: Sequence[Part], smallest: Sequence[Part]) -> list[tuple[Part, Part]]:
    """Return each run with the one of the smallest size in the same round."""
    return list(zip(runs, smallest, strict=True))


def rows(part: Part) -> list[list[object]]:
    """Return the rows of the table."""
    found = ratios(part)
    return [
        [
            part["part"],
            f"{int(size):,}",
            f"{median([part['count'] / run['seconds'] for run in runs]):,.0f}",
            f"{median([run['cpu_us'] for run in runs]):.0f}",
            f"{found[size]:.2f}",
            f"<= {PROMISED[part['part']]}" if size != next(iter(found)) else "-",
        ]
        for size, runs in part["sizes"].items()
    ]


def plot(parts: Sequence[Part]) -> str:
    """Return the SVG: a panel for each part, with the promise as a line."""
    return draw("The CPU time of a contact as things grow", [_panel(part) for part in parts])


def _panel(part: Part) -> Panel:
    figures = {
        size: median([run["cpu_us"] for run in runs]) for size, runs in part["sizes"].items()
    }
    found = ratios(part)
    bars = [
        Bar(f"{int(size):,}", figure, f"{figure:.0f} ({found[size]:.2f})", ours=True)
        for size, figure in figures.items()
    ]
    limit = PROMISED[part["part"]] * next(iter(figures.values()))
    return Panel(TITLES[part["part"]], "CPU µs for a contact (times the first)", bars, limit)
