"""(j) Posts and contacts per second that the HTTP intake commits, and its CPU time."""

import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness import keep, table
from tests.support.posting import CAMPAIGN, PostedRun
from tests.support.posting_crash import SCENARIO
from tests.support.sandbox_process import sandbox

CONNECTIONS = 64
SIZES = (1, 100)
"""Contacts of a post."""
_TICKS = os.sysconf("SC_CLK_TCK")
_IDLE = {
    "platform.requests_per_minute": 1,  # so that nothing is sent beside it
    "source.http.most_waiting": 100_000_000,
    "telemetry.log_level": "warning",
}


@dataclass
class _Measured:
    seconds: float
    cpu_seconds: float
    latencies: list[float]

    def figures(self, size: int) -> dict[str, float]:
        posts = len(self.latencies)
        return {
            "posts_per_second": posts / self.seconds,
            "contacts_per_second": posts * size / self.seconds,
            "p50_ms": statistics.median(self.latencies) * 1e3,
            "cpu_us_per_contact": self.cpu_seconds / (posts * size) * 1e6,
        }


def run(posts: int, repeats: int) -> dict[str, Any]:
    """Measure, print the table, and return the result; nothing is promised.

    ``posts`` is the number of posts of one contact; there are a tenth of those with 100.
    """
    results = {size: _measure(size, posts if size == 1 else posts // 10, repeats) for size in SIZES}
    head = ["contacts a post", "posts/s", "contacts/s", "p50 ms", "CPU µs/contact"]
    rows = [[size, *(f"{value:,.0f}" for value in one.values())] for size, one in results.items()]
    print(table([head, *rows]))
    keep("intake", {"results": results})
    return {"results": results, "holds": True}


def _measure(size: int, posts: int, repeats: int) -> dict[str, float]:
    """Return the medians of several runs, each with a new ledger."""
    measured = [_play(size, posts) for _ in range(repeats)]
    return {key: statistics.median(one[key] for one in measured) for key in measured[0]}


def _play(size: int, posts: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "scenario.toml").write_text(SCENARIO)
        with sandbox(folder / "scenario.toml", folder / "effects.jsonl") as running:
            posted = PostedRun(folder, running, _IDLE)
            process = posted.start()
            posted.client().deliver([])
            before = _cpu(process.pid)
            seconds, latencies = asyncio.run(_post_all(posted.port, size, posts))
            measured = _Measured(seconds, _cpu(process.pid) - before, latencies)
            posted.kill()
    return measured.figures(size)


async def _post_all(port: int, size: int, posts: int) -> tuple[float, list[float]]:
    requests = iter([_request(first, size) for first in range(0, posts * size, size)])
    latencies: list[float] = []
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(_connection(port, requests, latencies))
    return time.perf_counter() - began, latencies


async def _connection(port: int, requests: Iterator[bytes], latencies: list[float]) -> None:
    """Send one request after the other over one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for request in requests:
        began = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        await reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 202"):
            raise RuntimeError(f"a post was refused: {head!r}")
        latencies.append(time.perf_counter() - began)
    writer.close()
    await writer.wait_closed()


def _request(first: int, size: int) -> bytes:
    rows = [
        {"conversation_id": f"active-{number:08}", "external_contact_id": f"x-{number:08}",
         "first_name": "Ada", "city": "Rome"}
        for number in range(first, first + size)
    ]  # fmt: skip
    body = json.dumps(rows).encode()
    head = (
        f"POST /campaigns/{CAMPAIGN}/contacts HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _cpu(pid: int) -> float:
    """Return the CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
