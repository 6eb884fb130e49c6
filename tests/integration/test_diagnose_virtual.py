"""Faults and healthy worlds in virtual time, by the shipped monitors: the cheap part of the matrix.

`make diagnose` plays all worlds with the installed command.
"""

import functools

import pytest

from tests.diagnose.agent import totals
from tests.diagnose.matrix import judge
from tests.diagnose.monitor import PHASES, load
from tests.diagnose.run import MONITORS
from tests.diagnose.virtual_run import TimedSource, capture, people
from tests.diagnose.virtual_worlds import SHORT

WORLDS = {virtual.world.name: virtual for virtual in SHORT}


@functools.cache
def monitors():
    return tuple(load(MONITORS))


@functools.cache
def row(name):
    virtual = WORLDS[name]
    return judge(virtual.world, virtual.capture(), monitors())


@pytest.mark.parametrize("name", WORLDS)
def test_every_world_has_exactly_its_own_alarms(name):
    """At every phase of the evaluator, in time, with the verdict of the log."""
    assert row(name).mistakes == ()


def test_a_fault_without_its_monitor_is_found():
    """The matrix can fail: without the right monitor the same capture is wrong."""
    world = WORLDS["virtual_scope_missing"]
    others = [one for one in monitors() if one.key != "scope_missing"]
    assert (
        "there is no monitor scope_missing" in judge(world.world, world.capture(), others).mistakes
    )


def test_the_captured_counts_are_those_of_the_run():
    """What the evaluator reads is complete: every contact is in it once."""
    played = capture("counts", TimedSource([(0.0, people(40))], watched=True), 60.0)
    settled = totals(played.lines, "dispatcher.contacts.settled")
    assert sum(settled.values()) == 40
    assert sum(totals(played.lines, "dispatcher.contacts.admitted").values()) == 40


def test_a_run_that_dies_is_missed():
    """The heartbeat of a killed daemon ends, and its monitor fires at every phase."""
    played = capture("dead", TimedSource([(0.0, people(20))], watched=True), 60.0)
    played.datagrams = [pair for pair in played.datagrams if pair[0] < 50.0]
    world = WORLDS["virtual_run"].world
    dead = judge(type(world)("dead", "dead", 60, "heartbeat", silence=900), played, monitors())
    assert dead.own is not None
    assert dead.own.phases == len(PHASES)
