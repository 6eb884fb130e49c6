"""Several sinks that cannot harm each other."""

import structlog

from dispatcher.domain.events import Probed
from dispatcher.domain.status import HaltReason
from dispatcher.telemetry.fanout import Fanout

FACT = Probed(HaltReason.SCOPE)


class Keeping:
    def __init__(self):
        self.facts = []

    def emit(self, event):
        self.facts.append(event)


class Broken:
    def emit(self, event):
        raise RuntimeError("out of order")


def test_a_broken_sink_stops_nobody():
    """The sinks before and behind it get every event; its first error is logged."""
    first, last = Keeping(), Keeping()
    fanout = Fanout([first, Broken(), last])
    with structlog.testing.capture_logs() as logs:
        for _ in range(5):
            fanout.emit(FACT)
    assert first.facts == last.facts == [FACT] * 5
    assert [(line["event"], line["sink"]) for line in logs] == [("telemetry.sink_failed", "Broken")]


def test_a_log_that_fails_stops_nobody():
    """Even when the log itself is what is broken, the event reaches the other sinks."""

    def broken(*_args):
        raise RuntimeError("no log")

    before, last = structlog.get_config(), Keeping()
    structlog.configure(processors=[broken])
    try:
        Fanout([Broken(), last]).emit(FACT)
    finally:
        structlog.configure(**before)
    assert last.facts == [FACT]


def test_every_broken_sink_is_logged():
    """Two sinks of one class are two sinks: the first error of each is logged."""
    fanout = Fanout([Broken(), Broken()])
    with structlog.testing.capture_logs() as logs:
        fanout.emit(FACT)
        fanout.emit(FACT)
    assert len(logs) == 2
