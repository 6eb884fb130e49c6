"""(b) How much of the quota the whole dispatcher uses, and how much is answered 429.

Against fixed windows at a random phase. The dispatcher has the configured rate alone; what the
platform reports in its headers, and who else uses the same client, it has to find out. Two rows
show what a limiter alone does: state checks that wait for an ``AsyncLimiter``, and nothing else.
"""

import concurrent.futures
import random
import signal
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import leader_change, limiter
from benchmarks.harness import keep, table
from tests.support import two_clients
from tests.support.scenario_runner import Play, play

STATE_AGE_SECONDS = 1.0
"""Promised 99th percentile of the time from a state's answer to the send that rests on it."""


@dataclass(frozen=True)
class Case:
    """A platform's quota per client and window, other users of it, and the promised shares.

    ``configured_window`` is the setting, where it is not the platform's own. ``limiter`` is what
    an ``AsyncLimiter`` alone is made with; such a row promises nothing. ``changes`` is the signal
    that ends the leader of two dispatchers again and again; while none leads the quota is not used,
    so such a row promises only how much is refused.
    """

    name: str
    allowed: int = 600
    window: float = 2.0
    headers: bool = True
    others: str = ""
    clients: int = 1
    used: float = 0.98
    throttled: float = 0.0001
    configured_window: float | None = None
    limiter: tuple[float, float] | None = None
    changes: signal.Signals | None = None

    def scenario(self, seed: int) -> str:
        """Return the sandbox's scenario."""
        phase = random.Random(seed).random() * self.window
        text = f"seed = {seed}\n[rate]\nallowed = {self.allowed}\nwindow_seconds = {self.window}\n"
        text += f"phase = {phase}\nheaders = {'true' if self.headers else 'false'}\n"
        if self.others:
            text += f'[rate.other]\nper_window = {self.allowed // 2}\nmode = "{self.others}"\n'
        if self.clients > 1:
            text += two_clients.SCENARIO
        text += '[latency.default]\nkind = "lognormal"\nms = 20.0\nmax_ms = 300.0\n'
        return text + "[world.shares]\nactive = 1\nended = 1\n"

    def holds(self, outcome: dict[str, Any]) -> bool:
        """Return whether a measured outcome keeps the promise."""
        if self.changes is not None:
            return bool(outcome["throttled"] <= self.throttled)
        return self.limiter is not None or (
            outcome["used"] >= self.used
            and outcome["throttled"] <= self.throttled
            and outcome["state_age_p99"] < STATE_AGE_SECONDS
        )

    @property
    def promise(self) -> str:
        """The promise in words."""
        if self.limiter is not None:
            return "-"
        if self.changes is not None:
            return f"<= {self.throttled:.2%}"
        return f">= {self.used:.0%}, <= {self.throttled:.2%}" if self.used else "p99 < 1 s"


CASES = (
    Case("headers"),
    Case("no headers", headers=False),
    Case("window learnt", configured_window=60.0),
    Case("other, steady", others="steady", used=0.90, throttled=0.01),
    Case("other, bursts", others="burst", used=0.90, throttled=0.01),
    Case("two clients", allowed=300, clients=2, used=0.97, throttled=0.001),
    Case("300 a minute", allowed=300, window=60.0, used=0.0),
    Case("leader drained", allowed=600, window=10.0, throttled=0.001, changes=signal.SIGTERM),
    Case("leader killed", allowed=600, window=10.0, throttled=0.001, changes=signal.SIGKILL),
    Case("AsyncLimiter(600, 2)", limiter=(600, 2.0)),
    Case("AsyncLimiter(1, 2 / 600)", limiter=(1, 2.0 / 600)),
)


