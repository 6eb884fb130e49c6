"""The whole dispatcher, everything on, as one measured process."""

import json
import os
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import dispatcher.telemetry.metrics.dogstatsd  # noqa: F401 - imported late by a run, and slow to import
from benchmarks.peak_memory import peak_rss_mb
from dispatcher import app
from dispatcher.ports import Totals
from dispatcher.settings import load


def main(config: Path, out: Path | None) -> None:
    """Run once, and print what it took; with ``out`` also write a profile there."""
    settings = load(config, env=os.environ)
    start, cpu = time.perf_counter(), _cpu()
    profile = _profiler() if out else None
    result = app.run(settings, once=True)
    if profile is not None:
        profile.disable()
        profile.dump_stats(out)
    seconds = time.perf_counter() - start
    delivered = _count(result.totals, "notified", "opened")
    print(
        json.dumps(
            {
                "contacts": delivered,
                "in_doubt": _count(result.totals, "in_doubt")
                + _count(result.totals, "parked", reason="in_doubt"),
                "seconds": seconds,
                "cpu_seconds": _cpu() - cpu,
                "peak_rss_mb": peak_rss_mb(),
                "ending": result.ending,
            }
        )
    )


def _count(by_campaign: Mapping[str, Totals], *statuses: str, reason: str = "") -> int:
    """Return how many contacts have one of the statuses, and the reason if there is one."""
    return sum(
        number
        for totals in by_campaign.values()
        for (status, why), number in totals.by_status.items()
        if status in statuses and reason in ("", why)
    )


def _profiler():  # noqa: ANN202 - cProfile is imported only where it is asked for
    import cProfile  # noqa: PLC0415 - as above

    profile = cProfile.Profile()
    profile.enable()
    return profile


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
