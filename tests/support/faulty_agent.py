"""An agent that stops, freezes and restarts, by UDP, Unix datagrams or a Unix stream."""

import contextlib
import selectors
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

from dispatcher.telemetry.metrics.agent import AgentAddress
from tests.support.statsd import Receiver

KINDS = ("udp", "unixgram", "unixstream")
"""The kinds of sockets that an agent listens on."""
_SMALL = 4096
_MOST = 65536


class FaultyAgent(Receiver):
    """Collects what arrives over all its restarts; its buffers are small."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.datagrams = []
        self.kind, self.path = kind, folder / "dsd.socket"
        self._port = 0
        self._lock = threading.Lock()
        self._running = False

    @property
    def address(self) -> AgentAddress:
        """Where it listens."""
        if self.kind == "udp":
            return AgentAddress("127.0.0.1", self._port)
        return AgentAddress(socket_path=f"{self.kind}://{self.path}")

    def start(self) -> None:
        """Listen, at the same address as before."""
        self.sock = self._bind()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self.sock, selectors.EVENT_READ, None)
        self._running = True
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End at once: what it has not read is lost with its sockets."""
        if not self._running:
            return
        self._running = False
        with contextlib.suppress(RuntimeError):
            self._lock.release()
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()
        self._selector.close()
        self.path.unlink(missing_ok=True)

    def freeze(self) -> None:
        """Read nothing any more."""
        self._lock.acquire()

    def thaw(self) -> None:
        """Read again."""
        self._lock.release()

    def _bind(self) -> socket.socket:
        if self.kind == "udp":
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind(("127.0.0.1", self._port))
            self._port = sock.getsockname()[1]
            return sock
        kind = socket.SOCK_STREAM if self.kind == "unixstream" else socket.SOCK_DGRAM
        sock = socket.socket(socket.AF_UNIX, kind)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL)
        sock.bind(str(self.path))
        if kind == socket.SOCK_STREAM:
            sock.listen(4)
        return sock

    def _read(self) -> None:
        while self._running:
            for key, _ in self._selector.select(0.02):
                with self._lock:
                    if self._running:
                        self._receive(key)

    def _receive(self, key: selectors.SelectorKey) -> None:
        if self.kind != "unixstream":
            self.datagrams.append(self.sock.recv(_MOST))
        elif key.fileobj is self.sock:
            peer, _ = self.sock.accept()
            self._selector.register(peer, selectors.EVENT_READ, bytearray())
        elif data := key.fileobj.recv(_MOST):
            key.data.extend(data)
            self.datagrams.extend(_frames(key.data))
        else:
            self._selector.unregister(key.fileobj)
            key.fileobj.close()


def _frames(buffer: bytearray) -> Iterator[bytes]:
    """Take the packets that are complete from a stream: each follows its length in four bytes."""
    while len(buffer) >= 4:
        (size,) = struct.unpack_from("<I", buffer)
        if len(buffer) < 4 + size:
            return
        yield bytes(buffer[4 : 4 + size])
        del buffer[: 4 + size]


@contextlib.contextmanager
def faulty_agent(kind: str, folder: Path) -> Iterator[FaultyAgent]:
    """Run an agent."""
    agent = FaultyAgent(kind, folder)
    agent.start()
    try:
        yield agent
    finally:
        agent.stop()
