"""The bare loop: the same two requests a contact with aiohttp, and nothing else.

It reads the contacts' file, asks each state, and sends into the open sessions or opens a linked
conversation. No ledger, no pace, no metrics, no log: what is lost at a crash is lost.
"""

import asyncio
import csv
import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import orjson
import uvloop

PATH = "/api/v2/conversations/messaging"


async def worker(
    session: aiohttp.ClientSession, base: str, rows: Iterator[dict[str, str]], done: list[int]
) -> None:
    """Take contacts until there are none."""
    for row in rows:
        conversation = row["conversation_id"]
        text = f"Hello {row['first_name']}"
        async with session.get(f"{base}{PATH}/{conversation}") as answer:
            state = await answer.json(loads=orjson.loads)
        if state["state"] in ("active", "ringing"):
            url, body = f"{base}{PATH}/{conversation}/notifications", {"text": text}
        else:
            url = base + PATH
            body = {
                "to": {"id": state["guest"]["id"], "type": "guest"},
                "externalContactId": state["externalContactId"],
                "previousConversationId": conversation,
                "message": {"text": text},
            }
        async with session.post(url, json=body) as answer:
            answer.raise_for_status()
            await answer.json(loads=orjson.loads)
        done[0] += 1


async def fetch_token(base: str) -> str:
    """Return a bearer token of the sandbox."""
    token_request = {"grant_type": "client_credentials"}
    basic = {"Authorization": aiohttp.encode_basic_auth("sandbox-client", "sandbox-secret")}
    async with aiohttp.ClientSession() as session:
        url = base + "/api/v2/oauth/token"
        async with session.post(url, data=token_request, headers=basic) as answer:
            return (await answer.json())["access_token"]


async def main(base: str, contacts: Path, workers: int) -> dict[str, float]:
    """Send to all contacts of the file."""
    headers = {"Authorization": f"Bearer {await fetch_token(base)}"}
    connector = aiohttp.TCPConnector(limit=workers)
    done = [0]
    with contacts.open(newline="") as lines:
        rows = iter(csv.DictReader(lines))
        start, cpu = time.perf_counter(), _cpu()
        async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
            await asyncio.gather(*(worker(session, base, rows, done) for _ in range(workers)))
    seconds = time.perf_counter() - start
    return {"contacts": done[0], "seconds": seconds, "cpu_seconds": _cpu() - cpu}


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    result = uvloop.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
    print(json.dumps(result))
