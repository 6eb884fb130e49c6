"""What a played world leaves: DogStatsD lines, verdicts of the log, exits; kept as a file."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from tests.diagnose.agent import Line, lines_of

_BUFFER = 8 * 1024 * 1024
_MOST = 65536


@dataclass
class Capture:
    """All times are in seconds since the first start of the command.

    ``ended`` is until when the world was played. ``deaths`` are times without an agent.
    ``verdicts`` are the causes that the log names from then on, ``exits`` the exit codes.
    """

    world: str
    ended: float
    datagrams: list[tuple[float, str]] = field(default_factory=list)
    deaths: list[tuple[float, float]] = field(default_factory=list)
    verdicts: list[tuple[float, str]] = field(default_factory=list)
    exits: list[tuple[float, int]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def lines(self) -> list[Line]:
        """The lines that arrived."""
        return lines_of((t, text.encode()) for t, text in self.datagrams)

    def longest_verdict(self, since: float) -> str | None:
        """The cause that the log named for the longest time after ``since``."""
        lasted: dict[str, float] = {}
        for (begin, cause), end in zip(self.verdicts, self._ends(), strict=True):
            length = min(end, self.ended) - max(begin, since)
            if length > 0:
                lasted[cause] = lasted.get(cause, 0.0) + length
        return max(lasted, key=lambda cause: lasted[cause], default=None)

    def first_verdict(self, cause: str, since: float) -> float | None:
        """When the log named this cause first after ``since``."""
        return next((t for t, named in self.verdicts if named == cause and t >= since), None)

    def _ends(self) -> Iterable[float]:
        """Until when a verdict holds: the next one, or the end of the process."""
        begins = [begin for begin, _ in self.verdicts]
        for begin, following in zip(begins, [*begins, self.ended][1:], strict=True):
            exits = [t for t, _ in self.exits if begin <= t]
            yield min([following, *exits])

    def save(self, folder: Path) -> None:
        """Keep it, for `read`."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{self.world}.json").write_text(json.dumps(asdict(self)))


def read(path: Path) -> Capture:
    """Read what was saved."""
    found = json.loads(path.read_text())
    for name in ("datagrams", "deaths", "verdicts", "exits"):
        found[name] = [tuple(pair) for pair in found[name]]
    return Capture(**found)


def verdicts_of(log: Path, began: float) -> list[tuple[float, str]]:
    """The causes that a log names, with the seconds since ``began`` (since the epoch)."""
    found = []
    for text in log.read_text().splitlines() if log.exists() else ():
        with contextlib.suppress(ValueError):
            line = json.loads(text)
            if line.get("event", line.get("message")) == "condition.changed":
                found.append((_moment(line) - began, str(line["cause"])))
    return found


def _moment(line: dict) -> float:
    return datetime.fromisoformat(line.get("timestamp") or line["time"]).timestamp()


class Agent:
    """A socket in the place of an agent, which can die and come back at its port.

    One with a ``host`` adds it to the tags, so that two machines have series of their own.
    """

    def __init__(self, host: str = "") -> None:
        self._host = host
        self.datagrams: list[tuple[float, bytes]] = []
        self.deaths: list[tuple[float, float]] = []
        self._dead_since = 0.0
        self.port = 0
        self.start()

    def start(self) -> None:
        """Listen, at the same port as before."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self._socket.bind(("127.0.0.1", self.port))
        self._socket.settimeout(0.1)
        self.port = self._socket.getsockname()[1]
        if self._dead_since:
            self.deaths.append((self._dead_since, time.time()))
            self._dead_since = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def texts(self) -> list[tuple[float, str]]:
        """The datagrams with their times, as text."""
        tagged = f"|#host:{self._host}," if self._host else "|#"
        return [(at, data.decode().replace("|#", tagged)) for at, data in self.datagrams]

    def stop(self) -> None:
        """Die: who sends gets an error from the kernel."""
        self._stop.set()
        self._thread.join()
        self._socket.close()
        self._dead_since = time.time()

    def close(self) -> None:
        """End, after what is still in the socket."""
        if not self._dead_since:
            self.stop()
            self._dead_since = 0.0
        else:
            self.deaths.append((self._dead_since, time.time()))

    def _read(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                data = self._socket.recv(_MOST)
                self.datagrams.append((time.time(), data))
