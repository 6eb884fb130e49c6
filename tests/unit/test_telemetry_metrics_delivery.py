"""What comes back from an agent that does not take all packets, for each kind of connection."""

import errno
import socket
from collections import Counter

import pytest

from dispatcher.telemetry.metrics import delivery as module
from dispatcher.telemetry.metrics.connection import (
    LOOK_UP_AGAIN_SECONDS,
    LOOK_UP_SECONDS,
    UdpConnection,
)
from dispatcher.telemetry.metrics.delivery import MetricDelivery
from dispatcher.telemetry.metrics.pending import MetricBatch
from dispatcher.telemetry.metrics.wire import LineWriter

REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "refused")
FULL = TimeoutError("full")
KEYS = [("api.requests", "check", str(status)) for status in range(200, 204)]
WRITER = LineWriter([])


class Scripted:
    """A connection with one line in each packet; ``errors`` are raised by call and number."""

    most_bytes = 1

    def __init__(self, confirms, errors=None, *, reads=True):
        self.confirms, self.errors, self.reads = confirms, errors or {}, reads
        self.sent, self.calls = [], Counter()
        self.closed = 0

    def _call(self, name):
        self.calls[name] += 1
        if error := self.errors.pop((name, self.calls[name]), None):
            raise error

    def open(self):
        self._call("open")

    def send(self, packet, seconds):
        self._call("send")
        self.sent.append(packet)

    def check(self):
        self._call("check")
        return self.reads

    def close(self):
        self.closed += 1


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(module, "READ_SECONDS", 0.0)


def delivery(connection, dropped=None):
    return MetricDelivery(connection, WRITER, (dropped if dropped is not None else []).append)


def batch(start=0, end=4):
    return MetricBatch(counts=dict.fromkeys(KEYS[start:end], 1))


def keys(returned):
    """Which of the keys came back, and how often."""
    return Counter(KEYS.index(key) for part in returned for key in part.counts)


@pytest.mark.parametrize("confirms", ["each", "later", "read"])
def test_what_is_taken_does_not_come_back(confirms):
    connection = Scripted(confirms)
    delivered = delivery(connection)
    assert delivered.deliver(batch(), 0.1) == ([], None)
    assert (len(connection.sent), delivered.connected) == (4, True)


@pytest.mark.parametrize("confirms", ["each", "later", "read"])
def test_without_a_connection_everything_comes_back(confirms):
    """Nothing is written then, which would take time."""
    connection = Scripted(confirms, {("open", 1): REFUSED})
    whole = batch()
    assert delivery(connection).deliver(whole, 0.1) == ([whole], REFUSED)
    assert connection.sent == []


@pytest.mark.parametrize("confirms", ["each", "later", "read"])
def test_a_full_buffer_returns_what_was_not_taken_and_no_more(confirms):
    """What the kernel has taken still arrives, so the connection stays."""
    connection = Scripted(confirms, {("send", 3): FULL}, reads=False)
    returned, error = delivery(connection).deliver(batch(), 0.1)
    assert (keys(returned), error, connection.closed) == ({2: 1, 3: 1}, FULL, 0)


def test_an_agent_that_has_not_read_loses_nothing_when_it_ends():
    """By a Unix socket: the packets of an earlier flush come back with those of this one."""
    connection = Scripted("read", {("send", 3): REFUSED}, reads=False)
    delivered = delivery(connection)
    assert delivered.deliver(batch(0, 2), 0.1) == ([], None)
    returned, error = delivered.deliver(batch(2, 4), 0.1)
    assert (keys(returned), error) == ({0: 1, 1: 1, 2: 1, 3: 1}, REFUSED)
    assert (connection.closed, delivered.connected) == (1, False)


def test_what_an_agent_has_read_is_not_sent_again():
    connection = Scripted("read", {("send", 3): REFUSED})
    delivered = delivery(connection)
    delivered.deliver(batch(0, 2), 0.1)
    returned, _ = delivered.deliver(batch(2, 4), 0.1)
    assert keys(returned) == {2: 1, 3: 1}