def run(
    seconds: float = 60.0,
    seed: int | None = None,
    cases: Sequence[Case] = CASES,
    at_a_time: int = 1,
) -> dict[str, Any]:
    """Measure the cases, print the table, and return the result."""
    start = random.randrange(1_000_000) if seed is None else seed
    with concurrent.futures.ThreadPoolExecutor(at_a_time) as pool:
        outcomes = list(
            pool.map(lambda at: _measure(at[1], seconds, start + at[0]), enumerate(cases))
        )
    rows: list[list[object]] = [["case", "windows", "used", "429", "state.age p99", "promised"]]
    for case, outcome in zip(cases, outcomes, strict=True):
        used = f"{outcome['used']:.1%}" if outcome["windows"] else "-"
        age = "-" if case.limiter or case.changes else f"{outcome['state_age_p99']:.3f} s"
        throttled = f"{outcome['throttled']:.2%}"
        rows.append([case.name, outcome["windows"], used, throttled, age, case.promise])
    print(table(rows))
    holds = all(case.holds(outcome) for case, outcome in zip(cases, outcomes, strict=True))
    result = {"seconds": seconds, "seed": start, "cases": outcomes, "holds": holds}
    keep("quota", result)
    return result


def _measure(case: Case, seconds: float, seed: int) -> dict[str, Any]:
    settings = {
        "platform.requests_per_minute": round(case.allowed * 60 / case.window),
        "platform.window_seconds": case.configured_window or case.window,
        "telemetry.log_level": "warning",
    }
    if case.changes is not None:
        return _measure_changes(case, settings, seconds, seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "scenario.toml"
        path.write_text(case.scenario(seed))
        count = int(case.clients * case.allowed / case.window * seconds) + 500
        with play(folder, path, count, settings, seed=seed) as played:
            if case.clients > 1:
                two_clients.use_two_clients(played)
            if case.limiter is not None:
                limiter.run(played.sandbox.url, *case.limiter, seconds + 1.0)
                counts, ages = played.sandbox.counts(), []
            else:
                counts, ages = _run_dispatcher(played, seconds)
    return {"case": case.name, **_shares(counts), "state_age_p99": _p99(ages) / 1000.0}


def _measure_changes(
    case: Case, settings: dict[str, Any], seconds: float, seed: int
) -> dict[str, Any]:
    assert case.changes is not None
    count = int(case.allowed / case.window * seconds) + 500
    del settings["telemetry.log_level"]  # what the leaders log is how they are known
    found = leader_change.measure(
        case.scenario(seed), settings, by=case.changes, seconds=seconds, seed=seed, count=count
    )
    shares = _shares(found["counts"])
    return {"case": case.name, **shares, "changes": found["changes"], "state_age_p99": 0.0}


def _run_dispatcher(played: Play, seconds: float) -> tuple[dict[str, Any], list[float]]:
    """Return the sandbox's counts, and the ages of states in milliseconds in order."""
    process = played.start("--once")
    time.sleep(seconds + 1.0)
    counts = played.sandbox.counts()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    played.metrics.settle()
    return counts, sorted(played.metrics.samples("dispatcher.state.age"))


def _shares(counts: dict[str, Any]) -> dict[str, float]:
    """Share used and share refused, over complete windows that the run filled from the start.

    Each client has windows of its own; the shares are those of all together.
    """
    others = counts.get("clients", {}).values()
    by_client = [counts["windows"], *(client["windows"] for client in others)]
    windows = [window for windows in by_client for window in windows]
    whole = [w for windows in by_client for w in [w for w in windows if w["complete"]][1:]]
    offered = sum(window["allowed"] - window["other"] for window in whole)
    accepted = sum(window["accepted"] for window in whole)
    refused = sum(window["refused"] for window in windows)
    sent = refused + sum(window["accepted"] for window in windows)
    return {
        "windows": len(whole),
        "used": accepted / offered if offered else 0.0,
        "throttled": refused / sent if sent else 0.0,
    }


def _p99(ordered: list[float]) -> float:
    return ordered[int(len(ordered) * 0.99)] if ordered else 0.0
