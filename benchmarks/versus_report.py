"""The table, the promises and the plot of the comparison with the alternatives."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks.alternatives.rows import ALONE, OURS, SDK, SDK_CONNECTED
from benchmarks.harness import kept, median, table
from benchmarks.plot import Bar, Heading, Panel, draw

SDK_TIMES = 8.0
"""By so much the dispatcher sends faster than the official SDK where no quota limits either."""
SDK_HEAD = ("world", "contacts/s", "median", "round by round", "promised")
HEAD = (
    "world", "dialect", "", "contacts", "contacts/s", "seconds a round", "CPU µs/contact",
    "requests/message", "twice", "missed", "wrong",
)  # fmt: skip

MISSED_NOTE = "faults, a quota; the dispatcher's are in doubt in its ledger"

Row = Mapping[str, Any]
"""What was measured of one alternative on one world: ``runs`` has one entry for each round."""


def report(rows: Sequence[Row], plots: Path) -> dict[str, Any]:
    """Print the table and the promises, draw the plot, and return the result."""
    print(table([HEAD, *map(cells, rows)]))
    times = list(sdk_cells(rows))
    if times:
        print(f"\n{table([SDK_HEAD, *times])}")
    broken = list(broken_promises(rows))
    for sentence in broken:
        print(f"Broken promise: {sentence}")
    plain, faults = kept("versus-plain"), kept("versus-faults")
    if plain and faults:
        plots.mkdir(parents=True, exist_ok=True)
        svg = plot([*plain["rows"], *faults["rows"]])
        (plots / "versus.svg").write_text(svg, encoding="utf-8")
    return {"broken": broken, "holds": not broken}


def cells(row: Row) -> list[object]:
    """Return a row of the table: medians of the figures, sums of people over all rounds."""
    missed, doubts = total(row, "missed"), total(row, "in_doubt")
    return [
        row["world"],
        row["dialect"],
        row["name"],
        f"{row['contacts'] * len(row['runs']):,}",
        f"{middle(row, lambda run: row['contacts'] / run['seconds']):,.0f}",
        f"{middle(row, lambda run: run['seconds']):.1f}",
        f"{cpu(row):,.0f}",
        f"{requests_per_message(row):.2f}",
        total(row, "twice"),
        f"{missed} ({doubts} in doubt)" if doubts else missed,
        total(row, "wrong"),
    ]


def sdk_cells(rows: Sequence[Row]) -> Iterator[list[object]]:
    """Yield the dispatcher's speed against the SDK's, where no quota limits either."""
    for world in ("latency", "plain"):
        for sdk in (SDK, SDK_CONNECTED):
            ratios = sdk_ratios(rows, world, sdk.name)
            if ratios:
                listed = ", ".join(f"{ratio:.1f}" for ratio in ratios)
                promised = f">= {SDK_TIMES:.0f}" if (world, sdk) == ("latency", SDK) else "-"
                yield [
                    world,
                    f"{ALONE.name} / {sdk.name}",
                    f"{median(ratios):.1f}",
                    listed,
                    promised,
                ]


def middle(row: Row, figure: Callable[[Row], float]) -> float:
    """Return the median of a figure over the rounds."""
    return median([figure(run) for run in row["runs"]])


def total(row: Row, key: str) -> int:
    """Return the sum of a count over the rounds."""
    return sum(run.get(key, 0) for run in row["runs"])


def cpu(row: Row) -> float:
    """Return microseconds of CPU time for a contact."""
    return middle(row, lambda run: run["cpu_seconds"] / row["contacts"] * 1e6)


def requests_per_message(row: Row) -> float:
    """Return requests for a person who got a message; a second message to a person is waste."""
    return total(row, "requests") / max(1, total(row, "reached"))


def sdk_ratios(rows: Sequence[Row], world: str = "latency", sdk: str = SDK.name) -> list[float]:
    """Return how many times the SDK's contacts a second the dispatcher had, round by round."""
    found = {row["name"]: row for row in rows if row["world"] == world and _in_genesys(row)}
    if not {ALONE.name, sdk} <= found.keys():
        return []
    pairs = zip(found[ALONE.name]["runs"], found[sdk]["runs"], strict=True)
    return [theirs["seconds"] / ours["seconds"] for ours, theirs in pairs]


def _in_genesys(row: Row) -> bool:
    return row["dialect"] == "genesys"


def broken_promises(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a sentence for each promise that does not hold."""
    ratios = sdk_ratios(rows)
    if ratios and median(ratios) < SDK_TIMES:
        yield f"{median(ratios):.1f} times the official SDK's contacts/s, not {SDK_TIMES:.0f}"
    for row in rows:
        if row["name"] not in OURS:
            continue
        where = f"{row['name']} on {row['world']} in {row['dialect']}"
        if total(row, "twice") or total(row, "wrong"):
            yield f"{where}: somebody was written to twice or by mistake"
        if total(row, "missed") > total(row, "in_doubt"):
            yield f"{where}: somebody was missed who is not in doubt"


def plot(rows: Sequence[Row]) -> str:
    """Return the SVG: cost on the plain world, and people on the world with faults."""
    plain = [row for row in rows if row["world"] == "plain"]
    faults = [row for row in rows if row["world"] == "faults"]
    return draw(
        "The dispatcher and what people run instead",
        [
            _panel(
                "Requests for a person reached", "faults, a quota", faults, requests_per_message
            ),
            _panel("CPU time for a contact, µs", "no faults, no quota", plain, cpu),
            _panel("People written to twice, of 1,000", "faults, a quota", faults, _share("twice")),
            _panel("People missed, of 1,000", MISSED_NOTE, faults, _share("missed")),
        ],
    )


def _share(key: str) -> Callable[[Row], float]:
    return lambda row: 1000 * total(row, key) / (row["contacts"] * len(row["runs"]))


def _panel(title: str, note: str, rows: Sequence[Row], figure: Callable[[Row], float]) -> Panel:
    lines: list[Bar | Heading] = []
    for dialect, those in groupby(rows, lambda row: row["dialect"]):
        lines.append(Heading(f"in {dialect}"))
        for row in those:
            value = figure(row)
            lines.append(Bar(row["name"], value, shown(value), row["name"] in OURS))
    return Panel(title, note, lines)


def shown(value: float) -> str:
    """Return a figure with three digits or a few more, and without a zero that says nothing."""
    if value >= 100:
        return f"{value:,.0f}"
    digits = 2 if value < 10 else 1
    return f"{value:.{digits}f}".removesuffix("." + digits * "0")
