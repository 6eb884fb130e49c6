"""How much of the quota the pacer uses, and how much is answered 429.

Real requests over loopback to sandbox processes with fixed windows at a random phase:

    python benchmarks/quota.py --seconds 60 --out quota.json

All cases run at the same time, each with its own sandbox and its own pacer; every contact is
a state check and then a notify. Exit code 1 if a figure is worse than promised.
"""

import argparse
import asyncio
import itertools
import json
import random
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

from dispatcher.domain.answer import Reading
from dispatcher.domain.status import Step
from dispatcher.engine.clock import SystemClock
from dispatcher.engine.pacing import QuotaPacer

ROOT = Path(__file__).resolve().parents[1]
PATH = "/api/v2/conversations/messaging"
BASIC = "Basic " + b64encode(b"sandbox-client:sandbox-secret").decode()


@dataclass(frozen=True)
class Case:
    """What the platform allows, who else is there, and what is promised for that."""

    name: str
    quota: int = 600
    period: float = 2.0
    headers: bool = True
    others: str = ""
    used: float = 0.97
    throttled: float = 0.001
    state_age: float = 1e9

    def scenario(self, latency_ms: float, seed: int) -> str:
        """Return the sandbox's scenario; the random phase comes from ``seed``."""
        phase = random.Random(seed).random() * self.period
        text = f"seed = {seed}\n[rate]\nallowed = {self.quota}\nwindow_seconds = {self.period}\n"
        text += f"phase = {phase}\nheaders = {'true' if self.headers else 'false'}\n"
        if self.others:
            text += f'[rate.other]\nper_window = {self.quota // 2}\nmode = "{self.others}"\n'
        text += f'[latency.default]\nkind = "lognormal"\nms = {latency_ms}\nmax_ms = 300.0\n'
        return text


CASES = (
    Case("headers"),
    Case("no headers", headers=False),
    Case("other, steady", others="steady", used=0.90, throttled=0.01),
    Case("other, bursts", others="burst", used=0.90, throttled=0.01),
    Case("300 a minute", quota=300, period=60.0, state_age=1.0),
)


@dataclass
class Outcome:
    """What one case came to; ``state_age`` is the 99th percentile in seconds."""

    name: str
    used: float = 0.0
    throttled: float = 0.0
    requests: int = 0
    refused: int = 0
    state_age: float = 0.0
    good: bool = False


class Driver:
    """Workers that check and send for as long as the case lasts."""

    def __init__(self, case: Case, url: str, session: aiohttp.ClientSession) -> None:
        self.ages: list[float] = []
        self._pacer = QuotaPacer(case.quota, case.period, SystemClock())
        self._url = url
        self._session = session
        self._numbers = itertools.count()
        self._headers: dict[str, str] = {}

    async def run(self, seconds: float, workers: int) -> None:
        """Drive the platform, then let the answers on the wire come in."""
        await self._authorize()
        tasks = [asyncio.create_task(self._work()) for _ in range(workers)]
        await asyncio.sleep(seconds)
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if not isinstance(result, asyncio.CancelledError) and result is not None:
                raise result

    async def _authorize(self) -> None:
        async with self._session.post(
            self._url + "/api/v2/oauth/token",
            headers={"Authorization": BASIC},
            data={"grant_type": "client_credentials"},
        ) as answer:
            body = await answer.json()
            self._headers = {"Authorization": "Bearer " + body["access_token"]}

    async def _work(self) -> None:
        while True:
            path = f"{self._url}{PATH}/active-{next(self._numbers)}"
            await self._call(Step.CHECK, "GET", path)
            answered = time.monotonic()
            await self._call(
                Step.NOTIFY, "POST", path + "/notifications", {"text": "Hello"}, since=answered
            )

    async def _call(
        self,
        step: Step,
        method: str,
        url: str,
        body: dict[str, str] | None = None,
        since: float | None = None,
    ) -> None:
        permit = await self._pacer.permit(step)
        assert permit is not None
        if since is not None:
            self.ages.append(time.monotonic() - since)
        async with self._session.request(method, url, json=body, headers=self._headers) as answer:
            await answer.read()
            permit.answered(reading_of(answer.headers))
            if answer.status == 429:
                self._pacer.hold(None, float(answer.headers["Retry-After"]))


