"""The retry script, as people write it: check, send, five tries, a semaphore of 64, a done file.

It is careful where such scripts are: it checks the state again before each try, waits as long as
``Retry-After`` says, doubles its pauses otherwise, has a timeout, and writes who got the message
and who did not. It does not know what a request did that got no answer, so it tries again.
"""

import asyncio
import csv
import sys
from pathlib import Path

import aiohttp

from benchmarks.alternatives.process import Stopwatch, print_report

TRIES = 5
CONCURRENT = 64
TIMEOUT = aiohttp.ClientTimeout(total=5)


async def get_token(session: aiohttp.ClientSession) -> str:
    """Log in."""
    auth = aiohttp.encode_basic_auth("sandbox-client", "sandbox-secret")
    async with session.post(
        "/api/v2/oauth/token",
        data={"grant_type": "client_credentials"},
        headers={"Authorization": auth},
    ) as response:
        response.raise_for_status()
        return (await response.json())["access_token"]


async def send(session: aiohttp.ClientSession, row: dict[str, str]) -> None:
    """Check the session, then notify it or open a new one."""
    conversation = row["conversation_id"]
    text = f"Hello {row['first_name']}"
    async with session.get(f"/api/v2/conversations/messaging/{conversation}") as response:
        response.raise_for_status()
        state = await response.json()
    if state["state"] in ("active", "ringing"):
        url = f"/api/v2/conversations/messaging/{conversation}/notifications"
        body = {"text": text}
    else:
        url = "/api/v2/conversations/messaging"
        body = {
            "to": {"id": state["guest"]["id"], "type": "guest"},
            "externalContactId": state["externalContactId"],
            "previousConversationId": conversation,
            "message": {"text": text},
        }
    async with session.post(url, json=body) as response:
        response.raise_for_status()
        await response.json()


async def send_with_retries(
    session: aiohttp.ClientSession, semaphore: asyncio.Semaphore, row: dict[str, str]
) -> bool:
    """Try five times; return whether the message was sent."""
    async with semaphore:
        for attempt in range(TRIES):
            pause = 0.5 * 2**attempt
            try:
                await send(session, row)
            except aiohttp.ClientResponseError as error:
                if error.headers is not None and error.status == 429:
                    pause = float(error.headers.get("Retry-After", pause))
            except Exception:  # noqa: BLE001 - such scripts retry whatever happens
                pass
            else:
                return True
            if attempt < TRIES - 1:
                await asyncio.sleep(pause)
        return False


def write_results(folder: Path, rows: list[dict[str, str]], sent: list[bool]) -> None:
    """Write who got the message and who did not."""
    for name, wanted in (("done.csv", True), ("failed.csv", False)):
        with (folder / name).open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(row for row, was in zip(rows, sent, strict=True) if was is wanted)


async def main(base: str, contacts: Path) -> dict[str, float]:
    """Send to all contacts of the file."""
    watch = Stopwatch()
    with contacts.open(newline="") as file:
        rows = list(csv.DictReader(file))
    semaphore = asyncio.Semaphore(CONCURRENT)
    async with aiohttp.ClientSession(base, timeout=TIMEOUT) as session:
        session.headers["Authorization"] = f"Bearer {await get_token(session)}"
        sent = await asyncio.gather(*(send_with_retries(session, semaphore, row) for row in rows))
    write_results(contacts.parent, rows, sent)
    return watch.report(sum(sent))


if __name__ == "__main__":
    print_report(asyncio.run(main(sys.argv[1], Path(sys.argv[2]))))
