"""A world in which runs are killed: a sandbox, a ledger, files of contacts, and who kills."""

import csv
import itertools
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dispatcher.sandbox.contact_files import write_contacts
from tests.support.crash_arguments import campaigns_file, run_arguments
from tests.support.crash_faults import FAULTS, play_fault
from tests.support.crash_launcher import Launcher
from tests.support.crash_ledgers import WorldLedger, ledger_for
from tests.support.crash_platform import (
    LAG_SECONDS,
    LATE_SECONDS,
    SHARES,
    SKEW_SECONDS,
    STRAGGLER_SECONDS,
    TIMEOUT_SECONDS,
    scenario,
)
from tests.support.crash_points import DRAIN, ROTATION
from tests.support.crash_sources import Remote, remote_for
from tests.support.crash_verdict import Verdict, compare
from tests.support.sandbox_process import SandboxProcess, sandbox

NO_STATSD = 9
ENDS = (0, 10, 11)
"""Exit codes of runs that came to their end: all done, some left for later, halted."""
ROUNDS = 4
"""How often the last runs are made, until no contact is left for later."""
LAST_RUN_SECONDS = 20.0
WAIT_SECONDS, PATIENT_SECONDS = 6.0, 90.0
"""How long last runs wait for contacts that are due later, and the very last of several.

A run that was slowed down plans looks at closed sessions far ahead; after its end nobody knows that
they may come earlier.
"""
RANDOM_SECONDS = 0.5
"""The time within which a random kill comes."""
LARGE_FILE = 400
"""Rows of a file that is renamed in its middle, or whose rows a drain finds waiting."""