def reading_of(headers: Any) -> Reading | None:
    """Return the platform's count, if it told."""
    if "inin-ratelimit-count" not in headers:
        return None
    names = ("count", "allowed", "reset")
    return Reading(*(int(headers[f"inin-ratelimit-{name}"]) for name in names))


async def run_case(case: Case, args: argparse.Namespace, folder: Path) -> Outcome:
    """Run one case against a sandbox of its own."""
    scenario = folder / f"{case.name.replace(' ', '-')}.toml"
    scenario.write_text(case.scenario(args.latency_ms, args.seed))
    command = (sys.executable, "-m", "dispatcher", "sandbox", "--ready-json", "--port", "0")
    process = await asyncio.create_subprocess_exec(
        *command, "--scenario", str(scenario), cwd=ROOT, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        ready = json.loads(await asyncio.wait_for(process.stdout.readline(), 20))
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            driver = Driver(case, ready["url"], session)
            started = time.time()
            await driver.run(args.seconds, args.workers)
            span = (started, time.time())
            async with session.get(ready["control_url"] + "/sandbox/counts") as answer:
                counts = await answer.json()
        return judge(case, counts["windows"], span, driver.ages)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def judge(
    case: Case, windows: list[dict[str, Any]], span: tuple[float, float], ages: list[float]
) -> Outcome:
    """Add up. Of a window that was cut by the start, others' use counts by its share of time.

    The quota offered is the time's share too: who starts in the middle of a long window and
    uses all that is left of it gets above 100%.
    """
    seconds = span[1] - span[0]
    other = float(sum(window["other"] for window in windows[1:]))
    inside = min(windows[0]["start"] + case.period, span[1]) - span[0]
    other += windows[0]["other"] * min(inside / case.period, 1.0)
    accepted = sum(window["accepted"] for window in windows)
    refused = sum(window["refused"] for window in windows)
    offered = case.quota * seconds / case.period - other
    outcome = Outcome(case.name, accepted / offered, requests=accepted + refused, refused=refused)
    outcome.throttled = refused / max(outcome.requests, 1)
    ages.sort()
    outcome.state_age = ages[int(0.99 * len(ages))] if ages else 0.0
    outcome.good = (
        outcome.used >= case.used
        and outcome.throttled <= case.throttled
        and outcome.state_age < case.state_age
    )
    return outcome


def show(outcomes: list[Outcome]) -> None:
    """Print the table."""
    print(f"{'case':16}{'used':>8}{'429':>9}{'requests':>10}{'refused':>9}{'age p99':>10}")
    for one in outcomes:
        print(
            f"{one.name:16}{one.used:>8.2%}{one.throttled:>9.3%}{one.requests:>10}"
            f"{one.refused:>9}{one.state_age:>8.3f} s  {'ok' if one.good else 'WORSE'}"
        )


async def main(args: argparse.Namespace) -> int:
    """Run all cases at the same time."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        outcomes = await asyncio.gather(*(run_case(case, args, folder) for case in CASES))
    show(outcomes)
    rows = [asdict(one) for one in outcomes]
    text = json.dumps({"settings": vars(args), "cases": rows}, indent=2, default=str)
    if args.out:
        await asyncio.to_thread(Path(args.out).write_text, text + "\n")
    else:
        print(text)
    return 0 if all(one.good for one in outcomes) else 1


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--latency-ms", type=float, default=20.0, help="median of the platform's")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    parser.add_argument("--out", help="write the JSON to this file instead of printing it")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(uvloop.run(main(arguments())))
