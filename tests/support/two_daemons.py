"""Two dispatchers with one configuration, on one ledger in PostgreSQL, and who of them leads."""

import csv
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dispatcher.sandbox.contact_files import write_contacts
from tests.support.crash_platform import LAG_SECONDS, LATE_SECONDS, SKEW_SECONDS
from tests.support.forked_process import Forked, clean_environment
from tests.support.lazy_imports import Lazily
from tests.support.sandbox_process import SandboxProcess, sandbox
from tests.support.scenario_runner import CREDENTIALS, QUICK
from tests.support.servers.postgres import USER, PostgresDatabase

psycopg = Lazily("psycopg")

NO_STATSD = 9
TIMEOUT_SECONDS = 1.5
WITNESSES, ROUNDS = 5, 4
WITNESS_SEED = 900_000_000
SCENARIO = """
seed = {seed}
[rate]
allowed = {allowed}
window_seconds = 1.0
[latency.default]
kind = "lognormal"
ms = {ms}
max_ms = 500.0
[analytics]
lag_seconds = 0.3
[world.shares]
active = 1
ended = 1
"""
"""A platform without faults, on which 100 messages a second are sent by two daemons' settings."""
_LEADER = """
SELECT daemon.name FROM dispatcher.lease JOIN dispatcher.daemon ON daemon.id = lease.daemon_id
WHERE lease.kind = 'campaign' AND lease.name = %s AND NOT daemon.fenced
"""
_CONTACTS = """
SELECT contact.status, contact.reason, count(*) FROM dispatcher.contact_now AS contact
GROUP BY 1, 2
"""
_IN_DOUBT = "SELECT id FROM dispatcher.contact_now WHERE status = 'in_doubt'"


@dataclass
class Daemon:
    """One of the dispatchers: its process, and its log."""

    process: Forked
    log: Path

    @property
    def pid(self) -> int:
        """Its process."""
        return self.process.pid

    def events(self, name: str = "") -> list[dict[str, Any]]:
        """Return the lines of its log, or those of one event."""
        if not self.log.exists():
            return []
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line[:1] == "{"]
        return [line for line in lines if not name or line["event"] == name]

    def ended(self, seconds: float = 30.0) -> tuple[int, str]:
        """Wait for its end; return its exit code, and what it printed for people."""
        _, said = self.process.communicate(seconds)
        assert self.process.returncode is not None
        return self.process.returncode, said


