"""A condition as a gauge, a service check and an event of Datadog."""

from collections.abc import Iterator

from dispatcher.domain.condition import Cause, Condition
from dispatcher.domain.condition_texts import (
    TEXTS,
    Impact,
    Priority,
    granted_in,
    headline,
)
from dispatcher.domain.events import ConditionJudged
from dispatcher.telemetry.logs.format import words
from dispatcher.telemetry.metrics.catalog import PREFIX, Key

CHECK_NAME = f"{PREFIX}.can_send"
"""The service check whether people are written to."""
MOST_WORDS = 1000
"""Characters of a sentence of the evidence; Datadog takes 4,000 of a whole event."""

_STATUSES = {Impact.NONE: 0, Impact.DELAYED: 1, Impact.STOPPED: 2}
_ALERT_TYPES = {Priority.P1: "error", Priority.P2: "warning", Priority.P3: "warning"}


def condition_gauges(condition: Condition) -> Iterator[tuple[Key, int]]:
    """Yield a gauge for every cause: 1 for the one that is named."""
    for cause in Cause:
        yield ("condition", cause), int(cause is condition.cause)


def service_check(condition: Condition) -> tuple[str, int, str]:
    """Return the name, the status and the message of the service check."""
    status = _STATUSES[TEXTS[condition.cause].effect]
    message = words(headline(condition), MOST_WORDS).replace("|", "/")  # it separates fields
    return CHECK_NAME, status, message


def condition_event(event: ConditionJudged) -> tuple[str, str, str]:
    """Return the title, the text and the alert type of the event of a change.

    Ids are in the text and never in a tag.
    """
    condition = event.condition
    cause, text = condition.cause, TEXTS[condition.cause]
    alert_type = "success" if cause is Cause.OK else _ALERT_TYPES.get(text.priority, "info")
    lines = [
        f"{cause}, before: {event.changed_from}. {text.effect.capitalize()}.",
        f"Evidence: {words(condition.primary.words, MOST_WORDS)}",
        *(f"{name}: {words(str(value))}" for name, value in condition.primary.evidence.items()
          if name != "detail"),
    ]  # fmt: skip
    if where := granted_in(condition.primary):
        lines.append(f"Granted in: {where}")
    lines += [f"{number}. {step}" for number, step in enumerate(text.steps, 1)]
    lines += [f"Also: {other.cause}: {words(other.words)}" for other in condition.others]
    lines.append(f"Runbook: {event.runbook}")
    return text.title, "\n".join(lines), alert_type
