"""The condition of a running dispatcher as lines for people."""

from collections.abc import Iterator, Mapping
from typing import Any

from dispatcher.cli import formatting, tables

CALM = "none"
"""The priority of a cause that needs nobody."""


def condition_lines(run: Mapping[str, Any] | None, now: float) -> Iterator[str]:
    """Yield what is wrong and what to do, the most important line first.

    ``run`` is the status of the running dispatcher, which may be an older version without a
    condition; None if there is none.
    """
    condition = (run or {}).get("condition")
    if run is None or condition is None:
        return
    since = condition["since"]
    lasting = f", since {tables.moment(since)} ({formatting.since(since, now)})" if since else ""
    calm = condition["priority"] == CALM
    urgency = "" if calm else f" [{condition['priority']}: {condition['effect']}]"
    yield f"Condition: {condition['cause']}: {condition['title']}{urgency}{lasting}."
    yield f"  Evidence: {condition['words']}."
    if not calm:
        yield from _help(condition)
    for other in condition["others"]:
        yield f"  Also {other['cause']}: {other['words']}."


def _help(condition: Mapping[str, Any]) -> Iterator[str]:
    evidence = condition["evidence"]
    if "correlation_id" in evidence:
        yield f"  Correlation id of the last refusal: {evidence['correlation_id']}"
    if "granted_in" in condition:
        yield f"  Granted in: {condition['granted_in']}"
    for number, step in enumerate(condition["steps"], 1):
        yield f"  {number}. {step}"
    yield f"  Runbook: {condition['runbook']}"
