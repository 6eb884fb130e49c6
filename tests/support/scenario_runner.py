"""Play a scenario with the installed command, and hold its three accounts together.

The accounts are the sandbox's log of what took effect, the ledger, and the metrics as they were
received on a UDP socket.
"""

import csv
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dispatcher.domain.status import Status
from dispatcher.sandbox.contact_files import expected, write_contacts
from dispatcher.sandbox.scenario.scenario import load
from dispatcher.sandbox.world.ids import external_contact_id
from tests.support import forked_process, statsd
from tests.support.dialects import reads_states_to_look_back, settings_for
from tests.support.forked_process import Forked, clean_environment
from tests.support.ledger_reader import LedgerReader
from tests.support.ledgers import AnyLedger, ledger_in, settings_of
from tests.support.sandbox_process import SCENARIOS, SandboxProcess, sandbox

CREDENTIALS = {
    "DISPATCHER_CLIENT_ID": "sandbox-client",
    "DISPATCHER_CLIENT_SECRET": "sandbox-secret",
}
QUICK = {
    "engine.probe_seconds": 0.5,
    "engine.wait_limit_seconds": 60,
    "platform.requests_per_minute": 60000,
    "platform.window_seconds": 2,
    "retry.max_attempts": 5,
    "retry.not_ended_seconds": 0.3,
    "retry.not_ended_max_minutes": 0.05,
    "retry.backoff_seconds": 0.1,
    "retry.backoff_max_seconds": 1,
}
"""Settings that suit a sandbox whose times are short."""
CALLS = {
    "messaging": {"notified": {"notified"}, "linked": {"opened"}},
    "genesys": {"notified": {"notified"}, "threaded": {"opened"}, "linked": {"opened", "notified"}},
}
"""What a contact is settled as, by what its message did.

In `genesys` a message into a session that has just left makes a new one.
"""
RECORDS = {"look_back", "check_many"}
"""What reads analytics, under names of its own."""
IN_DOUBT = {("in_doubt", None), ("parked", "in_doubt")}
"""Status and reason of a contact whose message may have been taken."""


@dataclass
class Play:
    """One world, its contacts, and the dispatcher that is let loose on it."""

    folder: Path
    sandbox: SandboxProcess
    metrics: statsd.Receiver
    contacts: Path
    settings: dict[str, Any] = field(default_factory=dict)
    campaign: str = "play"
    config: Path | None = None
    dialect: str = "messaging"
    environment: dict[str, str] = field(default_factory=CREDENTIALS.copy)

    @property
    def ledger(self) -> AnyLedger:
        """Where the ledger is."""
        return ledger_in(self.folder)

    @property
    def log(self) -> Path:
        """Where the dispatcher's log is."""
        return self.folder / "dispatcher.log"

    def command(self, *more: str) -> list[str]:
        """The command line of a run, but for the interpreter."""
        values = {
            "message.text": "Hello {first_name}",
            "telemetry.statsd_port": self.metrics.port,
            "telemetry.log_file": str(self.log),
            "telemetry.log_level": "debug",
            "telemetry.health_port": 0,
            **QUICK,
            **settings_for(self.dialect, self.sandbox.url),
            **settings_of(self.ledger),
            **self.settings,
        }
        command = ["-m", "dispatcher", "run", "--source", str(self.contacts)]
        command += ["--ledger", str(self.ledger), "--campaign", self.campaign]
        command += ["--platform-url", self.sandbox.url]
        if self.config is not None:
            command += ["--config", str(self.config)]
        for key, value in values.items():
            shown = str(value).lower() if isinstance(value, bool) else str(value)
            command += ["--set", f"{key}={shown}"]
        return [*command, *more]

    def start(self, *more: str) -> Forked:
        """Start a run and return its process."""
        return Forked(self.command(*more), {**clean_environment(), **self.environment})

    def run(self, *more: str, seconds: float = 90.0) -> "subprocess.CompletedProcess[str]":
        """Run to the end with ``--once``."""
        environment = {**clean_environment(), **self.environment}
        return forked_process.run(self.command("--once", *more), environment, seconds)

    def rows(self) -> dict[str, dict[str, str]]:
        """The contacts as the file has them, by conversation id."""
        with self.contacts.open(newline="") as lines:
            return {row["conversation_id"]: row for row in csv.DictReader(lines)}

    def settled(self) -> dict[str, tuple[str, str | None]]:
        """Status and reason of every contact of the ledger, by conversation id."""
        with LedgerReader(self.ledger, self.campaign) as reader:
            return {
                row.conversation_id: (row.status.value, row.reason and row.reason.value)
                for status in Status
                for row in reader.contacts(status)
            }

    def lineage(self) -> dict[str, Any]:
        """The lineage rows, by the previous conversation's id."""
        with LedgerReader(self.ledger, self.campaign) as reader:
            return {row.previous_conversation_id: row for row in reader.lineage()}

    def status_counts(self) -> Counter[tuple[str, str | None]]:
        """How many contacts have each status and reason."""
        return Counter(self.settled().values())


