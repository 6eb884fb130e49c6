"""A DogStatsD receiver: UDP or Unix datagrams, parsed into counts by metric and tags."""

import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

_BUFFER = 32 * 1024 * 1024
_MOST = 65536


@dataclass(frozen=True)
class Metric:
    """One line of a datagram."""

    name: str
    value: float
    kind: str
    tags: frozenset[str]
    rate: float = 1.0


def parse(line: str) -> Metric:
    """Read one DogStatsD line."""
    head, kind, *rest = line.split("|")
    name, value = head.split(":", 1)
    tags = next((part[1:].split(",") for part in rest if part.startswith("#")), [])
    rate = next((float(part[1:]) for part in rest if part.startswith("@")), 1.0)
    return Metric(name, float(value), kind, frozenset(tags), rate)


@dataclass
class Receiver:
    """Collects what arrives on a socket, in a thread of its own."""

    sock: socket.socket
    datagrams: list[bytes] = field(default_factory=list)

    def start(self) -> None:
        """Begin to read."""
        self.sock.settimeout(0.05)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End, when nothing more is there to read."""
        self._stop.set()
        self._thread.join()
        self.sock.close()

    def _read(self) -> None:
        while True:
            try:
                self.datagrams.append(self.sock.recv(_MOST))
            except TimeoutError:
                if self._stop.is_set():
                    return

    @property
    def host(self) -> str:
        """The address that a UDP receiver listens on."""
        return str(self.sock.getsockname()[0])

    @property
    def port(self) -> int:
        """The port that a UDP receiver listens on."""
        return int(self.sock.getsockname()[1])

    @property
    def text(self) -> str:
        """Everything that arrived."""
        return "".join(datagram.decode() for datagram in list(self.datagrams))

    @property
    def metrics(self) -> list[Metric]:
        """Every metric that arrived."""
        return [parse(line) for line in self.text.splitlines() if line and line[0] != "_"]

    @property
    def events(self) -> list[str]:
        """The lines of every event that arrived."""
        return [line for line in self.text.splitlines() if line.startswith("_e{")]

    @property
    def checks(self) -> list[str]:
        """The lines of every service check that arrived."""
        return [line for line in self.text.splitlines() if line.startswith("_sc|")]

    def settle(self, seconds: float = 0.2) -> None:
        """Wait until nothing has arrived for so long."""
        before = -1
        while before != len(self.datagrams):
            before = len(self.datagrams)
            time.sleep(seconds)

    def wait_for(self, true: Callable[["Receiver"], bool], seconds: float = 5.0) -> None:
        """Wait until ``true`` of this receiver.

        Raises:
            TimeoutError: it did not come true in time.

        """
        end = time.monotonic() + seconds
        while not true(self):
            if time.monotonic() > end:
                raise TimeoutError(f"not true in {seconds} s; received: {self.text[-2000:]}")
            time.sleep(0.02)

    def series(self, name: str, *tags: str) -> Counter[tuple[str, ...]]:
        """Sum a count up by the values of ``tags``, which are names of tags."""
        sums: Counter[tuple[str, ...]] = Counter()
        for metric in self.metrics:
            if metric.name == name and metric.kind == "c":
                values = dict(tag.split(":", 1) for tag in metric.tags)
                sums[tuple(values.get(tag, "") for tag in tags)] += int(metric.value)
        return sums

    def total(self, name: str, *tags: str) -> int:
        """Sum up a count over the series that carry all of ``tags`` (``name:value``)."""
        return sum(int(m.value) for m in self._of(name, "c", tags))

    def gauge(self, name: str, *tags: str) -> float | None:
        """Return a gauge's last value."""
        values = [m.value for m in self._of(name, "g", tags)]
        return values[-1] if values else None

    def samples(self, name: str, *tags: str) -> list[float]:
        """Return the samples of a distribution that arrived."""
        return [m.value for m in self._of(name, "d", tags)]

    def sampled(self, name: str, *tags: str) -> float:
        """Return how many samples a distribution represents, by the rates it was sent with."""
        return sum(1 / m.rate for m in self._of(name, "d", tags))

    def _of(self, name: str, kind: str, tags: tuple[str, ...]) -> list[Metric]:
        wanted = set(tags)
        return [m for m in self.metrics if (m.name, m.kind) == (name, kind) and wanted <= m.tags]


@contextlib.contextmanager
def udp(host: str = "127.0.0.1", port: int = 0) -> Iterator[Receiver]:
    """Receive by UDP, on a free port unless one is given."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    sock.bind((host, port))
    with _running(sock) as receiver:
        yield receiver


@contextlib.contextmanager
def unix(path: Path) -> Iterator[Receiver]:
    """Receive on a Unix datagram socket at ``path``."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    sock.bind(str(path))
    with _running(sock) as receiver:
        yield receiver


@contextlib.contextmanager
def _running(sock: socket.socket) -> Iterator[Receiver]:
    receiver = Receiver(sock)
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.stop()
