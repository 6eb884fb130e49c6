"""A Unix stream whose agent is frozen: a packet that left only in part is pushed, or counted."""

import socket
import struct
import threading

import pytest
import structlog

from dispatcher.telemetry.metrics.agent import AgentAddress
from dispatcher.telemetry.metrics.connection import FULL, UnixConnection
from dispatcher.telemetry.metrics.delivery import MetricDelivery
from dispatcher.telemetry.metrics.dogstatsd import DogStatsdClient
from dispatcher.telemetry.metrics.pending import MetricBatch
from dispatcher.telemetry.metrics.wire import LineWriter

BIG = b"x" * 4_000_000
"""More than any buffer of a socket has room for."""


@pytest.fixture
def agent(tmp_path):
    """An agent that listens, and reads nothing until a test does."""
    path = tmp_path / "dsd.socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen(1)
        listener.settimeout(10)
        yield path, listener


def read(reader, length):
    data = b""
    while len(data) < length:
        data += reader.recv(length - len(data))
    return data


def frame(reader):
    (length,) = struct.unpack("<I", read(reader, 4))
    return read(reader, length)


def stuffed(path, listener):
    """A connection that has sent a part of a packet, and the agent's end of it."""
    connection = UnixConnection(str(path), (socket.SOCK_STREAM,))
    connection.open()
    reader, _ = listener.accept()
    connection.send(BIG, 0.0)
    return connection, reader


def test_check_sends_what_is_left_of_a_packet(agent):
    """An agent that reads again gets the rest without a further packet."""
    connection, reader = stuffed(*agent)
    assert connection.is_cut
    assert not connection.check()
    frames = []
    thread = threading.Thread(target=lambda: frames.append(frame(reader)))
    thread.start()
    while connection.is_cut:
        connection.check()
    thread.join()
    assert frames == [BIG]
    assert connection.check()
    connection.close()
    reader.close()


def test_check_reports_an_agent_that_ended_with_a_part_of_a_packet(agent):
    connection, reader = stuffed(*agent)
    reader.close()
    with pytest.raises(OSError, match=r"reset|pipe"):
        connection.check()
    connection.close()


def test_close_returns_the_packet_of_which_the_agent_has_a_part(agent):
    """The packets before it are whole in the kernel: a frozen agent reads them later."""
    path, listener = agent
    connection = UnixConnection(str(path), (socket.SOCK_STREAM,))
    connection.most_bytes = 120_000  # the kernel takes such a packet in several parts
    delivery = MetricDelivery(connection, LineWriter([]), lambda _lines: None)
    keys = [("contacts.settled", "opened", "x" * 100 + str(n)) for n in range(20_000)]
    returned, error = delivery.deliver(MetricBatch(counts=dict.fromkeys(keys, 1)), 0.0)
    reader, _ = listener.accept()
    assert error is not None
    sent = len(keys) - sum(part.lines for part in returned)
    assert delivery.is_cut
    cut = sum(part.lines for part in delivery.close())
    assert not delivery.is_cut
    assert 0 < cut < sent
    whole = 0
    while (length := reader.recv(4, socket.MSG_WAITALL)) and len(length) == 4:
        size = struct.unpack("<I", length)[0]
        data = reader.recv(size, socket.MSG_WAITALL)
        whole += data.count(b"\n") + (not data.endswith(b"\n")) if len(data) == size else 0
    reader.close()
    assert whole + cut == sent
    assert delivery.close() == []


class Stuck(UnixConnection):
    """A stream that takes one packet only in part, until the agent reads again."""

    def __init__(self, frozen):
        super().__init__("", ())
        self.frozen, self.sent = frozen, []

    def open(self):
        """It is always connected."""

    def send(self, packet, seconds):
        self.sent.append(packet)
        self._rest = b"rest"

    def check(self):
        if not self.frozen:
            self._rest = b""
        self.frozen = max(0, self.frozen - 1)
        return not self._rest


@pytest.mark.parametrize(("frozen", "lost"), [(10**9, 1), (3, 0)])
def test_the_end_of_a_run_pushes_or_counts_the_last_packet(frozen, lost, monkeypatch):
    """It has no error: the kernel took the packet, and nothing was sent after it."""
    monkeypatch.setattr(
        "dispatcher.telemetry.metrics.dogstatsd.connect_to", lambda _agent: Stuck(frozen)
    )
    with structlog.testing.capture_logs() as logs:
        client = DogStatsdClient(AgentAddress(), [], 60)
        client.start()
        client.count(("api.throttled",), 3)
        assert client.close(0.3) is (not lost)
    losses = [(line["detail"], line["dropped"]) for line in logs if line["event"] == "statsd.lost"]
    assert losses == [(FULL, 1)] * lost
