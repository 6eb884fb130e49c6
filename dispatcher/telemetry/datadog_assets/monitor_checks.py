"""Checks of the monitors: their form, their query, and what their message has."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from dispatcher.domain.condition import Cause
from dispatcher.telemetry.datadog_assets.metric_checks import query_mistakes
from dispatcher.telemetry.datadog_assets.mistakes import AssetMistake
from dispatcher.telemetry.datadog_assets.official_models import MONITOR, model_mistakes
from dispatcher.telemetry.datadog_assets.queries import (
    MetricQueryError,
    MonitorQuery,
    parse_monitor_query,
)
from dispatcher.telemetry.datadog_assets.variables import NAMES, used_variables

WITHOUT_MONITOR: Mapping[Cause, str] = {
    Cause.FAILURES: "the run ends, and exit_failures reports it",
    Cause.PAUSED: "an operator wants it",
    Cause.QUIET_HOURS: "the configuration wants it",
    Cause.SOURCE_IDLE: "nothing is left to do",
    Cause.OK: "nothing is wrong",
}
"""Causes that no monitor reports, and why."""

GROUPS = frozenset({"env", "service", "campaign"})
"""What every monitor is grouped by, so that its text can say which campaign it is."""

WITHOUT_CAMPAIGN = frozenset({"exit_configuration"})
"""Monitors of what happens before the campaign is known: a series without a tag that a monitor
groups by does not reach it."""

_FIELDS = frozenset({"version", "created_at", "last_updated_at", "title", "description", "tags", "definition"})  # fmt: skip # noqa: E501 - one set
_LONGEST_TITLE = 80
_LONGEST_DESCRIPTION = 300
_PRIORITIES = range(1, 6)
_RUNBOOK = re.compile(r"\$\{runbook_url\}#([\w-]+)")
_BLOCK = re.compile(r"\{\{([#/])(\^?\w+)[^}]*\}\}")
_TAG = re.compile(r"\{\{(\w+)\.name\}\}")


def monitor_findings(
    monitors: Mapping[str, Any], anchors: frozenset[str] | None
) -> Iterator[AssetMistake]:
    """Yield what is wrong with the monitors, by the name of their files.

    ``anchors`` are those of the runbook; None if there is no runbook to compare with.
    """
    for name, monitor in monitors.items():
        file = f"monitors/{name}.json"
        for place, what in _monitor_mistakes(name, monitor, anchors):
            yield AssetMistake(file, place, what)
    for cause in Cause:
        if (cause in monitors) == (cause in WITHOUT_MONITOR):
            what = "has a monitor, and must have none" if cause in monitors else "has no monitor"
            yield AssetMistake("monitors", "", f'the cause "{cause}" {what}')


def _monitor_mistakes(
    name: str, monitor: Any, anchors: frozenset[str] | None
) -> Iterator[tuple[str, str]]:
    if not isinstance(monitor, dict) or not isinstance(monitor.get("definition"), dict):
        yield "", 'it needs an object "definition", as an import of Datadog has it'
        return
    yield from _form_mistakes(monitor)
    definition = monitor["definition"]
    for place, what in model_mistakes(MONITOR, definition):
        yield f"definition.{place}" if place else "definition", what
    try:
        query = parse_monitor_query(str(definition.get("query", "")))
    except MetricQueryError as error:
        yield "definition.query", str(error)
        return
    yield from _query_mistakes(name, query)
    yield from _threshold_mistakes(query, definition)
    yield from _message_mistakes(name, query, definition, anchors)


def _form_mistakes(monitor: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for field in sorted(_FIELDS ^ monitor.keys()):
        yield field, "the field is not known" if field in monitor else "the field is missing"
    if monitor.get("version") != 2:  # noqa: PLR2004 - the number of the format
        yield "version", "it must be 2"
    for field, most in (("title", _LONGEST_TITLE), ("description", _LONGEST_DESCRIPTION)):
        if not 0 < len(str(monitor.get(field, ""))) <= most:
            yield field, f"it must have from 1 to {most} characters"
    if monitor["definition"].get("priority") not in _PRIORITIES:
        yield "definition.priority", "it must be from 1 to 5"
    for variable in sorted({*used_variables(monitor)} - {*NAMES}):
        yield "", f"${{{variable}}} is not a variable; there are: {', '.join(NAMES)}"


def _query_mistakes(name: str, query: MonitorQuery) -> Iterator[tuple[str, str]]:
    for metric in query.metrics:
        for what in query_mistakes(metric):
            yield "definition.query", what
        if missing := sorted(_groups(name) - {*metric.by}):
            yield "definition.query", f"it must be grouped by {', '.join(missing)}, too"
        for part in metric.filters:
            if part.startswith("cause:") and part != f"cause:{name}":
                yield "definition.query", f'the file is named "{name}", the query has "{part}"'


def _groups(name: str) -> frozenset[str]:
    return GROUPS - {"campaign"} if name in WITHOUT_CAMPAIGN else GROUPS


def _threshold_mistakes(
    query: MonitorQuery, definition: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    options = definition.get("options")
    thresholds = options.get("thresholds") if isinstance(options, dict) else None
    if not isinstance(thresholds, dict) or thresholds.get("critical") != query.threshold:
        yield (
            "definition.options.thresholds.critical",
            f"it must be {query.threshold:g}, the number of the query",
        )
        return
    sign = 1 if query.operator.startswith(">") else -1
    for field in ("critical_recovery", "warning", "warning_recovery"):
        value = thresholds.get(field)
        if value is not None and sign * (query.threshold - value) <= 0:
            yield (
                f"definition.options.thresholds.{field}",
                f"it must be {'below' if sign > 0 else 'above'} {query.threshold:g}",
            )


def _message_mistakes(
    name: str, query: MonitorQuery, definition: Mapping[str, Any], anchors: frozenset[str] | None
) -> Iterator[tuple[str, str]]:
    place, message = "definition.message", str(definition.get("message", ""))
    expected = f"condition-{name}" if name in {*Cause} else name
    if (linked := _RUNBOOK.findall(message)) != [expected]:
        yield place, f'it must have the link "${{runbook_url}}#{expected}" once, and has {linked}'
    if anchors is not None and expected not in anchors:
        yield place, f'the runbook has no anchor "{expected}"'
    for needed in ("${dashboard_url}", "${notify}"):
        if needed not in message:
            yield place, f"it must have {needed}"
    by = {tag for metric in query.metrics for tag in metric.by}
    for tag in sorted({*_TAG.findall(message + str(definition.get("name", "")))} - by):
        yield place, f"{{{{{tag}.name}}}} is empty: the query is not grouped by {tag}"
    yield from ((place, what) for what in _block_mistakes(message))


def _block_mistakes(message: str) -> Iterator[str]:
    opened: list[str] = []
    for mark, word in _BLOCK.findall(message):
        if mark == "#":
            opened.append(word)
        elif not opened or opened.pop() != word:
            yield f"{{{{/{word}}}}} closes a block that is not open"
    for word in opened:
        yield f"{{{{#{word}}}}} is not closed"
