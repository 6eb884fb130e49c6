"""State checks with nothing but a limiter: its cost without a view of the windows."""

import asyncio
import time
from itertools import count

import aiohttp
import orjson
import uvloop
from aiolimiter import AsyncLimiter

from benchmarks.bare import PATH, fetch_token

WORKERS = 64


def run(base: str, max_rate: float, period: float, seconds: float) -> None:
    """Make state checks for so long, with ``AsyncLimiter(max_rate, period)``."""
    uvloop.run(_check_all(base, AsyncLimiter(max_rate, period), seconds))


async def _check_all(base: str, limiter: AsyncLimiter, seconds: float) -> None:
    headers = {"Authorization": f"Bearer {await fetch_token(base)}"}
    numbers, end = count(), time.monotonic() + seconds
    async with aiohttp.ClientSession(base, headers=headers) as session:
        workers = (_worker(session, limiter, numbers, end) for _ in range(WORKERS))
        await asyncio.gather(*workers)


async def _worker(
    session: aiohttp.ClientSession, limiter: AsyncLimiter, numbers: "count[int]", end: float
) -> None:
    while time.monotonic() < end:
        async with limiter, session.get(f"{PATH}/ended-{next(numbers)}") as answer:
            await answer.json(loads=orjson.loads)
            if answer.status == 429:
                await asyncio.sleep(float(answer.headers["Retry-After"]))
