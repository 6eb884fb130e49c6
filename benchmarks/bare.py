"""The bare loop: the same two requests a contact with aiohttp, and nothing else.

It reads the contacts' file, asks each state, and sends into the open sessions or opens a linked
conversation. No ledger, no pace, no metrics, no log: what is lost at a crash is lost. Whatever is
not accepted at the first try is left out.
"""

import asyncio
import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import orjson
import uvloop

from benchmarks.alternatives.calls import CALLS, CLIENT, TIMEOUT_SECONDS, Calls
from benchmarks.alternatives.process import Stopwatch, print_report

PATH = "/api/v2/conversations/messaging"


async def worker(
    session: aiohttp.ClientSession, calls: Calls, rows: Iterator[dict[str, str]], done: list[int]
) -> None:
    """Take contacts until there are none."""
    for row in rows:
        try:
            async with session.get(calls.check_path(row)) as answer:
                if answer.status != 200:
                    continue
                state = await answer.json(loads=orjson.loads)
            path, body = calls.send(row, state)
            async with session.post(path, json=body) as answer:
                if answer.status >= 300:
                    continue
                await answer.json(loads=orjson.loads)
        except (aiohttp.ClientError, TimeoutError):
            continue
        done[0] += 1


async def fetch_token(base: str, path: str = "/api/v2/oauth/token") -> str:
    """Return a bearer token of the sandbox."""
    token_request = {"grant_type": "client_credentials"}
    basic = {"Authorization": aiohttp.encode_basic_auth(*CLIENT)}
    async with (
        aiohttp.ClientSession() as session,
        session.post(base + path, data=token_request, headers=basic) as answer,
    ):
        return (await answer.json())["access_token"]


async def main(base: str, contacts: Path, workers: int, dialect: str) -> dict[str, float]:
    """Send to all contacts of the file."""
    calls = CALLS[dialect]
    headers = {"Authorization": f"Bearer {await fetch_token(base, calls.token_path)}"}
    connector = aiohttp.TCPConnector(limit=workers)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    done = [0]
    with contacts.open(newline="") as lines:
        rows = iter(csv.DictReader(lines))
        watch = Stopwatch()
        async with aiohttp.ClientSession(
            base, connector=connector, headers=headers, timeout=timeout
        ) as session:
            await asyncio.gather(*(worker(session, calls, rows, done) for _ in range(workers)))
    return watch.report(done[0])


if __name__ == "__main__":
    dialect = sys.argv[4] if len(sys.argv) > 4 else "messaging"
    print_report(uvloop.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), dialect)))