@contextmanager
def play(
    folder: Path, scenario: str | Path, count: int, settings: Mapping[str, Any] | None = None,
    *, seed: int = 1, dialect: str = "messaging", with_sessions: bool = False,
) -> Iterator[Play]:  # fmt: skip
    """Set a scenario up with ``count`` contacts."""
    path = SCENARIOS / f"{scenario}.toml" if isinstance(scenario, str) else scenario
    contacts = folder / "contacts.csv"
    shares = dict(load(path).world.shares)
    write_contacts(contacts, count=count, shares=shares, seed=seed, with_sessions=with_sessions)
    log = folder / "effects.jsonl"
    with sandbox(path, log, "--dialect", dialect) as running, statsd.udp() as received:
        yield Play(folder, running, received, contacts, dict(settings or {}), dialect=dialect)


def kind_of(conversation_id: str) -> str:
    """The kind of conversation, from its id."""
    return conversation_id.partition("-")[0]


def assert_nobody_twice_nobody_missing(played: Play) -> None:
    """The sandbox's log and the ledger agree to the last contact."""
    effects = played.sandbox.effects()
    reached = Counter(
        effect["previousConversationId"] or effect["conversationId"] for effect in effects
    )
    settled, rows = played.settled(), played.rows()
    assert not {who: times for who, times in reached.items() if times > 1}, "somebody twice"
    assert set(settled) == set(rows), "somebody is not in the ledger"
    delivered = {who for who, (status, _) in settled.items() if status in ("notified", "opened")}
    in_doubt = {who for who, end in settled.items() if end in IN_DOUBT}
    assert delivered <= set(reached), "settled as delivered, and no message took effect"
    assert set(reached) <= delivered | in_doubt, "a message took effect that the ledger denies"


def assert_right_call_for_each(played: Play) -> None:
    """Open sessions were notified, closed ones linked to the right conversation and person."""
    lineage = played.lineage()
    settled = played.settled()
    for effect in played.sandbox.effects():
        who = effect["previousConversationId"] or effect["conversationId"]
        row = lineage.get(who)
        if row is None:
            assert settled[who] in IN_DOUBT
            continue
        assert row.conversation_id == effect["conversationId"]
        assert row.relation == effect["kind"]
        assert settled[who][0] in CALLS[played.dialect][effect["kind"]]
        if effect["kind"] != "notified":
            assert effect["externalContactId"] == external_contact_id(who)
            assert row.external_contact_id == external_contact_id(who)


def assert_each_ends_as_the_table_says(played: Play) -> None:
    """Every contact has the status and reason that its kind of conversation leads to."""
    wrong = {
        who: (end, expected(kind_of(who), played.dialect))
        for who, end in played.settled().items()
        if end != expected(kind_of(who), played.dialect)
    }
    assert not wrong


def _take_out_looks(answers: dict, received: Mapping, queries: Mapping) -> None:
    """Take out the state checks that were part of a look back, which has a name of its own."""
    for key in [key for key in answers if key[0] == "check"]:
        looks = answers[key] - received.get(key, 0)
        assert looks >= 0
        assert not looks or queries, "a state was read that nobody counted"
        answers[key] -= looks
        if not answers[key]:
            del answers[key]


def assert_metrics_match(played: Play) -> None:
    """The counters match the sandbox's own counts by tag, and the three failures do not mix."""
    counts, metrics = played.sandbox.counts(), played.metrics
    metrics.settle()
    answers = {
        (endpoint, status): number
        for endpoint, by_status in counts["answers"].items()
        for status, number in by_status.items()
        if endpoint in ("check", "notify", "open")
    }
    received = metrics.series("dispatcher.api.requests", "endpoint", "status")
    counted = {
        key: n for key, n in received.items() if n and key[1].isdigit() and key[0] not in RECORDS
    }
    if reads_states_to_look_back(played.dialect):
        _take_out_looks(answers, counted, counts["answers"].get("analytics", {}))
    assert counted == answers
    causes = counts["causes"]

    def caused(endpoint: str, *names: str) -> int:
        return sum(causes.get(name, {}).get(endpoint, 0) for name in names)

    conflicts = metrics.series("dispatcher.closed_session_conflicts", "step", "status")
    assert conflicts["notify", "400"] == caused("notify", "closed")
    assert conflicts["notify", "409"] == caused("notify", "not_active", "loop")
    assert conflicts["open", "409"] == caused(
        "open", "previous_open", "not_ended", "identity", "loop"
    )
    scopes = metrics.series("dispatcher.scope_errors", "source")
    assert scopes["masked_conflict",] == caused("open", "scope_masked")
    assert scopes["forbidden",] == sum(
        caused(endpoint, "scope_forbidden", "contact_forbidden", "read_scope")
        for endpoint in ("check", "notify", "open")
    )
    for lack in ("permission", "division"):
        assert scopes[lack,] == caused("notify", f"{lack}_forbidden") + caused(
            "open", f"{lack}_forbidden"
        )
    ends = played.status_counts()
    assert metrics.total("dispatcher.retry_loops") == ends["parked", "retry_loop"]
    settled = metrics.series("dispatcher.contacts.settled", "status", "reason")
    assert {key: n for key, n in settled.items() if n} == {
        key: n for key, n in ends.items() if key[1] is not None
    }
