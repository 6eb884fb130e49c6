"""A quota whose leader changes in the middle of windows: the next one finds a part of it used."""

import signal
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

from tests.support.servers.postgres import postgres
from tests.support.two_daemons import TwoDaemons, stop, two_daemons

LEASE_SECONDS = 3.0
WORKERS = 32


def measure(
    scenario: str, settings: dict[str, Any], *, by: signal.Signals, seconds: float, seed: int,
    count: int,
) -> dict[str, Any]:  # fmt: skip
    """Return the sandbox's counts after ``seconds`` in which the leader changed again and again.

    It is ended by the signal ``by`` at random moments; its standby leads then, and another one is
    started.
    """
    with tempfile.TemporaryDirectory(prefix="leaders-") as name, postgres(fsync=True) as server:
        more = {"lease_seconds": LEASE_SECONDS}
        with two_daemons(Path(name), server.database(), platform=scenario, **more) as pair:
            pair.settings = {"engine.workers": WORKERS, "telemetry.log_level": "info", **settings}
            pair.write(count, seed)
            pair.start()
            pair.wait_for_leader()
            pair.start()
            changes = _change(pair, by, time.monotonic() + seconds, Random(seed))
            return {"changes": changes, "counts": pair.sandbox.counts()}


def _change(pair: TwoDaemons, by: signal.Signals, end: float, dice: Random) -> int:
    """Let the leader change until the end; return how often it did."""
    changes = 0
    while True:
        pair.wait_for_standby(pair.daemons[-1])
        leader = pair.wait_for_leader()
        time.sleep(3.0 + 4.0 * dice.random())
        if time.monotonic() > end:
            return changes
        stop(leader, by)
        pair.wait_for_leader(leader)
        changes += 1
        pair.start()
