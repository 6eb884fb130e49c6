"""Makes the plan: reads what Datadog has, and compares it with the files."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dispatcher.telemetry.datadog_assets.api import DatadogApi, DatadogApiError
from dispatcher.telemetry.datadog_assets.bundle import Bundle
from dispatcher.telemetry.datadog_assets.kept import (
    with_foreign_tags,
    with_kept_fields,
    with_kept_tags,
)
from dispatcher.telemetry.datadog_assets.log_checks import pipeline_payload
from dispatcher.telemetry.datadog_assets.metadata_checks import metadata_payload
from dispatcher.telemetry.datadog_assets.plan import Action, AssetStep, compare
from dispatcher.telemetry.datadog_assets.rendering import (
    MANAGED,
    NAME_TAG,
    SET_TAG,
    Choices,
    dashboard_mark,
    render_dashboard,
    render_monitor,
)

KINDS = ("dashboard", "monitors", "pipeline", "metadata", "percentiles")
"""The kinds of assets in the order in which they are applied."""

MONITORS = "/api/v1/monitor"
DASHBOARDS = "/api/v1/dashboard"
PIPELINES = "/api/v1/logs/config/pipelines"

Plans = Mapping[str, Sequence[AssetStep]]
"""The steps of each kind of assets, in the order in which they are applied."""

_PAGE = 500
_SAME_TYPES = frozenset({"metric alert", "query alert"})  # Datadog stores one for the other


@dataclass(frozen=True, slots=True)
class Planner:
    """Plans the assets of a folder. ``site_url`` is the address of Datadog's web interface."""

    api: DatadogApi
    bundle: Bundle
    choices: Choices
    site_url: str

    def plans(self, kinds: Sequence[str], say: Callable[[str], None]) -> Plans:
        """Return the steps of some kinds of assets.

        Raises:
            DatadogApiError: Datadog cannot be asked, or has an asset twice.

        """
        dashboard = self.dashboard_step() if {"dashboard", "monitors"} & {*kinds} else None
        link = self.dashboard_url(dashboard.present if dashboard else None)
        found: dict[str, Sequence[AssetStep]] = {}
        for kind in (kind for kind in KINDS if kind in kinds):
            say(f"Reading from Datadog: {kind}")
            known = kind == "dashboard" and dashboard
            found[kind] = [dashboard] if known and dashboard else list(self.plan(kind, link))
        return found

    def plan(self, kind: str, dashboard_url: str = "") -> Iterator[AssetStep]:
        """Yield the steps of one kind of assets.

        Raises:
            DatadogApiError: Datadog cannot be asked, or has an asset twice.

        """
        if kind == "dashboard":
            yield self.dashboard_step()
        elif kind == "monitors":
            yield from self._monitor_steps(dashboard_url)
        elif kind == "pipeline":
            yield self._pipeline_step()
        elif kind == "metadata":
            yield from self._metadata_steps()
        else:
            yield from self._percentile_steps()

    def dashboard_step(self) -> AssetStep:
        """Return the step of the dashboard.

        Raises:
            DatadogApiError: Datadog cannot be asked, or has it twice.

        """
        payload = render_dashboard(self.bundle.dashboard, self.choices)
        listed = self.api.request("GET", DASHBOARDS).get("dashboards") or []
        mark = dashboard_mark(self.choices)
        own = [item for item in listed if mark in (item.get("description") or "")]
        found = _single(own, "dashboard", payload["title"])
        present = self.api.request("GET", f"{DASHBOARDS}/{found['id']}") if found else None
        path = f"{DASHBOARDS}/{found['id']}" if found else ""
        payload = with_kept_fields(payload, present)
        step = AssetStep("dashboard", payload["title"], Action.KEEP, payload=payload)
        return compare(step, present, create=DASHBOARDS, update=path)

    def dashboard_url(self, dashboard: Mapping[str, Any] | None) -> str:
        """Return the address of a dashboard in the web interface, for links in monitors."""
        if self.choices.dashboard_url or dashboard is None:
            return self.choices.dashboard_url or f"{self.site_url}/dashboard/lists"
        return f"{self.site_url}{dashboard.get('url') or '/dashboard/' + dashboard['id']}"

    def obsolete_monitors(self) -> Iterator[str]:
        """Yield monitors of this set that no file has any more, for people."""
        for name, monitors in self._own_monitors().items():
            if name not in self.bundle.monitors:
                yield from (f"{monitor['name']} (id {monitor['id']})" for monitor in monitors)

    def _monitor_steps(self, dashboard_url: str) -> Iterator[AssetStep]:
        own = self._own_monitors()
        for name, monitor in self.bundle.monitors.items():
            payload = render_monitor(name, monitor, self.choices, dashboard_url)
            present = _single(own.get(name, []), "monitor", name)
            if present and {present.get("type"), payload.get("type")} <= _SAME_TYPES:
                present = {**present, "type": payload["type"]}
            payload = with_foreign_tags(payload, present)
            path = f"{MONITORS}/{present['id']}" if present else ""
            step = AssetStep("monitor", name, Action.KEEP, payload=payload)
            yield compare(step, present, create=MONITORS, update=path)

    def _own_monitors(self) -> dict[str, list[Mapping[str, Any]]]:
        """Return the monitors of this set by the names of their files."""
        found: dict[str, list[Mapping[str, Any]]] = {}
        for monitor in self._listed_monitors():
            tags = monitor.get("tags") or []
            names = [tag.removeprefix(NAME_TAG) for tag in tags if tag.startswith(NAME_TAG)]
            if names and MANAGED in tags and f"{SET_TAG}{self.choices.set_name}" in tags:
                found.setdefault(names[0], []).append(monitor)
        return found

    def _listed_monitors(self) -> Iterator[Mapping[str, Any]]:
        for page in range(1000):
            query = [("monitor_tags", MANAGED), ("page", page), ("page_size", _PAGE)]
            listed: list[Mapping[str, Any]] = self.api.request("GET", MONITORS, None, query, list)
            yield from listed
            if len(listed) < _PAGE:
                return

    def _pipeline_step(self) -> AssetStep:
        payload = {**pipeline_payload(self.bundle.pipeline), "tags": [MANAGED]}
        listed = self.api.request("GET", PIPELINES, shape=list)
        own = [
            item
            for item in listed
            if item.get("name") == payload["name"] and not item.get("is_read_only")
        ]
        present = _single(own, "log pipeline", payload["name"])
        if present and MANAGED not in (present.get("tags") or ()):
            raise DatadogApiError(
                f'the log pipeline "{payload["name"]}" (id {present["id"]}) in Datadog was not '
                f"made by this command: rename it, or give it the tag {MANAGED} if it may be "
                "overwritten; or leave it out with --only"
            )
        payload = with_foreign_tags(payload, present)
        path = f"{PIPELINES}/{present['id']}" if present else ""
        step = AssetStep("log pipeline", payload["name"], Action.KEEP, payload=payload)
        return compare(step, present, create=PIPELINES, update=path)

    def _metadata_steps(self) -> Iterator[AssetStep]:
        for row in self.bundle.metadata:
            name = row["metric_name"]
            step = AssetStep("metadata", name, Action.WAIT, payload=metadata_payload(row))
            path = f"/api/v1/metrics/{name}"
            present = self.api.find(path)
            yield step if present is None else compare(step, present, create=path, update=path)

    def _percentile_steps(self) -> Iterator[AssetStep]:
        for name, payload in self.bundle.percentiles.items():
            step = AssetStep("percentiles", name, Action.WAIT, payload=payload)
            if self.api.find(f"/api/v1/metrics/{name}") is None:
                yield step
                continue
            path = f"/api/v2/metrics/{name}/tags"
            present = self.api.find(path)
            step = replace(step, payload=with_kept_tags(payload, present))
            yield compare(step, present, create=path, update=path, method="PATCH")


def _single(found: Sequence[Mapping[str, Any]], kind: str, name: str) -> Mapping[str, Any] | None:
    if len(found) > 1:
        ids = ", ".join(str(item["id"]) for item in found)
        raise DatadogApiError(
            f'Datadog has the {kind} "{name}" more than once (ids {ids}): delete all but one, '
            f"or remove {MANAGED} from the tags or the description of copies, then run the "
            "command again"
        )
    return found[0] if found else None
