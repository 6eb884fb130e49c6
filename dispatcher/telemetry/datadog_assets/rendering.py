"""The assets as they are sent to Datadog: with variables filled, restricted, and marked as ours."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dispatcher.telemetry.datadog_assets.links import link_dashboard
from dispatcher.telemetry.datadog_assets.queries import add_filter
from dispatcher.telemetry.datadog_assets.variables import fill_variables

MANAGED = "managed_by:dispatcher"
"""The tag of the monitors that `dispatcher datadog apply` has made."""

NAME_TAG = "dispatcher_monitor:"
"""Prefix of the tag with the name of a monitor's file."""

SET_TAG = "dispatcher_set:"
"""Prefix of the tag with the environment and service that a set of monitors is restricted to."""

DEFAULT_SERVICE = "dispatcher"
"""The service of a dispatcher for which ``DD_SERVICE`` is not set."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What an operator chooses: whom to notify, links, and what the assets are restricted to.

    With ``env`` or ``service`` the queries have this filter, and the set is one of its own.
    """

    notify: str = ""
    runbook_url: str = "docs/runbook.md"
    dashboard_url: str = ""
    env: str = ""
    service: str = ""

    @property
    def set_name(self) -> str:
        """The name of the set: two sets do not change each other."""
        return "_".join(filter(None, (self.env, self.service))) or "all"

    @property
    def filters(self) -> tuple[str, ...]:
        """The filters of each query."""
        pairs = {"env": self.env, "service": self.service}
        return tuple(f"{name}:{value}" for name, value in pairs.items() if value)

    def variables(self, dashboard_url: str) -> dict[str, str]:
        """Return the values of the variables."""
        return {
            "notify": self.notify,
            "runbook_url": self.runbook_url.partition("#")[0],  # each link has its own section
            "dashboard_url": dashboard_url,
            "service": self.service or DEFAULT_SERVICE,
        }


def render_monitor(
    name: str, monitor: Mapping[str, Any], choices: Choices, dashboard_url: str
) -> dict[str, Any]:
    """Return the monitor for the API."""
    definition = {
        **monitor["definition"],
        "message": link_dashboard(monitor["definition"]["message"], dashboard_url),
    }
    payload: dict[str, Any] = fill_variables(definition, choices.variables(dashboard_url))
    for tag in choices.filters:
        payload["query"] = add_filter(payload["query"], tag)
    own = [MANAGED, f"{NAME_TAG}{name}", f"{SET_TAG}{choices.set_name}"]
    env = [f"env:{choices.env}"] if choices.env else []
    return {**payload, "tags": [*payload.get("tags", ()), *env, *own]}


def render_dashboard(dashboard: Mapping[str, Any], choices: Choices) -> dict[str, Any]:
    """Return the dashboard for the API; its description has the mark by which it is found."""
    payload: dict[str, Any] = fill_variables(dict(dashboard), choices.variables(""))
    values = {"env": choices.env, "service": choices.service}
    for variable in payload["template_variables"]:
        if value := values.get(variable["name"]):
            variable["defaults"] = [value]
    restricted = f" ({choices.set_name})" if choices.filters else ""
    return {
        **payload,
        "title": f"{payload['title']}{restricted}",
        "description": f"{payload['description']} {dashboard_mark(choices)}",
    }


def dashboard_mark(choices: Choices) -> str:
    """Return the text in the description of a dashboard by which it is found again."""
    return f"[{MANAGED} {SET_TAG}{choices.set_name}]"
