"""Queries of monitors and dashboards, and the comparison of files with what Datadog has."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.telemetry.datadog_assets.differences import differences
from dispatcher.telemetry.datadog_assets.queries import (
    MetricQueryError,
    add_filter,
    metric_queries,
    parse_monitor_query,
)

WORDS = st.sampled_from(["", "a", "b", "c d"])
VALUES = st.dictionaries(
    WORDS, st.integers() | WORDS | st.lists(st.integers() | WORDS, max_size=3), max_size=3
)


def test_the_parts_of_a_monitors_query():
    query = parse_monitor_query(
        "sum(last_30m):sum:dispatcher.run.exits{code:4,env:x} by {env,service}.as_count() >= 1"
    )
    assert (query.aggregator, query.window, query.operator) == ("sum", "30m", ">=")
    assert query.threshold == 1.0
    (metric,) = query.metrics
    assert (metric.metric, metric.as_count) == ("dispatcher.run.exits", True)
    assert metric.tags == {"code", "env", "service"}


def test_the_metrics_of_a_ratio():
    text = "sum(last_5m):sum:a.b{*}.as_count() / sum:a.c{!x:y} by {z}.as_count() > 0.2"
    numerator, denominator = parse_monitor_query(text).metrics
    assert (numerator.metric, numerator.tags) == ("a.b", frozenset())
    assert denominator.tags == {"x", "z"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("max:a.b{*} > 1", "the form is"),
        ("max(last_5m):1 > 1", "AGGREGATOR:METRIC"),
        ("median(last_5m):max:a.b{*} > 1", "median"),
    ],
)
def test_a_query_that_is_no_monitors_query(text, words):
    with pytest.raises(MetricQueryError, match=words):
        parse_monitor_query(text)


def test_a_filter_is_added_to_each_metric():
    text = "max(last_2m):max:a{*} by {env} / sum:b{x:y}.as_count() >= 1"
    assert add_filter(text, "env:live") == (
        "max(last_2m):max:a{env:live} by {env} / sum:b{x:y,env:live}.as_count() >= 1"
    )


def test_functions_around_a_query():
    (found,) = metric_queries("cutoff_min(max:dispatcher.condition{$env,!cause:ok} by {cause}, 1)")
    assert found.tags == {"env", "cause"}


@settings(max_examples=40)
@given(VALUES)
def test_only_what_datadog_lacks_is_a_difference(values):
    """A value does not differ from itself, nor from itself with what Datadog adds."""
    assert list(differences({"a": [values]}, {"a": [{**values, "new": 1}]})) == []
    assert list(differences({"a": [{**values, "new": 1}]}, {"a": [values]})) == ["a[0].new"]


@pytest.mark.parametrize(
    ("wanted", "present", "expected"),
    [
        ({"tags": ["a", "b"]}, {"tags": ["b", "a"]}, []),
        ({"tags": ["a"]}, {"tags": ["a", "b"]}, ["tags"]),
        ({"critical": 1}, {"critical": 1.0}, []),
        ({"on": True}, {"on": 1}, ["on"]),
        ({"text": "a\n"}, {"text": "a"}, []),
        ({"w": [{"a": 1}]}, {"w": [{"a": 2, "id": 5}]}, ["w[0].a"]),
        ({"w": [{"a": 1}]}, {"w": [{"a": 1}, {"a": 1}]}, ["w"]),
    ],
)
def test_differences(wanted, present, expected):
    assert list(differences(wanted, present)) == expected
