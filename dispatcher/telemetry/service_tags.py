"""Unified service tagging: which service, environment and version metrics and log lines are of.

Source: Datadog's documentation of unified service tagging, and of ``DD_TAGS``.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from dispatcher import __version__

SERVICE = "dispatcher"
"""The service, unless a variable names another."""

NO_ENV = "none"
"""The environment, unless a variable names one: Datadog's APM uses this value, too.

A monitor that is grouped by ``env`` does not see a series without this tag.
"""

UNIFIED = ("service", "env", "version")
"""The names of the tags that join metrics, log lines and traces."""

OWN = frozenset({"campaign", "dialect", "client"})
"""Names of tags that no variable can set, because they say which series it is."""


@dataclass(frozen=True, slots=True)
class ServiceTags:
    """Values of the unified tags, and further tags."""

    service: str = SERVICE
    env: str = NO_ENV
    version: str = __version__
    further: tuple[str, ...] = ()

    def unified(self) -> dict[str, str]:
        """Return the unified tags by name."""
        return {"service": self.service, "env": self.env, "version": self.version}

    def tags(self) -> list[str]:
        """Return all tags in the format of DogStatsD."""
        return [*(f"{name}:{value}" for name, value in self.unified().items()), *self.further]


def read_service_tags(environ: Mapping[str, str] | None = None) -> ServiceTags:
    """Return the tags that the environment sets.

    ``DD_SERVICE``, ``DD_ENV`` and ``DD_VERSION`` override tags of the same name in ``DD_TAGS`` and
    ``DATADOG_TAGS``, and these the defaults. ``DD_ENTITY_ID`` is the pod. An empty variable counts
    as one that is not set.
    """
    variables = os.environ if environ is None else environ
    listed = [*_split(variables.get("DD_TAGS", "")), *variables.get("DATADOG_TAGS", "").split(",")]
    pairs = [tag.strip().partition(":") for tag in listed if tag.strip()]
    values = {"service": SERVICE, "env": NO_ENV, "version": __version__}
    # The first of several tags of the same name is the one that holds.
    values |= {name: value for name, _, value in reversed(pairs) if name in UNIFIED and value}
    values |= {name: set_ for name in UNIFIED if (set_ := variables.get(f"DD_{name.upper()}"))}
    further = [name + colon + value for name, colon, value in pairs if name not in {*UNIFIED, *OWN}]
    if entity := variables.get("DD_ENTITY_ID"):
        further.append(f"dd.internal.entity_id:{entity}")
    return ServiceTags(**values, further=tuple(dict.fromkeys(further)))


def _split(tags: str) -> list[str]:
    """Split ``DD_TAGS``: at commas if there are any, else at spaces."""
    return tags.split(",") if "," in tags else re.split(r"\s+", tags)