@dataclass
class TwoDaemons:
    """A ledger, a platform, a file of contacts, and the dispatchers that are started on them."""

    folder: Path
    sandbox: SandboxProcess
    database: PostgresDatabase
    lease_seconds: float = 3.0
    per_second: int = 100
    campaign: str = "pair"
    settings: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=CREDENTIALS.copy)
    daemons: list[Daemon] = field(default_factory=list)

    @property
    def contacts(self) -> Path:
        """The folder with the files of contacts, which the dispatchers watch."""
        return self.folder / "contacts"

    def write(self, count: int, seed: int = 1) -> None:
        """Write a file of contacts, who are in a session or have left it."""
        self.contacts.mkdir(exist_ok=True)
        path = self.contacts / f"{seed:09}.csv"
        part = path.with_suffix(".part")
        write_contacts(part, count=count, shares={"active": 1.0, "ended": 1.0}, seed=seed)
        part.rename(path)

    def start(self, *more: str, **settings: Any) -> Daemon:
        """Start one dispatcher; ``settings`` differ from those of the other one."""
        log = self.folder / f"dispatcher-{len(self.daemons)}.log"
        values = {
            "message.text": "Hello {first_name}",
            **QUICK,
            "platform.requests_per_minute": 2 * 60 * self.per_second,
            "platform.window_seconds": 1,
            "platform.timeout_seconds": TIMEOUT_SECONDS,
            "platform.connect_timeout_seconds": TIMEOUT_SECONDS,
            "reconcile.max_effect_delay_seconds": LATE_SECONDS,
            "reconcile.max_lag_seconds": LAG_SECONDS,
            "reconcile.clock_skew_seconds": SKEW_SECONDS,
            "reconcile.look_seconds": 0.3,
            "telemetry.statsd_port": NO_STATSD,
            "telemetry.log_file": log,
            "telemetry.log_format": "json",
            "telemetry.log_level": "info",
            "control.socket": "off",
            "source.path": self.contacts,
            "source.watch": True,
            "source.poll_seconds": 0.2,
            "source.stable_seconds": 0.1,
            "ledger.url": f"postgresql://{USER}@127.0.0.1:{self.database.port}/{self.database.name}",
            "ledger.password_variable": "LEDGER_PASSWORD",
            "ledger.lease_seconds": self.lease_seconds,
            "ledger.state_file": f"{log}.state.json",
            **self.settings,
            **settings,
        }
        command = ["-m", "dispatcher", "run", "--campaign", self.campaign]
        command += ["--platform-url", self.sandbox.url]
        for key, value in values.items():
            command += ["--set", f"{key}={str(value).lower() if value in (True, False) else value}"]
        secrets = {"LEDGER_PASSWORD": self.database.password, **self.environment}
        process = Forked([*command, *more], {**clean_environment(), **secrets})
        daemon = Daemon(process, log)
        self.daemons.append(daemon)
        return daemon

    def leader(self, campaign: str = "") -> Daemon | None:
        """Return the dispatcher that has the lease of the campaign."""
        rows = self.rows(_LEADER, campaign or self.campaign)
        pids = {int(name.rpartition("-")[2]) for (name,) in rows}
        return next((one for one in self.daemons if one.pid in pids), None)

    def wait_for_leader(self, other_than: Daemon | None = None, seconds: float = 30.0) -> Daemon:
        """Wait until a dispatcher leads, and return it."""
        found: list[Daemon] = []

        def leads() -> bool:
            leader = self.leader()
            found[:] = [] if leader is None or leader is other_than else [leader]
            return bool(found)

        self.until(leads, "no dispatcher leads", seconds)
        return found[0]

    def wait_for_standby(self, daemon: Daemon, seconds: float = 30.0) -> None:
        """Wait until a dispatcher says that it waits for another one."""
        self.until(lambda: bool(daemon.events("run.standby")), "it is no standby", seconds)

    def until(self, true: Callable[[], bool], words: str, seconds: float = 30.0) -> None:
        """Wait until something is true; say in ``words`` what is not."""
        end = time.monotonic() + seconds
        while not true():
            ended = [one for one in self.daemons if one.process.poll() not in (None, 0, 17, -9)]
            late = time.monotonic() > end
            if late or ended:
                raise AssertionError(f"{words} after {seconds:g} s; {self.last_words()}")
            time.sleep(0.02)

    def last_words(self) -> str:
        """Return how each dispatcher is, for a test that fails."""
        return "; ".join(
            f"{one.pid}: code {one.process.poll()}, {[e['event'] for e in one.events()][-3:]}"
            + ("" if one.process.poll() is None else f" {one.ended()[1][-300:]}")
            for one in self.daemons
        )

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query; nothing while the ledger has no tables yet."""
        try:
            with psycopg.connect(
                host="127.0.0.1",
                port=self.database.port,
                dbname=self.database.name,
                user=USER,
                password=self.database.password,
                autocommit=True,
            ) as connection:
                return list(connection.execute(statement, values))
        except psycopg.errors.UndefinedTable:
            return []
        except psycopg.errors.InvalidSchemaName:
            return []

    def statuses(self) -> Counter[tuple[str, str | None]]:
        """Return the number of contacts by status and reason."""
        return Counter({(status, reason): n for status, reason, n in self.rows(_CONTACTS)})

    def in_doubt(self) -> set[int]:
        """Return the ids of the contacts that are in doubt."""
        return {id_ for (id_,) in self.rows(_IN_DOUBT)}

    def only_doubts_left(self) -> bool:
        """Return True if every contact is final or in doubt."""
        return self.left() == self.statuses()["in_doubt", None]

    def finish(self, seconds: float = 60.0) -> None:
        """Wait until every contact is final.

        Only a message that is taken later proves that one in doubt was not, and a run that expects
        more contacts takes its time to look. So runs with an end follow, with some more contacts.
        """
        self.until(self.only_doubts_left, "contacts are not final", seconds)
        if not self.left():
            return
        for daemon in self.daemons:
            daemon.process.terminate()
        for daemon in self.daemons:
            daemon.process.wait(30)
        for number in range(ROUNDS):
            time.sleep(TIMEOUT_SECONDS + LATE_SECONDS + LAG_SECONDS + SKEW_SECONDS)
            self.write(WITNESSES, WITNESS_SEED + number)
            code, said = self.start("--once", **self.files()).ended(seconds)
            assert code in (0, 10), said
            if not self.left():
                return
        raise AssertionError(f"not final: {self.statuses()}; {self.last_words()}")

    def files(self) -> dict[str, Any]:
        """Return the settings of a run that reads the files of now, and ends."""
        return {"source.watch": False, "source.path": f"{self.contacts}/*.csv"}

    def left(self) -> int:
        """Return how many contacts are not final, or not even in the ledger."""
        final = sum(n for (_, reason), n in self.statuses().items() if reason is not None)
        return self.count() - final

    def count(self) -> int:
        """Return how many contacts the files have."""
        return len(self.conversations())

    def conversations(self) -> set[str]:
        """Return the conversations of all contacts of the files."""
        found = set()
        for path in self.contacts.glob("*.csv"):
            with path.open(newline="") as lines:
                found |= {row["conversation_id"] for row in csv.DictReader(lines)}
        return found

    def messages(self) -> Counter[str]:
        """Return how many messages took effect, by the conversation of their contact."""
        return Counter(
            str(effect["previousConversationId"] or effect["conversationId"])
            for effect in self.sandbox.effects()
        )

    def twice(self) -> list[str]:
        """Return the contacts with more than one message."""
        return [who for who, number in self.messages().items() if number > 1]

    def lost(self) -> list[str]:
        """Return the contacts of the files that got no message."""
        return sorted(self.conversations() - set(self.messages()))

    def end(self) -> None:
        """End every dispatcher, also one that is stopped."""
        for one in self.daemons:
            if one.process.poll() is None:
                one.process.kill()
                one.process.wait(10)
            one.process.close()


@contextmanager
def two_daemons(
    folder: Path, database: PostgresDatabase, *,
    seed: int = 1, scenario: str = "", ms: float = 20.0, platform: str = "", **more: Any,
) -> Iterator[TwoDaemons]:  # fmt: skip
    """Set up the platform, with more of a ``scenario``; its user starts the dispatchers.

    A request takes some ``ms``. ``platform`` is another scenario in its place.
    """
    path = folder / "scenario.toml"
    allowed = 2 * more.get("per_second", 100)
    path.write_text((platform or SCENARIO.format(seed=seed, allowed=allowed, ms=ms)) + scenario)
    with sandbox(path, folder / "effects.jsonl") as running:
        made = TwoDaemons(folder, running, database, **more)
        try:
            yield made
        finally:
            made.end()


def stop(daemon: Daemon, number: int) -> None:
    """Send a signal that cannot be handled."""
    os.kill(daemon.pid, number)
