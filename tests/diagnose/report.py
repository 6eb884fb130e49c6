"""The matrix for the terminal and for docs/diagnosis.md."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.diagnose.matrix import Row
from tests.diagnose.world import World

BEGIN, END = "<!-- matrix -->", "<!-- /matrix -->"


def show(rows: Sequence[Row], skipped: Sequence[World]) -> None:
    """Print the matrix, what is wrong, and what was not played."""
    lines = [*_table(rows), ""]
    lines += [f"WRONG  {row.world.name}: {wrong}" for row in rows for wrong in row.mistakes]
    lines += [f"not played, because only root can make its disk: {one.name}" for one in skipped]
    right = sum(not row.mistakes for row in rows)
    lines.append(f"{right} of {len(rows)} worlds have exactly their own alarms")
    sys.stdout.write("\n".join(lines) + "\n")


def write(rows: Sequence[Row], path: Path) -> None:
    """Replace the table of a document."""
    before, _, rest = path.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text("\n".join([before + BEGIN, *_table(rows), END]) + after)


def _table(rows: Sequence[Row]) -> Iterator[str]:
    yield "| world | own monitor | its alarms | verdict of the log | other monitors |"
    yield "| --- | --- | --- | --- | --- |"
    for row in rows:
        own = row.own
        alarms = own.shown if own else ("" if row.world.healthy else "none")
        priority = f" (P{own.monitor.priority})" if own else ""
        verdict = row.verdict or ""
        if row.world.cause and row.verdict_after is not None:
            verdict += f" after {row.verdict_after:.0f} s"
        others = ", ".join(
            f"{cell.monitor.key} (P{cell.monitor.priority}, {cell.phases}/6)" for cell in row.others
        )
        name = f"{row.world.title}"
        yield f"| {name} | {row.world.monitor}{priority} | {alarms} | {verdict} | {others} |"
