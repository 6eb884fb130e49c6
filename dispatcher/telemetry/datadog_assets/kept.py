"""What an update keeps: what an operator has set in Datadog and no file owns."""

from collections.abc import Mapping
from typing import Any

_TAG_FIELDS = ("tags", "exclude_tags_mode")
"""Fields of a tag configuration that are "Metrics without Limits": which tags can be queried."""

_DASHBOARD_FIELDS = ("template_variable_presets", "notify_list", "restricted_roles", "tags")
"""Fields of a dashboard that an update without them would empty."""


def with_kept_tags(
    payload: Mapping[str, Any], present: Mapping[str, Any] | None
) -> Mapping[str, Any]:
    """Return the tag configuration of a metric with the list of tags that Datadog has.

    The file owns the percentiles, and the list only of a metric that has none yet. An update must
    not name the metric's type.
    """
    if present is None:
        return payload
    data, found = payload["data"], _attributes(present)
    own = {"include_percentiles": data["attributes"]["include_percentiles"]}
    kept = {name: found[name] for name in _TAG_FIELDS if found.get(name) is not None}
    return {"data": {**data, "attributes": {**own, **kept}}}


def with_kept_fields(
    payload: Mapping[str, Any], present: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the dashboard with what people have added to it, such as saved views."""
    found = present or {}
    return {**{name: found[name] for name in _DASHBOARD_FIELDS if found.get(name)}, **payload}


def with_foreign_tags(
    payload: Mapping[str, Any], present: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the monitor with tags that people have added, such as ``team:x``."""
    own = {tag.partition(":")[0] for tag in payload["tags"]}
    found = (present or {}).get("tags") or ()
    foreign = [tag for tag in found if tag.partition(":")[0] not in own]
    return {**payload, "tags": [*payload["tags"], *foreign]}


def _attributes(configuration: Mapping[str, Any]) -> Mapping[str, Any]:
    attributes = (configuration.get("data") or {}).get("attributes")
    return attributes if isinstance(attributes, dict) else {}
