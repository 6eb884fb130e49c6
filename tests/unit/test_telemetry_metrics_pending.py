"""Metrics that wait for an agent: none is lost, and the memory is bounded."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.telemetry.metrics.pending import (
    DROPPED,
    MOST_EVENTS,
    MOST_SAMPLES,
    MetricBatch,
    Pending,
)
from dispatcher.telemetry.metrics.samples import Choice

REQUESTS, THROTTLED = ("api.requests", "check", "200"), ("api.throttled",)
PACE, BACKLOG, AGE = ("pace",), ("backlog",), ("state.age",)


@given(st.lists(st.tuples(st.sampled_from([REQUESTS, THROTTLED]), st.integers(0, 9))), st.data())
def test_no_count_is_lost_however_often_flushes_fail(added, data):
    """What was delivered, and what still waits, is what was counted."""
    pending, delivered = Pending(), Counter()
    for key, value in added:
        pending.count(key, value)
        batch = pending.take()
        if data.draw(st.booleans(), "fails"):
            pending.put_back(batch)
        else:
            delivered.update(batch.counts)
    delivered.update(pending.take().counts)
    expected = Counter()
    for key, value in added:
        expected[key] += value
    assert +delivered == +expected


def test_the_last_value_of_a_gauge_counts():
    """A newer value is not replaced by an older one that comes back; the older is dropped."""
    pending = Pending()
    pending.gauge(PACE, 1)
    pending.gauge(BACKLOG, 7)
    undelivered = pending.take()
    pending.gauge(PACE, 2)
    pending.put_back(undelivered)
    pending.gauge(PACE, 3)  # the second was not taken yet, so no agent was to have it
    assert pending.take() == MetricBatch({DROPPED: 1}, {BACKLOG: 7, PACE: 3})


def test_each_value_that_replaces_an_undelivered_one_is_a_drop():
    pending = Pending()
    for value in range(4):
        pending.gauge(PACE, value)
        pending.put_back(pending.take())
    assert pending.take_dropped() == 3
    assert pending.take_dropped() == 0
    assert pending.take() == MetricBatch({DROPPED: 3}, {PACE: 3})


def test_a_gauge_that_changes_between_two_flushes_is_no_drop():
    pending = Pending()
    pending.gauge(PACE, 1)
    pending.gauge(PACE, 2)
    assert pending.take() == MetricBatch({}, {PACE: 2})


def test_the_last_service_check_counts_and_pushes_no_event_out():
    pending = Pending()
    pending.event("_e{}")
    for number in range(2 * MOST_EVENTS):
        pending.check("can_send", f"_sc|can_send|{number}")
        pending.put_back(pending.take())
    batch = pending.take()
    assert batch.events == ["_e{}"]
    assert batch.checks == {"can_send": f"_sc|can_send|{2 * MOST_EVENTS - 1}"}
    assert batch.counts == {DROPPED: 2 * MOST_EVENTS - 1}


def test_the_oldest_events_are_given_up():
    pending = Pending()
    for number in range(MOST_EVENTS):
        pending.event(f"{number}")
    undelivered = pending.take()
    pending.event("new")
    pending.put_back(undelivered)
    batch = pending.take()
    assert batch.events == [*(f"{number}" for number in range(1, MOST_EVENTS)), "new"]
    assert batch.counts == {DROPPED: 1}


def test_an_outage_of_any_length_takes_memory_by_series_only():
    """After ten thousand failed flushes there is one number, one value and one choice."""
    pending = Pending()
    for number in range(10_000):
        pending.count(REQUESTS)
        pending.gauge(PACE, number)
        pending.sample(AGE, float(number))
        if number % 10 == 0:
            pending.put_back(pending.take())
    batch = pending.take()
    assert batch.counts[REQUESTS] == 10_000
    assert batch.gauges == {PACE: 9999}
    assert (len(batch.samples[AGE].values), batch.samples[AGE].total) == (MOST_SAMPLES, 10_000)


def test_lines_are_counted_as_they_leave():
    batch = MetricBatch(
        {REQUESTS: 5}, {PACE: 1}, {AGE: Choice([1.0, 2.0], 9)}, {"c": "_sc|c|0"}, ["_e{}"]
    )
    assert (batch.lines, MetricBatch().lines) == (6, 0)
