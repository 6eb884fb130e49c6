"""Faults and healthy worlds in virtual time, by the shipped monitors: the cheap part of the matrix.

`make diagnose` plays all worlds with the installed command.
"""

import functools
from dataclasses import replace

import pytest

from tests.diagnose.agent import totals
from tests.diagnose.matrix import judge
from tests.diagnose.monitor import PHASES, load
from tests.diagnose.run import MONITORS
from tests.diagnose.virtual_run import TimedSource, capture, people
from tests.diagnose.virtual_worlds import SHORT
from tests.diagnose.world import World

WORLDS = {virtual.world.name: virtual for virtual in SHORT}


@functools.cache
def monitors():
    return tuple(load(MONITORS))


@functools.cache
def captured(name):
    return WORLDS[name].capture()


@pytest.mark.parametrize("name", WORLDS)
def test_every_world_has_exactly_its_own_alarms(name):
    """At every phase of the evaluator, in time, with the verdict of the log."""
    assert judge(WORLDS[name].world, captured(name), monitors()).mistakes == ()


def test_a_fault_without_its_monitor_is_found():
    """The matrix can fail: without the right monitor the same capture is wrong."""
    world = WORLDS["virtual_scope_missing"].world
    others = [one for one in monitors() if one.key != "scope_missing"]
    row = judge(world, captured(world.name), others)
    assert "there is no monitor scope_missing" in row.mistakes


def test_the_captured_counts_are_those_of_the_run():
    """What the evaluator reads is complete: every contact is in it once."""
    played = capture("counts", TimedSource([(0.0, people(40))], watched=True), 60.0)
    settled = totals(played.lines, "dispatcher.contacts.settled")
    assert sum(settled.values()) == 40
    assert sum(totals(played.lines, "dispatcher.contacts.admitted").values()) == 40


def test_a_run_that_dies_is_missed():
    """The heartbeat of a killed daemon ends, and its monitor fires at every phase."""
    alive = captured("virtual_run")
    played = replace(alive, ended=60.0, datagrams=[one for one in alive.datagrams if one[0] < 50.0])
    world = World("dead", "the daemon is killed", 60, "heartbeat", silence=900)
    heartbeat = [one for one in monitors() if one.key == "heartbeat"]
    dead = judge(world, played, heartbeat)
    assert dead.own is not None
    assert dead.own.phases == len(PHASES)
