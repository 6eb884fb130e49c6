"""A connection to an agent: by UDP, by Unix datagrams, or by a Unix stream.

What is known of packets that the kernel took:

* UDP: a refusal (ICMP "port unreachable") shortly after the packet. Nothing else: neither a full
  buffer of the agent nor a lost packet.
* Unix sockets: a full buffer at once; that the agent is gone with the next packet; and on Linux
  how much the agent has not read yet (``SIOCOUTQ``, man 7 unix).
"""

import errno
import fcntl
import os
import socket
import struct
import termios
import time
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal, Protocol

from dispatcher.telemetry.metrics.agent import AgentAddress
from dispatcher.telemetry.metrics.wire import UDP_BYTES, UNIX_BYTES

LOOK_UP_SECONDS = 60.0
"""How often the agent's host is looked up while packets leave: its address may have changed."""

LOOK_UP_AGAIN_SECONDS = 2.0
"""The pause after a failed look-up."""

SEND_BUFFER = 32 * 1024
"""The smallest buffer of a Unix socket, in bytes: macOS has less than a packet by default."""

FULL = "a buffer is full: the agent reads too slowly, or not at all"
"""What `TimeoutError` says."""

Confirms = Literal["each", "later", "read"]
"""What a kernel shows of packets: whether the last one was refused; whether one was some time ago;
or whether the agent has read all."""

Clock = Callable[[], float]
"""Returns monotonic seconds."""
LookUp = Callable[..., list[Any]]
"""Has the signature of `socket.getaddrinfo`."""


class AgentConnection(Protocol):
    """A connection. Every method may raise OSError; `TimeoutError` means that a buffer is full."""

    confirms: Confirms
    """What `check` shows."""
    most_bytes: int
    """The size of a packet."""

    @property
    def is_cut(self) -> bool:
        """Whether the kernel has taken only a part of the last packet."""
        ...

    def open(self) -> None:
        """Connect, if there is no connection or another agent has taken the address."""
        ...

    def send(self, packet: bytes, seconds: float) -> None:
        """Hand a packet over to the kernel; wait up to ``seconds`` for room."""
        ...

    def check(self) -> bool:
        """Return whether the agent has read all packets, as far as the kernel knows.

        What is left of the last packet is sent, if there is room. It raises if a packet was
        refused.
        """
        ...

    def close(self) -> None:
        """Close the connection; `open` makes a new one."""
        ...


