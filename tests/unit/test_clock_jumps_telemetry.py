"""A wall clock that is set in mid-run: no gauge is below 0, and no cause is named that is none."""

import asyncio
from dataclasses import replace

import pytest

from dispatcher.domain.condition import Cause
from dispatcher.domain.events import Gauges, Halted, Resumed
from dispatcher.domain.status import HaltReason
from dispatcher.telemetry.condition.platform_tracker import PlatformTracker
from dispatcher.telemetry.condition.tracker import ConditionTracker, TrackerOptions
from dispatcher.telemetry.fanout import Fanout
from dispatcher.telemetry.metrics.gauge_series import GaugeSeries
from dispatcher.telemetry.metrics.halt_series import HaltSeries
from tests.support.campaigns import CampaignsFixture, people
from tests.support.engine import EngineFixture, contacts
from tests.support.virtual import in_virtual_time

HOUR = 3600.0
JUMPS = [HOUR, -HOUR]
HARMLESS = {Cause.OK, Cause.SOURCE_IDLE}


class Watch:
    """Turns the events of a run into conditions and gauges, as the telemetry does."""

    def __init__(self, clock):
        self.causes, self.values, self.shown = [], [], GaugeSeries()
        self.halts = HaltSeries((), clock.monotonic)
        platform = PlatformTracker(clock.monotonic)
        options = TrackerOptions(expected_every=HOUR / 2)
        tracker = ConditionTracker(
            platform, self, options, monotonic=clock.monotonic, epoch=clock.time
        )
        self.sinks = Fanout([platform, tracker])

    def emit(self, event):
        self.causes.append(event.condition.cause)

    def take(self, event):
        """Take an event of the run."""
        if isinstance(event, Halted):
            self.halts.halt(event)
        elif isinstance(event, Resumed):
            self.halts.resume(event)
        elif isinstance(event, Gauges):
            self.values += [*self.shown.of(event), *self.halts.values()]
            event = replace(event, ledger=None)  # it has no disk here
        self.sinks.emit(event)


def watched(events, clock):
    """Let a recorder of events pass them on as well."""
    watch, record = Watch(clock), events.emit

    def emit(event):
        record(event)
        watch.take(event)

    events.emit = emit
    return watch


@pytest.mark.parametrize("seconds", JUMPS)
@in_virtual_time
async def test_a_clock_that_is_set_has_no_negative_gauge_and_no_cause(seconds):
    """Of a daemon that works, and then waits for further rows."""
    engine = EngineFixture()
    watch = watched(engine.events, engine.clock)
    running = engine.pipeline(contacts(400), once=False, gauge_seconds=2.0)
    task = asyncio.ensure_future(running.run())
    for jump in (seconds, 0.0, -seconds, seconds):
        await asyncio.sleep(20)
        engine.clock.jumped += jump
    await asyncio.sleep(60)
    running.stop()
    await task
    assert {*watch.causes} <= HARMLESS
    assert len(watch.causes) > 50
    assert [item for item in watch.values if item[1] < 0] == []


@pytest.mark.parametrize("seconds", JUMPS)
@in_virtual_time
async def test_a_pause_lasts_as_long_as_it_does(seconds):
    """Its seconds go into the log, the halts and the evidence of the condition."""
    run = CampaignsFixture().add("a", people("a", 200))
    watch = watched(run.events["a"], run.engine.clock)
    running = asyncio.create_task(run.pipeline(once=False, gauge_seconds=2.0).run())
    await asyncio.sleep(1)
    await run.stream.pause("a")
    await asyncio.sleep(10)
    run.engine.clock.jumped += seconds
    await asyncio.sleep(10)
    await run.stream.resume("a")
    await asyncio.sleep(10)
    run.stream.stop()
    await running
    (resumed,) = run.events["a"].of_type(Resumed)
    assert resumed.reason is HaltReason.PAUSED
    assert resumed.seconds == pytest.approx(20, abs=1)
    assert {*watch.causes} <= {*HARMLESS, Cause.PAUSED}
    lasting = [value for key, value in watch.values if key == ("halted.seconds", "paused")]
    assert 10 < max(lasting) < 25
