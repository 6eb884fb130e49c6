"""Kills, stops and drains the leader of two dispatchers, and counts what each contact got.

``python -m tests.support.failover --kills 50`` starts a PostgreSQL, a sandbox and two dispatchers.
It kills the leader at random moments, and starts it again, so that it is the standby. Then it does
the same with SIGSTOP for longer than the lease, and with SIGTERM. It ends with exit code 1 if a
contact got two messages or none, if more were in doubt than were in flight, or if a takeover took
longer than the lease and two seconds.
"""

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import quantiles

from tests.support.servers.postgres import postgres
from tests.support.two_daemons import WITNESS_SEED, Daemon, TwoDaemons, stop, two_daemons

SLACK_SECONDS = 2.0
"""What a takeover after a kill may take beyond the lease."""
HANDOVER_SECONDS = 2.0
"""What a takeover from a leader that is drained may take after its end."""
WORKERS = 16
MS = 200.0
"""How long a request takes, so that some sends are always in flight."""
LEASE_LOST = 17
LAST_SECONDS = 240.0
FILE, ALWAYS_LEFT = 2000, 1500
"""Contacts of a file; another one comes before fewer are left than a change of the leader takes."""


@dataclass
class Takeovers:
    """How long the takeovers of one kind took, in seconds, and the doubts that they left."""

    name: str
    limit: float
    seconds: list[float] = field(default_factory=list)
    first_send: list[float] = field(default_factory=list)
    in_doubt: list[int] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)

    def line(self) -> str:
        """Return the figures as a line of the report."""
        if not self.seconds:
            return f"{self.name}: none"
        p50, p99 = at_percent(self.seconds, 50), at_percent(self.seconds, 99)
        sends = at_percent(self.first_send, 50), at_percent(self.first_send, 99)
        doubts = f"{max(self.in_doubt)} most, {sum(self.in_doubt)} together"
        return (
            f"{self.name}: {len(self.seconds)}; takeover p50 {p50:.2f} s, p99 {p99:.2f} s, most "
            f"{max(self.seconds):.2f} s (limit {self.limit:g} s); first answer to the new leader "
            f"p50 {sends[0]:.2f} s, p99 {sends[1]:.2f} s; in doubt {doubts}"
        )

    def problems(self) -> list[str]:
        """Say what is wrong."""
        late = [f"{one:.2f}" for one in self.seconds if one > self.limit]
        doubts = [str(one) for one in self.in_doubt if one > WORKERS]
        return [
            *([f"{self.name}: too late: {', '.join(late)} s"] if late else []),
            *([f"{self.name}: in doubt beyond {WORKERS}: {', '.join(doubts)}"] if doubts else []),
        ]


def at_percent(values: Sequence[float], percent: int) -> float:
    """Return a percentile of some values."""
    if len(values) == 1:
        return values[0]
    return quantiles(values, n=100, method="inclusive")[percent - 1]


def take_over(pair: TwoDaemons, takeovers: Takeovers, old: Daemon, since: float) -> Daemon:
    """Wait for the takeover from a leader that ended at ``since``, and note its figures."""
    new = pair.wait_for_leader(old, seconds=takeovers.limit + 20.0)
    takeovers.seconds.append(time.monotonic() - since)
    begun = len(pair.sandbox.effects())
    pair.until(lambda: len(pair.sandbox.effects()) > begun, "nothing is sent")
    takeovers.first_send.append(time.monotonic() - since)
    pair.until(lambda: bool(new.events("run.started")), "its run has not started")
    takeovers.in_doubt.append(int(new.events("run.started")[-1]["in_doubt"]))
    return new


def wait_for_both(pair: TwoDaemons, standby: Daemon, dice: Random) -> Daemon:
    """Wait until one leads, the other one waits, and a random while has passed.

    The doubts of the last takeover must be over. Where the machine is busy, answers come too late
    and leave new ones meanwhile.
    """
    leader = pair.wait_for_leader()
    pair.wait_for_standby(standby)
    old = pair.in_doubt()
    pair.until(lambda: not old & pair.in_doubt(), "doubts are not resolved", 60.0)
    if pair.left() < ALWAYS_LEFT:
        pair.write(FILE, dice.randrange(WITNESS_SEED))
    time.sleep(dice.random())
    return leader


