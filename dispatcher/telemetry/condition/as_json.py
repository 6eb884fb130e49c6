"""A condition as plain values, for the log, ``/status`` and other JSON."""

import logging
from collections.abc import Sequence

from dispatcher.domain.condition import PRECEDENCE, Cause, Condition
from dispatcher.domain.condition_texts import TEXTS, Priority, granted_in

_LEVELS = {Priority.P1: logging.ERROR, Priority.NONE: logging.INFO}


def condition_json(condition: Condition, runbook: str) -> dict[str, object]:
    """Return the cause, its evidence and what to do; ``others`` are further causes.

    ``runbook`` is the address of the cause's section in the runbook.
    """
    cause, text = condition.cause, TEXTS[condition.cause]
    values: dict[str, object] = {
        "cause": str(cause),
        "title": text.title,
        "priority": str(text.priority),
        "effect": str(text.effect),
        "since": round(condition.since, 3),
        "words": condition.primary.words,
        "evidence": dict(condition.primary.evidence),
        "steps": list(text.steps),
        "runbook": runbook,
        "others": [
            {"cause": str(other.cause), "words": other.words, "evidence": dict(other.evidence)}
            for other in condition.others
        ],
    }
    if where := granted_in(condition.primary):
        values["granted_in"] = where
    return values


def log_level(cause: Cause) -> int:
    """Return the level at which a cause is logged."""
    return _LEVELS.get(TEXTS[cause].priority, logging.WARNING)


def gravest(conditions: Sequence[Condition]) -> Condition:
    """Return the condition of several campaigns that comes first by precedence."""
    return min(conditions, key=lambda condition: PRECEDENCE[condition.cause])
