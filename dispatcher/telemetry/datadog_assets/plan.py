"""The plan of `dispatcher datadog apply`: what Datadog has, and what would change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from dispatcher.telemetry.datadog_assets.differences import differences


class Action(StrEnum):
    """What is done with one asset."""

    CREATE = "create"
    UPDATE = "update"
    KEEP = "keep"
    WAIT = "wait"
    """Datadog does not know the metric yet: it does after the first run."""


@dataclass(frozen=True, slots=True)
class AssetStep:
    """One asset, and the request that makes Datadog have it as in the file."""

    kind: str
    name: str
    action: Action
    method: str = ""
    path: str = ""
    payload: Mapping[str, Any] = field(default_factory=dict)
    changed: Sequence[str] = ()
    """The places that differ, for people."""
    present: Mapping[str, Any] | None = None
    """What Datadog has."""

    def __str__(self) -> str:
        """Return the step in one line."""
        places = ", ".join(self.changed[:4])
        more = f" and {len(self.changed) - 4} more" if len(self.changed) > 4 else ""  # noqa: PLR2004 - as many as are shown
        about = f" ({places}{more})" if self.action is Action.UPDATE else ""
        return f"{self.action:6} {self.kind} {self.name}{about}"


def compare(
    step: AssetStep,
    present: Mapping[str, Any] | None,
    *,
    create: str,
    update: str,
    method: str = "PUT",
) -> AssetStep:
    """Return the step with its action and request.

    ``create`` and ``update`` are the paths of the requests; ``method`` is the one of an update.
    """
    if present is None:
        return _with(step, Action.CREATE, "POST", create)
    changed = tuple(differences(step.payload, present))
    action = Action.UPDATE if changed else Action.KEEP
    return _with(step, action, method, update, changed, present)


def _with(
    step: AssetStep,
    action: Action,
    method: str,
    path: str,
    changed: Sequence[str] = (),
    present: Mapping[str, Any] | None = None,
) -> AssetStep:
    return AssetStep(step.kind, step.name, action, method, path, step.payload, changed, present)


def count_actions(steps: Sequence[AssetStep]) -> dict[Action, int]:
    """Return how many steps there are of each action, without those of which there is none."""
    numbers = {action: sum(step.action is action for step in steps) for action in Action}
    return {action: number for action, number in numbers.items() if number}


def count_changes(plans: Mapping[str, Sequence[AssetStep]]) -> int:
    """Return how many assets the plans create or update."""
    steps = (step for planned in plans.values() for step in planned)
    return sum(step.action in {Action.CREATE, Action.UPDATE} for step in steps)
