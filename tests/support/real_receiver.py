"""Sends every kind of metric to a DogStatsD receiver that is not the project's own, and compares.

``make receiver`` installs npm's ``statsd``, which reads tags. It knows no distributions: each is a
counter for it. Nor does it know events and service checks, which are left out here.
"""

import json
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

from dispatcher.domain import events as e
from dispatcher.domain.status import Reason, Relation, ScopeSource, Status, Step
from dispatcher.telemetry.metrics.agent import AgentAddress
from dispatcher.telemetry.metrics.sink import StatsdSink
from tests.support import statsd

_CONTACTS = 500


def emit(agent: AgentAddress) -> None:
    """Emit what a run emits, in several flushes."""
    sink = StatsdSink(agent, campaign="cart-2026-11", dialect="messaging", flush_seconds=0.05)
    sink.begin("once")
    for number in range(_CONTACTS):
        status = ("200", "409", "500", "timeout")[number % 4]
        sink.emit(e.Answered(Step.OPEN, status, number / 1000, "i", "i", "i", failed=False))
        sink.emit(
            e.Settled(
                "i", "i", Status.OPENED, Reason.DELIVERED, Relation.LINKED, "i", "i", "i", 0.25
            )
        )
        if number % 100 == 0:
            sink.emit(e.Gauges(7, number, 12.5, 5.0, 0.875))
            sink.emit(e.ScopeError(ScopeSource.FORBIDDEN, Step.OPEN, "k", "r"))
            time.sleep(0.1)
    assert sink.close()


@contextmanager
def receiver(modules: Path):
    """Run it; the ports are those of its metrics and of its console."""
    port, console = _free_port(socket.SOCK_DGRAM), _free_port(socket.SOCK_STREAM)
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.js"
        config.write_text(
            f"{{port: {port}, mgmt_port: {console}, backends: [], flushInterval: 600000,"
            " address: '127.0.0.1', mgmt_address: '127.0.0.1'}"
        )
        process = subprocess.Popen(["node", str(modules / "statsd" / "stats.js"), str(config)])
        try:
            _wait_for(console)
            yield port, console
        finally:
            process.kill()
            process.wait()


def ask(console: int, what: str) -> dict[str, float]:
    """Return counters or gauges by name with tags, as the console has them."""
    with socket.create_connection(("127.0.0.1", console), 5) as connection:
        connection.sendall(f"{what}\n".encode())
        answer = b""
        while b"END" not in answer:
            answer += connection.recv(65536)
    values = json.loads(answer.decode().split("END")[0].replace("'", '"'))
    return {_sorted(name): value for name, value in values.items()}


def own_reading(kind: str) -> Counter[str]:
    """What the project's own receiver reads of the same metrics: sums, or the last values."""
    with statsd.udp() as received:
        emit(AgentAddress(received.host, received.port))
        received.settle()
    found: Counter[str] = Counter()
    for metric in received.metrics:
        if metric.kind == kind:
            value = found[_name(metric)] + metric.value if kind == "c" else metric.value
            found[_name(metric)] = value
    return found


def main() -> None:
    """Compare counts, gauges and bad lines; the exit code is 1 if they differ."""
    with receiver(Path(sys.argv[1])) as (port, console):
        emit(AgentAddress("127.0.0.1", port))
        time.sleep(1)
        counters, gauges = ask(console, "counters"), ask(console, "gauges")
    bad = counters.get("statsd.bad_lines_seen", 0)
    differ = [
        name
        for kind, theirs in (("c", counters), ("g", gauges))
        for name, value in own_reading(kind).items()
        if theirs.get(name) != value
    ]
    packets = int(counters.get("statsd.packets_received", 0))
    print(f"{packets} packets, {len(counters)} counters, {len(gauges)} gauges, {bad} bad lines")  # noqa: T201 - its result
    print(f"{len(differ)} differ: {differ[:5]}")  # noqa: T201 - its result
    sys.exit(1 if bad or differ or not packets else 0)


def _name(metric: statsd.Metric) -> str:
    return _sorted(";".join([metric.name, *(tag.replace(":", "=", 1) for tag in metric.tags)]))


def _sorted(name: str) -> str:
    head, *tags = name.split(";")
    return ";".join([head, *sorted(tags)])


def _free_port(kind: int) -> int:
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _wait_for(console: int) -> None:
    end = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", console), 1).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
        else:
            return


if __name__ == "__main__":
    main()
