"""The bare loop with httpx in place of aiohttp: the same two requests, 64 at a time, no retries."""

import asyncio
import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import uvloop

from benchmarks.alternatives.calls import CALLS, CLIENT, TIMEOUT_SECONDS, Calls
from benchmarks.alternatives.process import Stopwatch, print_report


async def worker(
    client: httpx.AsyncClient, calls: Calls, rows: Iterator[dict[str, str]], done: list[int]
) -> None:
    """Take contacts until there are none; what is not accepted at once is left out."""
    for row in rows:
        try:
            answer = await client.get(calls.check_path(row))
            if answer.status_code != 200:
                continue
            path, body = calls.send(row, answer.json())
            answer = await client.post(path, json=body)
            if not answer.is_success:
                continue
            answer.json()
        except httpx.HTTPError:
            continue
        done[0] += 1


async def main(base: str, contacts: Path, workers: int, dialect: str) -> dict[str, float]:
    """Send to all contacts of the file."""
    calls, done = CALLS[dialect], [0]
    limits = httpx.Limits(max_connections=workers, max_keepalive_connections=workers)
    with contacts.open(newline="") as lines:
        rows = iter(csv.DictReader(lines))
        async with httpx.AsyncClient(
            base_url=base, limits=limits, timeout=TIMEOUT_SECONDS, trust_env=False
        ) as client:
            token_request = {"grant_type": "client_credentials"}
            answer = await client.post(calls.token_path, data=token_request, auth=CLIENT)
            client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
            watch = Stopwatch()
            await asyncio.gather(*(worker(client, calls, rows, done) for _ in range(workers)))
    return watch.report(done[0])


if __name__ == "__main__":
    base, contacts, workers, dialect = sys.argv[1:]
    print_report(uvloop.run(main(base, Path(contacts), int(workers), dialect)))
