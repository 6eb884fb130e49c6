"""No count is lost: agents that restart, freeze or are not there yet, over real sockets."""

import socket
import time
from collections import Counter
from contextlib import contextmanager

import pytest
import structlog

from dispatcher.telemetry.metrics.connection import UnixConnection
from dispatcher.telemetry.metrics.dogstatsd import DogStatsdClient
from tests.support.faulty_agent import KINDS, faulty_agent

FLUSH = 0.02
REQUESTS = ("api.requests", "check", "200")
LATENCY = ("api.latency", "check")
METRIC = "dispatcher.api.requests"
UNIX = KINDS[1:]


class Emitter:
    """Emits counts and samples to an agent, and knows how many."""

    def __init__(self, agent):
        self.agent, self.total = agent, 0
        self.dropped = []
        self.client = DogStatsdClient(
            agent.address, ["campaign:c"], FLUSH, on_dropped=self.dropped.append
        )
        self.client.start()

    def emit(self, number):
        """Emit in several flushes."""
        for _ in range(number):
            self.client.count(REQUESTS)
            self.client.distribution(LATENCY, 5.0)
            self.total += 1
            if self.total % 50 == 0:
                time.sleep(FLUSH)

    def wait(self):
        """Wait until the agent has read all that was emitted, and nothing more comes."""
        self.agent.wait_for(lambda agent: agent.total(METRIC) >= self.total)
        self.agent.settle(0.1)


@contextmanager
def emitting(kind, folder):
    """Yield an emitter whose agent has read what was emitted so far."""
    with faulty_agent(kind, folder) as agent:
        emitter = Emitter(agent)
        emitter.emit(100)
        emitter.wait()
        yield emitter, agent


@contextmanager
def emitting_into_a_full_buffer(kind, folder, logs):
    """Yield an emitter whose agent is frozen, and has room for nothing more."""
    with emitting(kind, folder) as (emitter, agent):
        agent.freeze()
        fill(emitter, logs)
        yield emitter, agent


@pytest.fixture
def logs():
    with structlog.testing.capture_logs() as lines:
        yield lines


def check(emitter, logs):
    """Every count arrived exactly once; what was given up is a count, an event and in the log."""
    assert emitter.client.close(5.0)
    emitter.agent.settle(0.1)
    agent = emitter.agent
    assert agent.total(METRIC) == emitter.total
    assert agent.sampled("dispatcher.api.latency") == pytest.approx(emitter.total)
    given_up = agent.total("dispatcher.statsd.dropped")
    assert given_up == sum(event.samples for event in emitter.dropped)
    assert given_up == sum(line.get("dropped", 0) for line in logs)


@pytest.mark.parametrize("kind", KINDS)
def test_an_agent_that_restarts_costs_no_count(kind, tmp_path, logs):
    """What is counted while it is away arrives when it is back; the log says both, once."""
    with emitting(kind, tmp_path) as (emitter, agent):
        agent.stop()
        emitter.emit(300)
        agent.start()
        emitter.emit(100)
        emitter.wait()
        check(emitter, logs)
    assert [line["event"] for line in logs] == ["statsd.undelivered", "statsd.delivered"]
    assert logs[0]["waiting"] > 0


@pytest.mark.parametrize("kind", UNIX)
def test_an_agent_that_does_not_read_costs_no_count(kind, tmp_path, logs):
    """Time-outs are logged, and nothing that its buffer had no room for is lost."""
    with emitting_into_a_full_buffer(kind, tmp_path, logs) as (emitter, agent):
        emitter.emit(200)
        agent.thaw()
        emitter.wait()
        check(emitter, logs)
    assert "buffer is full" in logs[0]["detail"]


@pytest.mark.parametrize("kind", UNIX)
def test_what_an_agent_did_not_read_before_its_end_is_not_lost(kind, tmp_path, logs):
    """It freezes with a full buffer, and is killed: the next agent gets all of that."""
    with emitting_into_a_full_buffer(kind, tmp_path, logs) as (emitter, agent):
        agent.stop()
        emitter.emit(100)
        agent.start()
        emitter.wait()
        check(emitter, logs)


def fill(emitter, logs):
    """Emit until the agent's buffer is full."""
    end = time.monotonic() + 20
    while not logs:
        for status in range(100, 600):  # a packet of its own for every 60 of them
            emitter.client.count(("api.requests", "open", str(status)), 0)
        emitter.emit(50)
        assert time.monotonic() < end


@pytest.mark.parametrize("kind", KINDS)
def test_an_agent_that_starts_later_gets_everything(kind, tmp_path, logs):
    with faulty_agent(kind, tmp_path) as agent:
        agent.stop()
        emitter = Emitter(agent)
        emitter.emit(200)
        agent.start()
        emitter.wait()
        check(emitter, logs)


@pytest.mark.parametrize("kind", KINDS)
def test_an_agent_that_restarts_just_before_the_end_gets_the_rest(kind, tmp_path, logs):
    """The old connection fails only with the last flush, which is then made once more."""
    with emitting(kind, tmp_path) as (emitter, agent):
        agent.stop()
        agent.start()
        emitter.emit(10)
        check(emitter, logs)


@pytest.mark.parametrize("kind", KINDS)
def test_what_never_arrives_is_in_the_log(kind, tmp_path, logs):
    """An agent that stays away: the last line has what is lost, by number of lines."""
    with faulty_agent(kind, tmp_path) as agent:
        emitter = Emitter(agent)
        emitter.wait()
        agent.stop()
        emitter.emit(10)
        assert not emitter.client.close(0.2)
    lost = 1 + 10
    assert Counter(line["event"] for line in logs)["statsd.lost"] == 1
    assert (logs[-1]["event"], logs[-1]["dropped"]) == ("statsd.lost", lost)


@pytest.mark.parametrize("kind", KINDS)
def test_gauges_of_an_outage_are_given_up_but_for_the_last(kind, tmp_path, logs):
    """Nobody can send a gauge late: the last value arrives, the others count as dropped."""
    with faulty_agent(kind, tmp_path) as agent:
        emitter = Emitter(agent)
        emitter.emit(1)
        emitter.wait()
        agent.stop()
        for value in range(5):
            emitter.client.gauge(("pace",), value)
            time.sleep(3 * FLUSH)
        agent.start()
        agent.wait_for(lambda agent: agent.gauge("dispatcher.pace") == 4)
        assert agent.total("dispatcher.statsd.dropped") <= 4
        check(emitter, logs)
    assert [m.value for m in agent.metrics if m.name == "dispatcher.pace"] == [4]


class StartsMeanwhile(UnixConnection):
    """A connection behind whose first look at the socket file an agent starts."""

    def __init__(self, agent):
        super().__init__(str(agent.path), (socket.SOCK_DGRAM,))
        self._to_start = [agent]

    def _find_identity(self):
        found = super()._find_identity()
        while self._to_start:
            self._to_start.pop().start()
        return found


def test_an_agent_that_starts_while_one_connects_is_the_one_that_reads(tmp_path):
    """What it has read is confirmed, and not sent again."""
    with faulty_agent("unixgram", tmp_path) as agent:
        agent.stop()
        connection = StartsMeanwhile(agent)
        connection.open()
        connection.send(b"dispatcher.api.requests:1|c", 1.0)
        agent.wait_for(lambda agent: agent.total(METRIC) == 1)
        assert connection.check()
        connection.open()
        connection.close()
