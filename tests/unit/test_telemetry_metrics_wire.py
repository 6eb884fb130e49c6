"""Lines and packets of DogStatsD. These tests show which parts of the datadog package are used.

They fail if a version of the package changes a part that it does not promise to keep:
``_serialize_metric``, which writes a line, and ``_send_to_server``, through which events and
service checks leave.
"""

import inspect

import pytest
from datadog.dogstatsd.base import DogStatsd
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.telemetry.metrics.pending import MetricBatch
from dispatcher.telemetry.metrics.samples import Choice
from dispatcher.telemetry.metrics.wire import (
    MOST_TEXT,
    UDP_BYTES,
    UNIX_BYTES,
    LineWriter,
    is_disabled,
    pack,
)

REQUESTS, AGE, PACE = ("api.requests", "check", "200"), ("state.age",), ("pace",)


@pytest.fixture
def writer(monkeypatch):
    for name in ("DD_EXTERNAL_ENV", "DD_SERVICE", "DATADOG_TAGS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DD_ORIGIN_DETECTION_ENABLED", "false")
    return LineWriter(["campaign:c", "env:prod"])


def test_the_private_parts_of_the_package_are_as_expected():
    """Their parameters, by the order in which they are passed."""
    line = list(inspect.signature(DogStatsd._serialize_metric).parameters)
    assert line[:6] == ["self", "metric", "metric_type", "value", "tags", "sample_rate"]
    send = inspect.signature(DogStatsd._send_to_server).parameters
    assert list(send) == ["self", "packet", "timestamped"]


def test_metrics(writer):
    assert writer.metric(REQUESTS, "c", 5) == (
        "dispatcher.api.requests:5|c|#endpoint:check,status:200,campaign:c,env:prod"
    )


def test_samples(writer):
    """Every value has a line of its own, which differs in the value alone."""
    assert list(writer.samples(AGE, [1.5, 2.0], 0.25)) == [
        "dispatcher.state.age:1.5|d|@0.25|#campaign:c,env:prod",
        "dispatcher.state.age:2.0|d|@0.25|#campaign:c,env:prod",
    ]
    assert list(writer.samples(AGE, [3.0], 1)) == [
        "dispatcher.state.age:3.0|d|#campaign:c,env:prod"
    ]


def test_tags_of_the_environment_are_not_there_twice(monkeypatch):
    """The package reads some variables itself, without the rules of this program."""
    monkeypatch.setenv("DD_SERVICE", "other")
    monkeypatch.setenv("DATADOG_TAGS", "a:b")
    assert "other" not in LineWriter(["service:mine"]).metric(PACE, "g", 1)
    assert "a:b" not in LineWriter(["service:mine"]).metric(PACE, "g", 1)


def test_an_event(writer):
    """Its lengths are in bytes, and its line ends are escaped."""
    line = writer.event("Ende: 5", "zwei\nZeilen für alle", "error", "key", ["code:5"])
    assert line == (
        "_e{7,22}:Ende: 5|zwei\\nZeilen für alle|k:key|s:dispatcher|t:error"
        "|#code:5,campaign:c,env:prod"
    )


def test_a_service_check(writer):
    assert writer.service_check("dispatcher.can_send", 2, "no\nscope") == (
        "_sc|dispatcher.can_send|2|#campaign:c,env:prod|m:no\\nscope"
    )


def test_a_long_text_is_cut(writer):
    line = writer.event("t", "é" * MOST_TEXT, "info", "k")
    assert f"_e{{1,{MOST_TEXT}}}" in line
    assert len(line.encode()) < UNIX_BYTES


def test_the_origin_of_a_container_is_in_each_line(monkeypatch):
    """``e:`` from the variable that an admission controller sets."""
    monkeypatch.setenv("DD_EXTERNAL_ENV", "it-false,cn-app")
    assert LineWriter([]).metric(PACE, "g", 1).endswith("|e:it-false,cn-app")


@pytest.mark.parametrize(
    ("value", "off"), [("true", True), ("1", True), ("", False), ("no", False)]
)
def test_metrics_can_be_turned_off(monkeypatch, value, off):
    monkeypatch.setenv("DD_DOGSTATSD_DISABLE", value)
    assert is_disabled() is off


batches = st.builds(
    MetricBatch,
    st.dictionaries(
        st.tuples(st.just("api.requests"), st.just("check"), st.integers(100, 599).map(str)),
        st.integers(0, 99),
    ),
    st.dictionaries(st.just(PACE), st.floats(0, 9)),
    st.dictionaries(
        st.just(AGE),
        st.lists(st.floats(0, 9), min_size=1, max_size=60).map(lambda v: Choice(v, 2 * len(v))),
    ),
    st.dictionaries(st.text("abc"), st.text("_sc|", min_size=1)),
    st.lists(st.text(alphabet="_e{}:|é", min_size=1)),
)


@given(batches, st.sampled_from([200, UDP_BYTES, UNIX_BYTES]))
def test_packets_hold_every_line_once_within_their_size(batch, most):
    """And each knows what it holds: together their contents are the batch."""
    packets = list(pack(batch, LineWriter(["campaign:c"]), most))
    assert sum(packet.data.count(b"\n") for packet in packets) == batch.lines
    for packet in packets:
        assert packet.data.count(b"\n") == packet.content.lines
        assert len(packet.data) <= most or packet.content.lines == 1
    together = MetricBatch()
    for packet in packets:
        together.counts |= packet.content.counts
        together.gauges |= packet.content.gauges
        together.checks |= packet.content.checks
        together.events += packet.content.events
        for key, choice in packet.content.samples.items():
            for value in choice.values:
                together.add_sample(key, value, choice.total / len(choice.values))
    assert together.counts == batch.counts
    assert together.gauges == batch.gauges
    assert (together.checks, together.events) == (batch.checks, batch.events)
    assert together.samples.keys() == batch.samples.keys()
    for key, choice in batch.samples.items():
        assert together.samples[key].values == choice.values
        assert together.samples[key].total == pytest.approx(choice.total)