class UdpConnection:
    """A connection by UDP. It gets a new local port, too, whenever the host is looked up.

    With the old port, a table of connections on the way may lead to an address that is gone.
    """

    def __init__(
        self, host: str, port: int, clock: Clock = time.monotonic,
        look_up: LookUp = socket.getaddrinfo,
    ) -> None:  # fmt: skip
        self._host, self._port = host, port
        self._clock, self._look_up = clock, look_up
        self._socket: socket.socket | None = None
        self._next_look_up = 0.0
        self._failure: OSError | None = None
        self.confirms: Confirms = "later"
        self.most_bytes = UDP_BYTES
        self.is_cut = False  # datagrams are taken whole

    def open(self) -> None:
        """Connect; look the host up at most once a minute, or after an error."""
        if self._socket is not None and self._clock() < self._next_look_up:
            return
        if self._socket is not None:
            self.check()  # the new socket does not know what the old one was refused
        try:
            fresh = self._connect()
        except OSError:
            if self._socket is None:
                raise
            fresh = self._socket  # the names fail, but perhaps not the agent
        if self._socket is not None and fresh is not self._socket:
            self._socket.close()
        self._socket = fresh

    def send(self, packet: bytes, seconds: float) -> None:
        """Hand a packet over."""
        sock = _opened(self._socket)
        sock.settimeout(seconds)
        _waiting(sock.send, packet)

    def check(self) -> bool:
        """Raise if a packet was refused."""
        if code := _opened(self._socket).getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(code, os.strerror(code))
        return True

    def close(self) -> None:
        """Close it, so that the host is looked up again."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connect(self) -> socket.socket:
        if self._failure is not None and self._clock() < self._next_look_up:
            raise self._failure
        try:
            found = self._look_up(self._host, self._port, 0, socket.SOCK_DGRAM)
        except OSError as error:
            self._next_look_up = self._clock() + LOOK_UP_AGAIN_SECONDS
            self._failure = OSError(
                f"the host {self._host} is not found: {error.strerror or error}"
            )
            raise self._failure from error
        self._next_look_up, self._failure = self._clock() + LOOK_UP_SECONDS, None
        # An agent may listen on IPv4 only; the package prefers it for the same reason.
        family, kind, protocol, _, address = min(found, key=lambda row: row[0] != socket.AF_INET)
        sock = socket.socket(family, kind, protocol)
        try:
            sock.connect(address)
        except OSError:
            sock.close()
            raise
        # On loopback a refusal is known when `send` returns.
        is_local = ip_address(address[0].partition("%")[0]).is_loopback
        self.confirms = "each" if is_local else "later"
        return sock


class UnixConnection:
    """A connection by a Unix socket: datagrams, or a stream of packets with their lengths.

    ``kinds`` are tried in their order.
    """

    def __init__(self, path: str, kinds: tuple[int, ...]) -> None:
        self._path, self._kinds = path, kinds
        self._socket: socket.socket | None = None
        self._is_stream = False
        self._identity: tuple[int, int, int] | None = None
        self._rest = b""
        self.confirms: Confirms = "read"
        self.most_bytes = UNIX_BYTES

    @property
    def is_cut(self) -> bool:
        """Whether a stream has taken only a part of the last packet."""
        return bool(self._rest)

    def open(self) -> None:
        """Connect; a socket file that was made again belongs to another agent."""
        if self._socket is None:
            self._socket = self._connect_identified()
        elif self._find_identity() != self._identity:
            raise ConnectionResetError(errno.ECONNRESET, f"{self._path} was removed, or made again")

    def send(self, packet: bytes, seconds: float) -> None:
        """Hand a packet over; what a stream did not take of it goes before the next one."""
        sock = _opened(self._socket)
        sock.settimeout(seconds)
        if not self._is_stream:
            _waiting(sock.send, packet)
            return
        self._send_rest(sock)
        frame = struct.pack("<I", len(packet)) + packet
        sent = _waiting(sock.send, frame)
        self._rest = frame[sent:]
        try:
            self._send_rest(sock)
        except TimeoutError:
            return  # the agent gets the rest when it reads again

    def check(self) -> bool:
        """Return whether the agent has read everything; send what is left of the last packet."""
        sock = _opened(self._socket)
        if not self._push_rest(sock):
            return False
        try:
            unread = fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4))
        except OSError:  # not on Linux: what the kernel took counts as delivered
            unread = bytes(4)
        # Nothing is unread, too, when the agent has ended without reading it.
        return not any(unread) and self._is_alive(sock)

    def close(self) -> None:
        """Close it."""
        self._rest = b""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _push_rest(self, sock: socket.socket) -> bool:
        """Send what there is room for, without a wait; return whether nothing is left."""
        if self._rest:
            sock.settimeout(0)
            try:
                self._send_rest(sock)
            except TimeoutError:
                return False
        return True

    def _send_rest(self, sock: socket.socket) -> None:
        while self._rest:
            self._rest = self._rest[_waiting(sock.send, self._rest) :]

    def _is_alive(self, sock: socket.socket) -> bool:
        """Return whether the agent that it is connected to is there.

        It raises if the agent has ended; without a file it is not known.
        """
        if not self._is_stream:
            identity = self._find_identity()
            self._connect_as(socket.SOCK_DGRAM).close()
            return identity == self._identity
        sock.settimeout(0)
        try:
            alive = bool(sock.recv(1, socket.MSG_PEEK))
        except BlockingIOError:  # an agent sends nothing
            return True
        if not alive:
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        return alive

    def _find_identity(self) -> tuple[int, int, int] | None:
        """Return what another agent's socket file would differ by; None if there is no file."""
        try:
            status = Path(self._path).stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino, status.st_mtime_ns

    def _connect_identified(self) -> socket.socket:
        """Connect, and remember which file that was.

        An agent that starts meanwhile makes the file after the first look at it. Its packets would
        count as not read, and be sent twice, if the look before it were kept.
        """
        while True:
            self._identity = self._find_identity()
            sock = self._connect()
            if self._find_identity() == self._identity:
                return sock
            sock.close()

    def _connect(self) -> socket.socket:
        *others, last = self._kinds
        for kind in others:
            try:
                return self._connect_as(kind)
            except OSError as error:
                if error.errno != errno.EPROTOTYPE:
                    raise
        return self._connect_as(last)

    def _connect_as(self, kind: int) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, kind)
        try:
            sock.settimeout(0)
            if sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) < SEND_BUFFER:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            sock.connect(self._path)
        except OSError as error:
            sock.close()
            raise OSError(error.errno, f"{os.strerror(error.errno or 0)}: {self._path}") from error
        self._is_stream = kind == socket.SOCK_STREAM
        return sock


def connect_to(agent: AgentAddress) -> AgentConnection:
    """Return a connection to the agent, which is opened later."""
    if agent.socket_path is None:
        return UdpConnection(agent.host, agent.port)
    both = (socket.SOCK_DGRAM, socket.SOCK_STREAM)
    kinds = {"unixgram": both[:1], "unixstream": both[1:], "unix": both}
    scheme, found, path = agent.socket_path.partition("://")
    return UnixConnection(path if found else agent.socket_path, kinds.get(scheme, both))


def _opened(sock: socket.socket | None) -> socket.socket:
    if sock is None:
        raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
    return sock


def _waiting(send: Callable[[bytes], int], data: bytes) -> int:
    """Send, and report each kind of full buffer as `TimeoutError`."""
    try:
        return send(data)
    except (BlockingIOError, TimeoutError) as error:
        raise TimeoutError(FULL) from error
    except OSError as error:
        if error.errno == errno.ENOBUFS:
            raise TimeoutError(FULL) from error
        raise
