"""The evaluator of monitors, by hand-made series."""

import pytest

from tests.diagnose.agent import collect, parse
from tests.diagnose.monitor import PHASES, Monitor, State
from tests.diagnose.query import UnsupportedError, parse_query

START = 1000


def gauge(name, value, begin, end, tags="", every=2):
    return [(float(t), f"{name}:{value}|g|#env:x{tags}") for t in range(begin, end, every)]


def count(name, value, begin, end, tags="", every=2):
    return [(float(t), f"{name}:{value}|c|#env:x{tags}") for t in range(begin, end, every)]


def store(*lines, until=2000, deaths=()):
    return collect(sorted(line for part in lines for line in part), until, deaths)


def value(query, lines, now=1300, **more):
    values = parse_query(query).evaluate(store(lines, **more), now)
    return {",".join(v for _, v in group): found for group, found in values.items()}


def monitor(query, kind="query alert", **options):
    limit = float(query.split()[-1]) if kind == "query alert" else None
    options.setdefault("thresholds", {"critical": limit})
    return Monitor("m", {"name": "m", "type": kind, "query": query, "options": options})


def alarms(played, lines, start=START, end=START + 900, phase=0):
    return [
        (alarm.time - start, alarm.state)
        for alarm in played.play(store(lines, until=end), start, end, phase)
    ]


# the Agent


def test_a_count_is_the_sum_of_its_bucket_and_zero_for_five_minutes():
    (series,) = store(count("d.c", 1, 1000, 1020, every=5)).series
    assert series.points[1000] == series.points[1010] == 2
    assert [begin for begin, found in series.points.items() if found == 0] == [
        *range(1020, 1311, 10)
    ]


def test_a_gauge_is_the_last_value_of_its_bucket_and_is_not_repeated():
    (series,) = store([(1001.0, "d.g:5|g"), (1009.9, "d.g:3|g"), (1025.0, "d.g:7|g")]).series
    assert series.points == {1000: 3, 1020: 7}


def test_a_dead_agent_sends_nothing_and_forgets_what_it_had():
    lines = count("d.c", 1, 1000, 1040)
    (series,) = store(lines, deaths=[(1010, 1020)]).series
    assert series.points[1000] == 5
    assert 1010 not in series.points
    assert series.points[1020] == 5


def test_lines_of_every_kind_are_read():
    (sample,) = parse(1.0, "d.d:3|d|@0.5|#a:b,c:d|c:42|e:x")
    assert (sample.value, sample.rate, sample.tags) == (3, 0.5, {"a:b", "c:d"})
    assert [s.value for s in parse(1.0, "d.d:1:2:3|d")] == [1, 2, 3]
    (check,) = parse(1.0, "_sc|d.can_send|2|#a:b|m:credentials")
    assert (check.name, check.status, check.message) == ("d.can_send", 2, "credentials")
    (note,) = parse(1.0, "_e{5,7}:title|a\\nb cd|t:error|#a:b")
    assert (note.title, note.text, note.alert, note.tags) == ("title", "a\nb cd", "error", {"a:b"})
    with pytest.raises(ValueError, match="not a count"):
        list(parse(1.0, "d.h:1|h"))


# queries


@pytest.mark.parametrize(("how", "expected"), [("avg", 1.5), ("sum", 45), ("min", 1), ("max", 2)])
def test_a_window_is_aggregated_over_its_buckets(how, expected):
    lines = gauge("d.g", 1, 1000, 1150, every=10) + gauge("d.g", 2, 1150, 1300, every=10)
    assert value(f"{how}(last_5m):avg:d.g{{*}} > 0", lines) == {"": expected}


def test_a_bucket_counts_from_its_end_on():
    lines = gauge("d.g", 1, 1290, 1300)
    query = "max(last_1m):max:d.g{*} > 0"
    assert value(query, lines, now=1299) == {}
    assert value(query, lines, now=1300) == {"": 1}
    assert value(query, lines, now=1350) == {"": 1}
    assert value(query, lines, now=1351) == {}


def test_series_are_added_up_by_group():
    lines = [
        line
        for c in "ab"
        for h in "12"
        for line in gauge("d.g", int(h), 1200, 1300, f",c:{c},h:{h}")
    ]
    assert value("avg(last_1m):sum:d.g{*} by {c} > 0", lines) == {"a": 3, "b": 3}
    assert value("avg(last_1m):max:d.g{h:1} by {c,h} > 0", lines) == {"a,1": 1, "b,1": 1}
    assert value("avg(last_1m):avg:d.g{*} by {nothing} > 0", lines) == {}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("s:500", 1), ("s:5*", 3), ("!s:500", 12), ("s IN (500,503)", 3), ("s:5*,e:x", 3),
        ("s NOT IN (500, 503)", 10), ("s:5* AND !s:503", 1), ("s:404", None),
    ],
)  # fmt: skip
def test_filters(wanted, expected):
    lines = [(1250.0, f"d.c:{n}|c|#e:x,s:{s}") for n, s in ((10, "200"), (1, "500"), (2, "503"))]
    found = value(f"sum(last_5m):sum:d.c{{{wanted}}}.as_count() > 0", lines)
    assert found == ({} if expected is None else {"": expected})


def test_a_ratio_of_counts_is_that_of_the_whole_window():
    lines = count("d.c", 1, 1000, 1100, ",s:500") + count("d.c", 3, 1000, 1300, ",s:200")
    query = "sum(last_5m):sum:d.c{s:5*}.as_count() / sum:d.c{*}.as_count() > 0.1"
    assert value(query, lines) == {"": pytest.approx(50 / 500)}
    nothing = count("d.c", 0, 1000, 1300, ",s:500")
    assert value(query, nothing) == {}


