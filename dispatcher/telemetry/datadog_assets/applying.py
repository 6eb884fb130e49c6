"""Applies a plan: makes the requests that create and update assets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from dispatcher.telemetry.datadog_assets.api import DatadogApi, DatadogApiError
from dispatcher.telemetry.datadog_assets.plan import Action, AssetStep
from dispatcher.telemetry.datadog_assets.planning import Planner, Plans

_STOPS = frozenset({0, 401, 403, 429})
"""Statuses that every further request would get, too; 0 is no answer."""


@dataclass(slots=True)
class Applied:
    """What became of the steps of a plan."""

    created: int = 0
    updated: int = 0
    failed: list[str] = field(default_factory=list)
    """For people: the asset, and what Datadog answered."""


def apply_plans(
    planner: Planner, plans: Plans, applied: Applied, say: Callable[[str], None]
) -> None:
    """Make the requests of all plans, in their order; ``applied`` has what became of them so far.

    If the dashboard is new, the monitors are planned again, because they link it. An asset that
    Datadog refuses does not prevent the others.

    Raises:
        DatadogApiError: the keys are refused, or Datadog does not answer.

    """
    new_link = None
    for kind, planned in plans.items():
        steps = planned
        if kind == "monitors" and new_link:
            steps = list(planner.plan(kind, new_link))
        answer = _apply_steps(planner.api, steps, applied, say)
        if kind == "dashboard" and answer and not steps[0].present:
            new_link = planner.dashboard_url(answer)


def _apply_steps(
    api: DatadogApi, steps: Sequence[AssetStep], applied: Applied, say: Callable[[str], None]
) -> Any:
    """Make the requests of the steps, and return the answer to the last one.

    Raises:
        DatadogApiError: the keys are refused, or Datadog does not answer.

    """
    answer: Any = None
    changes = [step for step in steps if step.action in {Action.CREATE, Action.UPDATE}]
    for number, step in enumerate(changes, 1):
        try:
            answer = api.request(step.method, step.path, dict(step.payload))
        except DatadogApiError as error:
            if error.status in _STOPS:
                raise
            applied.failed.append(f"{step.kind} {step.name}: {error}")
            say(f"{number}/{len(changes)} failed: {step.kind} {step.name}")
            continue
        if step.action is Action.CREATE:
            applied.created += 1
        else:
            applied.updated += 1
        say(f"{number}/{len(changes)} {step.action}d {step.kind} {step.name}")
    return answer
