"""The table of metrics, and that dashboard and monitors use nothing else."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.domain.status import FINAL, Reason, ScopeSource, Step
from dispatcher.telemetry.metrics.catalog import COUNTS, METRICS, OUTCOMES, format_tags, zero_counts

CONFIG = Path(__file__).parents[2] / "config" / "datadog"
QUERY = re.compile(r"dispatcher\.([a-z_.]+)\{([^}]*)\}(?: by \{([^}]*)\})?")
EVERYWHERE = {"campaign", "dialect", "env"}


def queries(name: str) -> list[str]:
    found = []

    def walk(value):
        if isinstance(value, dict):
            found.extend([value["query"]] if isinstance(value.get("query"), str) else [])
            value = list(value.values())
        if isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(json.loads((CONFIG / name).read_text()))
    return found


@pytest.mark.parametrize("name", ["dashboard.json", "monitors.json"])
def test_queries_use_metrics_that_exist(name):
    """Every query names a metric that is sent, and groups by tags that it carries."""
    for query in queries(name):
        matches = QUERY.findall(query)
        assert matches, query
        for metric, _, by in matches:
            assert metric in METRICS, query
            assert set(filter(None, by.split(","))) <= {*METRICS[metric], *EVERYWHERE}, query


@pytest.mark.parametrize("name", ["dashboard.json", "monitors.json"])
@pytest.mark.parametrize(
    "metric",
    [
        "scope_errors",
        "closed_session_conflicts",
        "retry_loops",
        "halted",
        "backlog",
        "oldest_due",
        "quota.used",
        "in_doubt",
    ],
)
def test_what_an_operator_watches_is_there(name, metric):
    """The three failures apart, and what shows whether the run goes on, are on both."""
    assert any(f"dispatcher.{metric}{{" in query for query in queries(name))


def test_no_query_mixes_the_three_failures():
    """A graph or monitor shows one of the three failures, never a sum of them."""
    for query in (*queries("dashboard.json"), *queries("monitors.json")):
        named = [m for m in ("scope_errors", "closed_session", "retry_loops") if m in query]
        assert len(named) <= 1


def test_monitors_can_be_imported():
    """Every monitor has what Datadog's import asks for, and its threshold is its query's."""
    for monitor in json.loads((CONFIG / "monitors.json").read_text()):
        assert {"name", "type", "query", "message", "options"} <= monitor.keys()
        limit = float(monitor["query"].rsplit(" ", 1)[1])
        assert limit == monitor["options"]["thresholds"]["critical"]


def test_every_count_starts_with_a_zero():
    """No count is missing among the zeros, nor a source of scope errors, nor an outcome."""
    series = set(zero_counts())
    assert {key[0] for key in series} == set(COUNTS)
    assert {key[1] for key in series if key[0] == "scope_errors"} == set(ScopeSource)
    assert set(OUTCOMES) == FINAL
    assert {reason for reasons in OUTCOMES.values() for reason in reasons} == set(Reason)


PLAIN = re.compile(r"[a-z][a-z_]{0,31}|[1-5]\d\d|\d\d?")


@given(st.text().filter(lambda text: not PLAIN.fullmatch(text)))
def test_only_words_and_statuses_become_tags(text):
    """A value that somebody made up becomes ``other``."""
    assert format_tags(("api.requests", Step.CHECK, text)) == ["endpoint:check", "status:other"]