def test_a_ratio_of_gauges_is_one_of_points():
    lines = gauge("d.used", 3, 1200, 1250) + gauge("d.limit", 4, 1200, 1300)
    assert value("avg(last_5m):max:d.used{*} / max:d.limit{*} > 0", lines) == {"": 0.75}
    assert value("avg(last_5m):( max:d.limit{*} - max:d.used{*} ) * 2 > 0", lines) == {"": 2}


def test_default_zero_fills_what_a_group_lacks():
    lines = gauge("d.g", 6, 1290, 1300)
    assert value("avg(last_1m):default_zero(max:d.g{*}) > 0", lines) == {"": 1}
    assert value("max(last_1m):default_zero(max:d.g{*}) > 0", lines, now=1500) == {"": 0}


def test_distributions_have_percentiles_by_weight():
    lines = [(1250.0, f"d.d:{n}|d|@0.5") for n in range(1, 101)]
    for space, expected in (("p50", 50), ("p95", 95), ("max", 100), ("avg", 50.5), ("count", 200)):
        assert value(f"max(last_1m):{space}:d.d{{*}} > 0", lines) == {"": expected}


@pytest.mark.parametrize(
    "query",
    [
        "change(avg(last_15m),last_1h):max:d.g{*} > 1000",
        "avg(last_5m):max:d.g{*}.rollup(60) > 1",
        "avg(last_5m):max:d.g{a:b OR a:c} > 1",
        "avg(last_5m):max:d.g{$env} > 1",
        "avg(last_5m):max:d.g{*} / > 1",
        "avg(last_5m):anomalies(max:d.g{*}) > 1",
    ],
)
def test_what_is_left_out_is_refused(query):
    with pytest.raises(UnsupportedError):
        parse_query(query)


# monitors


def test_an_alarm_comes_at_the_first_evaluation_that_shows_it():
    played = monitor("max(last_2m):max:d.g{*} by {env} >= 1")
    lines = gauge("d.g", 0, 1000, 1100) + gauge("d.g", 1, 1100, 1900)
    for phase in PHASES:
        ((after, state),) = alarms(played, lines, phase=phase)
        assert 110 <= after - 0 < 110 + 60
        assert state is State.ALERT


def test_a_short_alarm_in_a_minimum_depends_on_the_phase():
    """The kind of mistake that several phases find: a new group with a window that is not full."""
    played = monitor("min(last_5m):max:d.g{*} by {env} >= 1")
    lines = gauge("d.g", 1, 1000, 1020) + gauge("d.g", 0, 1020, 1900)
    fired = [bool(alarms(played, lines, phase=phase)) for phase in PHASES]
    assert fired == [False, True, True, False, False, False]
    whole = monitor("min(last_5m):max:d.g{*} by {env} >= 1", require_full_window=True)
    assert not any(alarms(whole, lines, phase=phase) for phase in PHASES)


def test_a_new_group_waits():
    played = monitor("max(last_1m):max:d.g{*} by {env} >= 1", new_group_delay=120)
    assert alarms(played, gauge("d.g", 1, 1000, 1900)) == [(120, State.ALERT)]


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("show_and_notify_no_data", [(240, State.NO_DATA)]),
        ("show_no_data", []),
        ("resolve", []),
        ("default", []),
    ],
)
def test_missing_data(option, expected):
    played = monitor("min(last_2m):max:d.g{*} by {env} < 1", on_missing_data=option)
    assert alarms(played, gauge("d.g", 1, 1000, 1090)) == expected


def test_a_group_without_any_data_is_not_known():
    played = monitor(
        "min(last_2m):max:d.g{*} by {env} < 1", on_missing_data="show_and_notify_no_data"
    )
    assert alarms(played, []) == []


def test_the_older_way_of_missing_data():
    played = monitor(
        "min(last_2m):max:d.g{*} by {env} < 1", notify_no_data=True, no_data_timeframe=5
    )
    ((after, state),) = alarms(played, gauge("d.g", 1, 1000, 1090))
    assert state is State.NO_DATA
    assert after == 480


def test_recovery_needs_its_own_threshold():
    thresholds = {"critical": 10, "critical_recovery": 5, "warning": 8}
    played = monitor("max(last_1m):max:d.g{*} > 10", thresholds=thresholds)
    lines = gauge("d.g", 11, 1000, 1060) + gauge("d.g", 9, 1060, 1300) + gauge("d.g", 4, 1300, 1400)
    lines += gauge("d.g", 9, 1400, 1500)
    assert alarms(played, lines) == [(60, State.ALERT), (420, State.WARNING)]


def checks(status, begin, end, every=10):
    return [
        (float(t), f"_sc|d.can_send|{status}|#env:x,service:s") for t in range(begin, end, every)
    ]


def test_service_checks():
    query = '"d.can_send".over("service:s").by("env").last(4).count_by_status()'
    thresholds = {"critical": 3, "warning": 2, "ok": 2}
    played = monitor(query, "service check", thresholds=thresholds, notify_no_data=True)
    lines = checks(0, 1000, 1100) + checks(2, 1100, 1180) + checks(0, 1180, 1300)
    assert alarms(played, lines) == [(180, State.ALERT), (420, State.NO_DATA)]
    other = monitor(query.replace("service:s", "service:t"), "service check", thresholds=thresholds)
    assert alarms(other, lines) == []


def test_a_composite_is_refused():
    with pytest.raises(UnsupportedError):
        alarms(monitor("1 && 2", "composite", thresholds={}), [])
