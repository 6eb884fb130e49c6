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
    """The sinks before and behind it get every event; its error is logged once and counted."""
    first, last = Keeping(), Keeping()
    fanout = Fanout([first, Broken(), last])
    with structlog.testing.capture_logs() as logs:
        for _ in range(5):
            fanout.emit(FACT)
    assert first.facts == last.facts == [FACT] * 5
    assert fanout.failures == {"Broken": 5}
    assert [line["event"] for line in logs] == ["telemetry.sink_failed"]


def test_a_log_that_fails_stops_nobody():
    """Even when the log itself is what is broken, the caller never notices."""

    def broken(*_args):
        raise RuntimeError("no log")

    before = structlog.get_config()
    structlog.configure(processors=[broken])
    try:
        fanout = Fanout([Broken()])
        fanout.emit(FACT)
    finally:
        structlog.configure(**before)
    assert fanout.failures == {"Broken": 1}


def test_two_broken_sinks_of_a_kind_are_counted_together():
    """Failures are told by the sink's class, and each sink's first error is logged."""
    fanout = Fanout([Broken(), Broken()])
    with structlog.testing.capture_logs() as logs:
        fanout.emit(FACT)
        fanout.emit(FACT)
    assert fanout.failures == {"Broken": 4}
    assert len(logs) == 2