def play_kills(pair: TwoDaemons, kills: int, dice: Random) -> Takeovers:
    """Kill the leader so often, and start it again each time."""
    takeovers = Takeovers("kill -9", pair.lease_seconds + SLACK_SECONDS)
    for _ in range(kills):
        standby = pair.daemons[-1]
        leader = wait_for_both(pair, standby, dice)
        since = time.monotonic()
        stop(leader, signal.SIGKILL)
        take_over(pair, takeovers, leader, since)
        pair.start()
    return takeovers


def play_stops(pair: TwoDaemons, stops: int, dice: Random) -> Takeovers:
    """Stop the leader for longer than its lease, and let it go on."""
    takeovers = Takeovers("SIGSTOP", pair.lease_seconds + SLACK_SECONDS)
    for _ in range(stops):
        standby = pair.daemons[-1]
        leader = wait_for_both(pair, standby, dice)
        since = time.monotonic()
        stop(leader, signal.SIGSTOP)
        take_over(pair, takeovers, leader, since)
        time.sleep(dice.random())
        stop(leader, signal.SIGCONT)
        takeovers.codes.append(leader.ended()[0])
        pair.start()
    return takeovers


def play_handovers(pair: TwoDaemons, handovers: int, dice: Random) -> Takeovers:
    """Drain the leader; the time counts from its end."""
    takeovers = Takeovers("SIGTERM", HANDOVER_SECONDS)
    for _ in range(handovers):
        standby = pair.daemons[-1]
        leader = wait_for_both(pair, standby, dice)
        leader.process.terminate()
        takeovers.codes.append(leader.ended()[0])
        take_over(pair, takeovers, leader, time.monotonic())
        pair.start()
    return takeovers


def report(pair: TwoDaemons, played: Sequence[Takeovers]) -> list[str]:
    """Let the run come to its end, print the figures, and return what is wrong."""
    pair.finish(LAST_SECONDS)
    twice, lost, statuses = pair.twice(), pair.lost(), pair.statuses()
    for one in played:
        say(one.line())
    say(
        f"{pair.count():,} contacts, {len(pair.sandbox.effects()):,} messages: {len(twice)} twice, "
        f"{len(lost)} lost, {statuses['parked', 'in_doubt']} parked in doubt"
    )
    problems = [problem for one in played for problem in one.problems()]
    problems += [f"twice: {', '.join(twice[:5])}"] if twice else []
    problems += [f"lost: {', '.join(lost[:5])}"] if lost else []
    for name, code in (("SIGSTOP", LEASE_LOST), ("SIGTERM", 0)):
        codes = {found for one in played if one.name == name for found in one.codes}
        problems += [f"{name}: ended with {sorted(codes)}"] if codes - {code} else []
    return problems


def say(line: str) -> None:
    """Print a line of the report at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str]) -> int:
    """Play, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--stops", type=int, default=5)
    parser.add_argument("--handovers", type=int, default=5)
    parser.add_argument("--lease", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args(arguments)
    say(f"seed {options.seed}")
    dice = Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="failover-") as name, postgres(fsync=True) as server:
        folder = Path(name)
        more = {"lease_seconds": options.lease, "per_second": 30}
        with two_daemons(folder, server.database(), seed=options.seed, ms=MS, **more) as pair:
            pair.settings = {"engine.workers": WORKERS}
            pair.write(FILE, dice.randrange(WITNESS_SEED))
            pair.start()
            pair.wait_for_leader()
            pair.start()
            played = [
                play_kills(pair, options.kills, dice),
                play_stops(pair, options.stops, dice),
                play_handovers(pair, options.handovers, dice),
            ]
            problems = report(pair, played)
    for problem in problems:
        say(f"WRONG: {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
