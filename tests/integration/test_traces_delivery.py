"""Spans on their way: a receiver that takes them, is away, refuses them, or stands still."""

import time

import pytest
from opentelemetry.sdk.trace import TracerProvider
from structlog.testing import capture_logs

from dispatcher.telemetry.traces.endpoint import find_endpoint
from dispatcher.telemetry.traces.span_queue import DropLog, otlp_queue
from tests.support.traces import otlp_receiver

SOON = 5.0
"""Seconds: a call that waited for a receiver would take the 10 seconds of an export, and a busy
machine takes less than this without waiting."""
NOBODY = "http://user:hidden@127.0.0.1:9/v1/traces?key=hidden"


def sent(url, count):
    """Send spans to an address and close; return the log, and the seconds of both."""
    with capture_logs() as lines:
        queue = otlp_queue(url)
        tracer = tracer_of(queue)
        began = time.monotonic()
        for _ in range(count):
            tracer.start_span("contact").end()
        blocked = time.monotonic() - began
        began = time.monotonic()
        queue.shutdown()
        closed = time.monotonic() - began
    return lines, blocked, closed


def tracer_of(queue):
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(queue)
    return provider.get_tracer("test")


def test_everything_arrives_at_a_receiver():
    """A close delivers what waits."""
    with otlp_receiver() as receiver:
        lines, _, closed = sent(
            find_endpoint("-", {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url}), 700
        )
    assert len(receiver.spans) == 700
    assert set(receiver.paths) == {"/v1/traces"}
    assert lines == []
    assert closed < SOON


def test_a_receiver_that_is_away_costs_a_log_line_and_no_wait():
    """Every span that was dropped is counted; the line has nothing secret of the address."""
    lines, blocked, closed = sent(NOBODY, 700)
    assert blocked < SOON
    assert closed < SOON
    assert sum(line["spans"] for line in lines) == 700
    assert len(lines) <= 2
    assert {(line["event"], line["log_level"]) for line in lines} == {
        ("traces.undelivered", "warning")
    }
    assert lines[-1]["receiver"] == "127.0.0.1:9"
    assert "hidden" not in str(lines)


def test_a_receiver_that_stands_still_blocks_nothing():
    """More spans than fit are dropped; no call waits."""
    with otlp_receiver(frozen=True) as receiver:
        lines, blocked, closed = sent(receiver.url, 3000)
        assert sum(line["spans"] for line in lines) == 3000
    assert blocked < SOON
    assert closed < SOON


@pytest.mark.parametrize("status", [403, 503])
def test_a_receiver_that_refuses_is_named_with_its_status(status):
    """A 403 is final; what is tried again ends with the run."""
    with otlp_receiver(status=status) as receiver:
        lines, _, _ = sent(receiver.url, 10)
    assert [(line["spans"], line["detail"]) for line in lines] == [(10, f"status {status}")]


def test_drops_are_logged_at_most_once_a_minute_and_all_of_them_in_the_end():
    """The first at once; those of the next minute together."""
    now = [0.0]
    log = DropLog("host:1", lambda: now[0])
    with capture_logs() as lines:
        for seconds in (0.0, 1.0, 59.0, 61.0, 62.0):
            now[0] = seconds
            log.add(10, f"at {seconds:g}")
        log.close(5, "the end")
        log.close(0, "nothing")
    found = [(line["spans"], line["detail"]) for line in lines]
    assert found == [(10, "at 0"), (30, "at 61"), (15, "the end")]