def test_a_refusal_on_this_machine_is_that_of_the_last_packet():
    """And perhaps of the one before: on a busy machine it is late by one."""
    connection = Scripted("each", {("check", 4): REFUSED})  # the first check is before all packets
    returned, _ = delivery(connection).deliver(batch(), 0.1)
    assert keys(returned) == {1: 1, 2: 1, 3: 1}


def test_a_refusal_from_afar_returns_the_whole_flush():
    """It comes with the next flush, and nothing shows which packets it is about."""
    connection = Scripted("later", {("check", 4): REFUSED})
    delivered = delivery(connection)
    assert delivered.deliver(batch(0, 2), 0.1) == ([], None)
    assert delivered.refusal_is_late
    returned, _ = delivered.deliver(batch(2, 4), 0.1)
    assert keys(returned) == {0: 1, 1: 1, 2: 1, 3: 1}


def test_without_a_refusal_an_earlier_flush_is_not_sent_again():
    connection = Scripted("later", {("send", 4): REFUSED})
    delivered = delivery(connection)
    delivered.deliver(batch(0, 2), 0.1)
    returned, _ = delivered.deliver(batch(2, 4), 0.1)
    assert keys(returned) == {2: 1, 3: 1}


def test_a_line_that_no_agent_takes_does_not_hold_up_the_others():
    """It is given up and counted."""
    dropped = []
    connection = Scripted("read", {("send", 2): OSError(errno.EMSGSIZE, "too long")})
    assert delivery(connection, dropped).deliver(batch(), 0.1) == ([], None)
    assert (len(connection.sent), dropped) == (3, [1])


class Names:
    """A name server whose answer can change."""

    def __init__(self, *sockets):
        self.sockets, self.address, self.calls = sockets, sockets[0].getsockname(), 0

    def __call__(self, host, port, *_):
        self.calls += 1
        if self.address is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", self.address)]


@pytest.fixture
def agents():
    pair = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for sock in pair:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(5)
    yield pair
    for sock in pair:
        sock.close()


def test_an_agent_that_gets_another_address_is_found_within_a_minute(agents):
    """By UDP no error needs to come from the old address."""
    now, names = [0.0], Names(*agents)
    connection = UdpConnection("agent", 8125, lambda: now[0], names)
    connection.open()
    connection.send(b"one", 1)
    names.address = agents[1].getsockname()
    now[0] = LOOK_UP_SECONDS - 1
    connection.open()
    connection.send(b"two", 1)
    now[0] = LOOK_UP_SECONDS
    connection.open()
    connection.send(b"three", 1)
    connection.close()
    assert [agents[0].recv(9), agents[0].recv(9), agents[1].recv(9)] == [b"one", b"two", b"three"]
    assert names.calls == 2


def test_after_an_error_the_host_is_looked_up_at_once(agents):
    names = Names(*agents)
    connection = UdpConnection("agent", 8125, lambda: 0.0, names)
    connection.open()
    connection.close()  # as after an error
    connection.open()
    connection.close()
    assert names.calls == 2


def test_names_that_fail_do_not_end_a_connection(agents):
    """The agent may be well although the name server is not."""
    now, names = [0.0], Names(*agents)
    connection = UdpConnection("agent", 8125, lambda: now[0], names)
    connection.open()
    names.address, now[0] = None, LOOK_UP_SECONDS
    connection.open()
    connection.send(b"one", 1)
    assert agents[0].recv(9) == b"one"
    connection.close()


def test_a_name_that_is_not_found_is_not_looked_up_all_the_time(agents):
    now, names = [0.0], Names(*agents)
    names.address = None
    connection = UdpConnection("agent.local", 8125, lambda: now[0], names)
    for now[0] in (0.0, 0.5, LOOK_UP_AGAIN_SECONDS):
        with pytest.raises(OSError, match=r"the host agent\.local is not found: Name or"):
            connection.open()
    assert names.calls == 2
