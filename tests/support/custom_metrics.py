"""Counts the custom metrics of a campaign; ``python -m tests.support.custom_metrics`` writes them.

Datadog bills a custom metric for each combination of a name and values of tags; for a distribution
five, and ten with percentiles.
"""

import re
from collections import Counter
from pathlib import Path

from dispatcher.domain.condition import Cause
from dispatcher.domain.status import HaltReason, Step
from dispatcher.telemetry.metrics.catalog import DISTRIBUTIONS, GAUGES, METRICS, PREFIX, zero_counts

DOCUMENT = Path(__file__).parents[2] / "docs" / "datadog.md"
PER_DISTRIBUTION = 10
"""Count, sum, minimum, maximum, average; and five percentiles."""
ENDPOINTS = (Step.CHECK, Step.NOTIFY, Step.OPEN)
"""Endpoints of the requests of a usual run."""
CURRENT = 3
"""States of contacts without a reason: ready, in flight, in doubt."""
LATER = {
    "api.requests": "each endpoint with each HTTP status that occurs",
    "token.requests": "each HTTP status that occurs",
    "intake.posts": "each HTTP status that occurs",
    "run.exits": "each exit code that occurs",
    "lineage.sink_lag": "each of `[[sinks]]`",
    "contacts.current": "each reason of a wait, and each reason of a final status that occurs",
    "api.latency": f"{PER_DISTRIBUTION} for each further endpoint",
}
"""What comes later, where values of tags come from outside."""

_PART = re.compile(r"(<!-- custom metrics -->\n).*?(<!-- /custom metrics -->)", re.DOTALL)


def custom_metrics():
    """Return the number of custom metrics of each name, of one campaign with one client."""
    numbers = Counter(key[0] for key in zero_counts())
    for name in GAUGES:
        values = {"condition": len(Cause), "contacts.current": CURRENT, "lineage.sink_lag": 0}
        reasons = len(HaltReason) if name in {"halted", "halted.seconds"} else 1
        numbers[name] = values.get(name, reasons)
    for name in DISTRIBUTIONS:
        numbers[name] = PER_DISTRIBUTION * (len(ENDPOINTS) if DISTRIBUTIONS[name] else 1)
    return {name: numbers[name] for name in sorted(METRICS)}


def table():
    """Return the table of the document, and its sum."""
    numbers = custom_metrics()
    rows = [
        f"| `{PREFIX}.{name}` | {number} | {LATER.get(name, '')} |".replace("|  |", "| |")
        for name, number in numbers.items()
    ]
    head = ["| metric | custom metrics | later |", "| --- | --- | --- |"]
    total = f"| **together** | **{sum(numbers.values())}** | |"
    return "\n".join([*head, *rows, total, ""])


def document(text):
    """Return the text of the document with the table of the present catalog."""
    return _PART.sub(lambda part: f"{part[1]}\n{table()}\n{part[2]}", text)


if __name__ == "__main__":
    DOCUMENT.write_text(document(DOCUMENT.read_text("utf-8")), "utf-8")
