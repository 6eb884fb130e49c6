"""Monitors, as the shipped files have them, played over what Datadog has.

A monitor is evaluated every 60 seconds. The ``phase`` is when in a minute: alarms must not depend
on it. A group (one value of each tag that the query groups by) is known from its first point on.

Modelled: thresholds for critical, warning and recovery, ``on_missing_data``, ``notify_no_data``
with ``no_data_timeframe``, ``new_group_delay``, ``evaluation_delay``,
``require_full_window``; service checks by their last statuses, with no data after
``no_data_timeframe`` minutes.

Left out: composite, event and log monitors (`UnsupportedError`), downtimes, notifications and their
repetition, and everything that `tests.diagnose.agent` and `tests.diagnose.query` leave out.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.diagnose.agent import BUCKET, Store
from tests.diagnose.query import Group, Query, UnsupportedError, parse_query

EVERY = 60
"""Seconds between two evaluations."""
PHASES = (0, 10, 20, 30, 40, 50)
"""When in a minute a monitor is evaluated, in seconds."""
_SERVICE_CHECK = re.compile(
    r'"(?P<name>[\w.]+)"\.over\((?P<over>[^)]*)\)(?:\.by\((?P<by>[^)]*)\))?\.last\((?P<last>\d+)\)'
    r"\.count_by_status\(\)"
)


class State(StrEnum):
    """The state of one group of a monitor."""

    OK = "ok"
    WARNING = "warning"
    ALERT = "alert"
    NO_DATA = "no data"
    SILENT = "no data, without a notification"

    @property
    def notifies(self) -> bool:
        """Whether a person is called when a group gets into it."""
        return self in (State.WARNING, State.ALERT, State.NO_DATA)


@dataclass(frozen=True)
class Alarm:
    """A group of a monitor got into a state that notifies."""

    monitor: str
    time: float
    group: Group
    state: State
    value: float | None = None


@dataclass(frozen=True)
class Monitor:
    """One monitor; ``key`` is its short name, ``definition`` what Datadog's API takes."""

    key: str
    definition: Mapping[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        """Its title."""
        return str(self.definition["name"])

    @property
    def priority(self) -> int:
        """1 is the highest; 5 if it has none."""
        return int(self.definition.get("priority") or 5)

    @property
    def options(self) -> Mapping[str, Any]:
        """The options of the monitor."""
        return self.definition.get("options") or {}

    @cached_property
    def query(self) -> Query:
        """The query of a metric monitor."""
        return parse_query(self.definition["query"])

    @property
    def is_check(self) -> bool:
        """Whether it is a monitor of a service check."""
        return self.definition["type"] == "service check"

    def play(self, store: Store, start: float, end: float, phase: float) -> Iterator[Alarm]:
        """Evaluate every minute between two times, and yield the alarms."""
        played = _Checks(self) if self.is_check else _Metrics(self)
        states: dict[Group, State] = {}
        now = start + phase
        while now <= end:
            for group, (state, value) in played.evaluate(store, now, states).items():
                if state.notifies and states.get(group) is not state:
                    yield Alarm(self.key, now, group, state, value)
                states[group] = state
            now += EVERY


Found = dict[Group, tuple[State, float | None]]


class _Metrics:
    """A metric monitor at work."""

    def __init__(self, monitor: Monitor) -> None:
        if monitor.definition["type"] not in ("query alert", "metric alert"):
            raise UnsupportedError(f"a monitor of the type {monitor.definition['type']!r}")
        self._query = monitor.query
        self._options = monitor.options
        self._thresholds = monitor.options.get("thresholds") or {}
        self._first: dict[Group, float] = {}
        self._last: dict[Group, float] = {}

    def evaluate(self, store: Store, now: float, states: Mapping[Group, State]) -> Found:
        now -= self._options.get("evaluation_delay") or 0
        values = self._query.evaluate(store, now)
        found: Found = {}
        for group, value in values.items():
            if group not in self._first:
                self._first[group] = self._first_point(store, group, now)
            self._last[group] = now
            if self._is_due(group, now):
                found[group] = (self._state(value, states.get(group, State.OK)), value)
        for group in self._first.keys() - values.keys():
            if self._is_due(group, now):
                found[group] = (self._missing(group, now, states.get(group, State.OK)), None)
        return found

    def _is_due(self, group: Group, now: float) -> bool:
        age = now - self._first[group]
        whole = self._query.window if self._options.get("require_full_window") else 0
        return age >= max(self._options.get("new_group_delay") or 0, whole)

    def _first_point(self, store: Store, group: Group, now: float) -> float:
        tags = {f"{name}:{value}" for name, value in group}
        names = {term.metric for term in self._query.terms}
        begins = [one.first for one in store.series if one.name in names and tags <= one.tags]
        return min(begins, default=now)

    def _state(self, value: float, before: State) -> State:
        thresholds, beyond = self._thresholds, self._query.compare
        recovery = thresholds.get("critical_recovery")
        if beyond(value) or (
            before is State.ALERT and recovery is not None and beyond(value, recovery)
        ):
            return State.ALERT
        warning, recovery = thresholds.get("warning"), thresholds.get("warning_recovery")
        if warning is not None and beyond(value, warning):
            return State.WARNING
        if before is State.WARNING and recovery is not None and beyond(value, recovery):
            return State.WARNING
        return State.OK

    def _missing(self, group: Group, now: float, before: State) -> State:
        match self._options.get("on_missing_data"):
            case "show_and_notify_no_data":
                return State.NO_DATA
            case "show_no_data":
                return State.SILENT
            case "resolve":
                return State.OK
            case "default" | None:
                return self._missing_by_default(group, now, before)
        raise UnsupportedError(f"on_missing_data: {self._options['on_missing_data']!r}")

    def _missing_by_default(self, group: Group, now: float, before: State) -> State:
        minutes = self._options.get("no_data_timeframe") or 10
        if self._options.get("notify_no_data") and now - self._last[group] >= minutes * EVERY:
            return State.NO_DATA
        return self._state(0.0, before) if self._query.counts else before


class _Checks:
    """A monitor of a service check at work."""

    def __init__(self, monitor: Monitor) -> None:
        matched = _SERVICE_CHECK.fullmatch(monitor.definition["query"])
        if matched is None:
            raise UnsupportedError(f"a service check: {monitor.definition['query']}")
        self._name, self._last = matched["name"], int(matched["last"])
        self._over, self._by = (
            tuple(re.findall(r'"([^"]+)"', matched[part] or "")) for part in ("over", "by")
        )
        self._options = monitor.options
        self._thresholds = monitor.options.get("thresholds") or {}

    def evaluate(self, store: Store, now: float, states: Mapping[Group, State]) -> Found:
        times: dict[Group, list[tuple[float, int]]] = {}
        for check in store.checks:
            if check.name == self._name and check.time + BUCKET <= now and self._takes(check.tags):
                times.setdefault(self._group(check.tags), []).append((check.time, check.status))
        return {
            group: (self._state(reports, now, states.get(group, State.OK)), None)
            for group, reports in times.items()
        }

    def _state(self, reports: list[tuple[float, int]], now: float, before: State) -> State:
        minutes = self._options.get("no_data_timeframe") or 2
        if self._options.get("notify_no_data") and now - reports[-1][0] >= minutes * EVERY:
            return State.NO_DATA
        last = [status for _, status in reports[-self._last :]]
        for status, name, state in ((2, "critical", State.ALERT), (1, "warning", State.WARNING)):
            wanted = self._thresholds.get(name)
            if wanted is not None and last.count(status) >= wanted:
                return state
        settled = last.count(0) >= (self._thresholds.get("ok") or 1)
        return State.OK if settled else before

    def _takes(self, tags: frozenset[str]) -> bool:
        return all(one == "*" or one in tags for one in self._over)

    def _group(self, tags: frozenset[str]) -> Group:
        by = [name for name in self._by if name != "*"]
        values = dict(tag.split(":", 1) for tag in tags if ":" in tag)
        return tuple((name, values.get(name, "")) for name in by)


def load(folder: Path) -> list[Monitor]:
    """The shipped monitors: a file for each one, or one list.

    A file has what Datadog's API takes, or that as its ``definition``.
    """
    files = sorted((folder / "monitors").glob("*.json"))
    if not files:
        whole = json.loads((folder / "monitors.json").read_text())
        return [Monitor(_short(one["name"]), one) for one in whole]
    read: Iterable[tuple[Path, Any]] = ((path, json.loads(path.read_text())) for path in files)
    return [Monitor(path.stem, one.get("definition", one)) for path, one in read]


def _short(name: str) -> str:
    words = re.sub(r"\{\{.*?\}\}|\(.*?\)|\[.*?\]", " ", name)
    return "_".join(re.findall(r"\w+", words)).lower()
