"""(c) Peak memory of a run at 10,000 and at 1,000,000 rows of the source."""

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.harness import contacts, keep, measured, table, write_config
from tests.support.sandbox_process import SCENARIOS, sandbox

PROMISED_MB = 20.0
"""By so much the larger run's peak may stand above the smaller one's."""


def run(sizes: tuple[int, ...] = (10_000, 1_000_000)) -> dict[str, Any]:
    """Measure, print the table, and return the result."""
    peaks: dict[str, float] = {}
    rows: list[list[object]] = [["rows", "peak RSS", "seconds"]]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with sandbox(SCENARIOS / "bench.toml", folder / "effects.jsonl") as world:
            for size in sizes:
                source = contacts(folder, str(size), size, size)
                config = write_config(
                    folder, str(size), contacts=source, url=world.url, workers=64, statsd_port=9
                )
                result = measured("whole.py", config)
                if result["contacts"] != size:
                    raise RuntimeError(f"{result['contacts']} of {size} contacts were sent")
                peaks[str(size)] = result["peak_rss_mb"]
                rows.append(
                    [f"{size:,}", f"{result['peak_rss_mb']:.1f} MB", f"{result['seconds']:.0f}"]
                )
    print(table(rows))
    values = list(peaks.values())
    print(f"difference: {values[-1] - values[0]:+.1f} MB")
    difference = values[-1] - values[0]
    holds = difference <= PROMISED_MB
    result = {"peak_rss_mb": peaks, "difference_mb": difference, "holds": holds}
    keep("memory", result)
    return result
