"""A Datadog agent that restarts or freezes during a run: Datadog has every contact of the log."""

import json
import time

import pytest

from tests.support.faulty_agent import faulty_agent
from tests.support.scenario_runner import play

SETTLED = "dispatcher.contacts.settled"
COUNT = 160
WORLD = """
seed = 1
[rate]
allowed = 200
window_seconds = 2.0
[world]
ended_after = 1.0
[world.shares]
ended = 60
active = 40
"""
SLOW = {"platform.requests_per_minute": 6000, "engine.workers": 8}


def stop(agent):
    agent.stop()
    return agent.start


def freeze(agent):
    agent.freeze()
    return agent.thaw


@pytest.mark.parametrize(("kind", "fault"), [("udp", stop), ("unixgram", freeze)])
def test_no_count_is_lost(tmp_path, kind, fault):
    """The agent is away for a third of the run, and gets the rest later."""
    world = tmp_path / "world.toml"
    world.write_text(WORLD)
    with play(tmp_path, world, COUNT, SLOW) as played, faulty_agent(kind, tmp_path) as agent:
        address = agent.address
        played.environment["DD_DOGSTATSD_URL"] = (
            address.socket_path or f"udp://{address.host}:{address.port}"
        )
        running = played.start("--once")
        agent.wait_for(lambda agent: agent.total(SETTLED) > 0, 30)
        agent.settle(0.05)
        mend = fault(agent)
        wait_until(lambda: settled(played.log) > COUNT // 2)
        mend()
        out, err = running.communicate(timeout=60)
        assert running.returncode == 0, (out, err)
        agent.settle()
        dropped = agent.total("dispatcher.statsd.dropped")
    assert settled(played.log) == COUNT
    assert agent.total(SETTLED) == COUNT
    assert agent.total("dispatcher.run.exits", "code:0") == 1
    logged = sum(line["dropped"] for line in lines(played.log) if "dropped" in line)
    assert dropped == logged


def lines(log):
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def settled(log):
    return sum(line["event"] == "contact.settled" for line in lines(log))


def wait_until(true, seconds=30):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)