@dataclass
class World:
    """One ledger, and all that happens to the runs that work on it."""

    folder: Path
    sandbox: SandboxProcess
    launcher: Launcher
    source: str
    ledger: WorldLedger
    campaigns: tuple[str, ...] = ("crash",)
    per_cycle: int = 100
    broken: str = ""
    power_cut: bool = False
    stragglers: bool = False
    stopped_seconds: float = 0.0
    """How long each run does nothing between an intent and its request."""
    seed: int = 1
    dialect: str = "messaging"
    first_call: str = "check"
    remote: Remote | None = None
    """The server to which the files of contacts are copied; None if the runs read the files."""
    kills: int = 0
    faults: int = 0
    fed: int = 0
    killed_at: set[str] = field(default_factory=set)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _code: int | None = None
    """How the last run has ended; None if it still runs."""

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.inputs.mkdir()
        if len(self.campaigns) > 1:
            self.config.write_text(campaigns_file(self))

    @property
    def inputs(self) -> Path:
        """Where the files of contacts are."""
        return self.folder / "in"

    @property
    def config(self) -> Path:
        """The configuration of several campaigns."""
        return self.folder / "campaigns.toml"

    def feed(self, count: int | None = None, name: str = "") -> Path:
        """Put a file of contacts where the source looks for it, by renaming it."""
        number = next(self._numbers)
        path = self.inputs / (name or f"{number:05}.csv")
        count = self.per_cycle if count is None else count
        self.fed += count
        shares = {kind: float(weight) for kind, weight in SHARES.items()}
        part = path.with_name(path.name + ".part")
        self._write(part, count, shares, self.seed * 100_000 + number)
        part.rename(path)
        if self.remote is not None:
            self.remote.publish(path)
        return path

    def append(self, count: int) -> None:
        """Let the one file of contacts grow in its place."""
        more = self.feed(count, "more.part")
        with (self.inputs / "all.csv").open("a", newline="") as file:
            file.writelines(more.read_text().splitlines(keepends=True)[1:])
        more.unlink()

    def kill(self, point: str = "", nth: int = 1, settles: int = 0, seconds: float = 20.0) -> bool:
        """Run until the point, or until a random moment without one; True if it died there.

        A run that does not end in time is killed all the same, at no point of its own. At a fault
        a run is not always killed: it may also have to go on.
        """
        if point in FAULTS:
            return self._play(point)
        if self.source != "file":
            self.feed(LARGE_FILE if point in ROTATION | DRAIN else None)
        spec = f"{point}:{nth}@{settles}" if point else "none"
        self._start(spec, ["--once"] if self._ends(point) else [])
        code = self._see_through(point, time.monotonic() + (seconds if point else 0.0))
        at_point = code == -signal.SIGKILL
        if code is None:
            self.launcher.kill()
            code = self.launcher.ended(10.0) or 0
        assert code in (*ENDS, -signal.SIGKILL), self.with_log(f"{spec}: ended with {code}")
        self._count(code)
        if at_point:
            self.killed_at.add(point)
        return at_point or not point

    def _play(self, fault: str) -> bool:
        happened = play_fault(self, fault)
        self.faults += happened
        if happened:
            self.killed_at.add(fault)
        return happened

    def _count(self, code: int) -> None:
        if code < 0:
            self.kills += 1
            self.ledger.run_is_dead()

    # what a fault does with a run

    def start(self, point: str = "", *, freezes: bool = False, launcher: Any = None) -> None:
        """Start a run that comes to its end, unless it reaches a point or is killed."""
        self._start(point or "none", ["--once"], freezes=freezes, launcher=launcher)

    def has_ended(self) -> bool:
        """Whether the run has ended by itself."""
        if self._code is None:
            self._code = self.launcher.ended(0.0)
        return self._code is not None

    def kill_soon(self) -> None:
        """Kill the run at a moment of chance, unless it ends before."""
        time.sleep(self.dice.random() * RANDOM_SECONDS)
        self.kill_now()

    def kill_now(self) -> None:
        """Kill the run, unless it has ended."""
        if not self.has_ended():
            self.launcher.kill()
            self._code = self.launcher.ended(10.0)
        self._count(self._code or 0)

    def must_end(self, seconds: float, words: str) -> None:
        """Wait for the end of a run, which must be a good one.

        It does not come if no message takes effect for ``seconds``.
        """
        before = -1
        while self._code is None and (effects := self.sandbox.counts()["effects"]) > before:
            self._code, before = self.launcher.ended(seconds), effects
        assert self._code in ENDS, self.with_log(f"{words}: the run ended with {self._code}")

    def live(self) -> None:
        """Let one run come to its end, faults and all: its own doubts are settled by itself."""
        self.feed(LARGE_FILE)
        self._left("", LAST_RUN_SECONDS)

    def end(self) -> None:
        """End a run that is under way, whatever it does."""
        if self.launcher.pid:
            self.launcher.kill()
            self.launcher.ended(10.0)

    def finish(self, rounds: int = ROUNDS, seconds: float = LAST_RUN_SECONDS) -> Verdict:
        """Switch the faults off, let every campaign come to its end, and compare.

        Before each round the bounds of reconciliation go by, and some more contacts come: only a
        message that is taken later shows that one of before was not. A last run comes to no end
        if no message takes effect for ``seconds``.
        """
        self.sandbox.post("faults", faults=[])
        self.ledger.heal()
        while self.sandbox.counts()["pending_effects"]:
            time.sleep(0.1)
        for part in self.inputs.glob("*.part"):
            part.rename(part.with_suffix(""))
        for number in range(1, rounds + 1):
            lag = STRAGGLER_SECONDS if self.stragglers else LAG_SECONDS
            time.sleep(TIMEOUT_SECONDS + LATE_SECONDS + lag + SKEW_SECONDS)
            wait = PATIENT_SECONDS if number == rounds > 1 else WAIT_SECONDS
            if not self._last_runs(number, seconds, wait):
                break
        effects = self.sandbox.effects()
        verdict = compare(self.ledger, self.campaigns, self.rows(), effects)
        verdict.note_stalls(self.sandbox.counts()["stalls"], effects)
        return verdict

    def _last_runs(self, number: int, seconds: float, wait: float) -> bool:
        """Let every campaign run to its end; True if contacts are left for later."""
        if self.source != "file":
            self.feed(20, f"control-{number}.csv")
            return self._left("", seconds, wait)
        control = self.feed(20, f"z-control-{number}.csv")
        files = (str(control), str(self.inputs / "all.csv"))
        left = [self._left(source, seconds, wait) for source in files]
        return any(left)

    def _left(self, source: str, seconds: float, wait: float = WAIT_SECONDS) -> bool:
        """Run to the end; True if contacts are left for later, or it comes to no end.

        It waits ``wait`` seconds for those that are due later.
        """
        approved = [
            "--set",
            "rules.halt_suspicious=false",
        ]  # what many kills left is mostly refused
        self._start("none", ["--once", "--wait-limit", f"{wait:g}", *approved], source)
        code, before = None, -1
        while code is None and (effects := self.sandbox.counts()["effects"]) > before:
            code, before = self.launcher.ended(seconds + wait), effects
        if code is None:
            self.end()
            return True
        assert code in (0, 10), self.with_log(f"the last run ended with {code}")
        return code == 10

    def _see_through(self, point: str, deadline: float) -> int | None:
        """Do to a run what its point needs; None if it still runs in the end."""
        code = self.launcher.ended(0.0 if point else 0.05 + self.dice.random() * RANDOM_SECONDS)
        while code is None and time.monotonic() < deadline:
            code = self.launcher.ended(0.1)
            if code is None and point.startswith("token."):
                self.sandbox.post("expire_tokens")
            if code is None and self.source == "folder":
                self._trickle()
        return code

    def _trickle(self) -> None:
        """Let a file be written under a temporary name, and take its own while a run looks on."""
        part = self.inputs / "slow.csv.part"
        if part.exists():
            part.rename(self.inputs / f"slow-{next(self._numbers):05}.csv")
            return
        shares = {kind: float(weight) for kind, weight in SHARES.items()}
        seed = self.seed * 100_000 + next(self._numbers)
        self._write(part, 20, shares, seed)
        self.fed += 20

    def _write(self, path: Path, count: int, shares: dict[str, float], seed: int) -> None:
        learns = self.first_call == "learn"
        write_contacts(path, count=count, shares=shares, seed=seed, with_sessions=learns)

    def _ends(self, point: str) -> bool:
        return point not in DRAIN and self.source != "folder"

    def _start(
        self, spec: str, more: list[str], source: str = "", *, freezes: bool = False,
        launcher: Launcher | None = None,
    ) -> None:  # fmt: skip
        argv = run_arguments(self, spec, source)
        if self.ledger.kind != "file":  # beside a file the socket is where the ledger is
            socket = self.folder / ("run.sock" if launcher is None else "other.sock")
            more = [*more, "--set", f"control.socket={socket}"]
        request = {"spec": spec, "argv": [*argv, *more], "output": str(self.folder / "output.txt")}
        how = {"power_cut": self.power_cut, "stopped_seconds": self.stopped_seconds}
        how |= {"broken": self.broken, "ledger": self.ledger.kind, "freezes": freezes}
        if launcher is None:
            self._code = None
        (launcher or self.launcher).start({**request, **how})

    def rows(self) -> Iterator[str]:
        """The conversations of all files of contacts."""
        for path in self.inputs.iterdir():
            with path.open(newline="") as lines:
                yield from (row["conversation_id"] for row in csv.DictReader(lines))

    def with_log(self, words: str) -> str:
        """Add what the runs have written."""
        output = self.folder / "output.txt"
        return f"{words}\n{output.read_text()[-2000:] if output.exists() else ''}"


@contextmanager
def world(
    folder: Path, source: str, launcher: Launcher, *, beyond: bool = False, **more: Any
) -> Iterator[World]:
    """Set a world up; a ``file`` gets all its contacts now, ``contacts`` of them."""
    contacts, kind = more.pop("contacts", 0), more.pop("ledger", "file")
    standby = {name: more.pop(name) for name in ("replicated", "synchronous") if name in more}
    path = folder / "scenario.toml"
    stragglers = more.get("stragglers", False)
    path.write_text(scenario(beyond=beyond, stragglers=stragglers, seed=more.get("seed", 1)))
    log, dialect = folder / "effects.jsonl", more.get("dialect", "messaging")
    with (
        sandbox(path, log, "--dialect", dialect) as running,
        remote_for(source, folder) as remote,
        ledger_for(kind, folder, **standby) as ledger,
    ):
        made = World(folder, running, launcher, source, ledger, remote=remote, **more)
        if source == "file":
            made.feed(contacts, "all.csv")
        try:
            yield made
        finally:
            made.end()
