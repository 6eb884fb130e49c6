"""(h) Requests per delivered message, by world, dialect and setting.

Every request that the sandbox answered counts, except those for tokens. The rows have addresses,
and messages may be sent into open sessions. The sandbox's log of what took effect shows whether
anyone got two messages, or none.
"""

import random
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.harness import keep, table
from dispatcher.sandbox.contact_files import expected, write_contacts
from dispatcher.sandbox.scenario.scenario import load
from dispatcher.settings.model import RetrySettings
from tests.support.dialects import DIALECTS
from tests.support.sandbox_process import DEMO_SCENARIO, SCENARIOS
from tests.support.scenario_runner import Play, kind_of, play

BATCHES = {"messaging": "analytics", "genesys": "details"}
"""The sandbox's names of the requests that read many states; look backs use the first one, too."""
DELIVERED = ("notified", "opened")
STATES_PER_CALL = (1, "auto")
FIRST_CALLS: Mapping[str, Mapping[str, Any]] = {
    "check": {},
    "learn": {
        "platform.first_call": "learn",
        "source.alike_columns": ["session_status"],
        "source.age_column": "session_ended_at",
    },
}
"""The settings of each first call."""
WINDOW_SECONDS = 2.0
WORKERS = 100
"""As many as one request reads states."""
HALF_AND_HALF = {"active": 1.0, "ended": 1.0}


@dataclass(frozen=True)
class World:
    """A scenario, the settings that suit it, and what is promised with "auto" or "learn".

    ``allowed`` requests in 2 seconds: the scenario's own quota would take an hour, or would not be
    what limits the run.
    """

    name: str
    scenario: Path
    promised: float
    allowed: int
    settings: tuple[tuple[str, Any], ...] = ()
    plain_shares: bool = False

    def write_contacts(self, path: Path, count: int, seed: int) -> None:
        """Write contacts with what an export knows of them, in exactly the scenario's shares."""
        shares = HALF_AND_HALF if self.plain_shares else load(self.scenario).world.shares
        rows, head = [], ""
        for kind, share in shares.items():
            number = round(count * share / sum(shares.values()))
            write_contacts(path, count=number, shares={kind: 1}, seed=seed, with_sessions=True)
            head, *lines = path.read_text(encoding="utf-8").splitlines()
            rows += lines
        random.Random(seed).shuffle(rows)
        path.write_text("\n".join((head, *rows, "")), encoding="utf-8")

    def write(self, folder: Path) -> Path:
        """Write the scenario with the quota of the benchmark; return its file."""
        text = re.sub(r"(?m)^allowed = \d+", f"allowed = {self.allowed}", self.scenario.read_text())
        text = re.sub(r"(?m)^window_seconds = .*", f"window_seconds = {WINDOW_SECONDS}", text)
        path = folder / "scenario.toml"
        path.write_text(text)
        return path

    def configuration(self, dialect: str) -> dict[str, Any]:
        """Return the settings of a run."""
        quota = {
            "platform.requests_per_minute": self.allowed * 30,
            "platform.window_seconds": WINDOW_SECONDS,
            "telemetry.log_level": "warning",
            "engine.workers": WORKERS,
        }
        barge_in = {"platform.barge_in": "always"} if dialect == "genesys" else {}
        return {**quota, **barge_in, **dict(self.settings)}


DEFAULT_RETRIES = tuple((f"retry.{name}", value) for name, value in RetrySettings())
"""`play` shortens the retries; here they are the defaults."""
DEMO = (("retry.not_ended_seconds", 0.5),)
"""The one of the demo's settings that `play` has otherwise."""

WORLDS = (
    World("plain", SCENARIOS / "plain.toml", 1.05, 600, DEFAULT_RETRIES, plain_shares=True),
    World("demo", DEMO_SCENARIO, 1.5, 400, DEMO),
    World("closing-30", SCENARIOS / "closing-30.toml", 1.6, 600, DEFAULT_RETRIES),
)


@dataclass(frozen=True)
class Case:
    """One run."""

    world: World
    dialect: str
    states_per_call: int | str
    first_call: str

    @property
    def is_promised(self) -> bool:
        """Whether the world's promise is for these settings."""
        return self.states_per_call == "auto" and self.first_call == "check"


def cases() -> Iterator[Case]:
    """Yield every combination."""
    for values in product(WORLDS, DIALECTS, STATES_PER_CALL, FIRST_CALLS):
        yield Case(*values)


def run(count: int = 5_000, seed: int | None = None) -> dict[str, Any]:
    """Measure, print the table, and return the result."""
    start = random.randrange(1_000_000) if seed is None else seed
    outcomes = [_measure(case, count, start) for case in cases()]
    rows: list[list[object]] = [
        ["world", "dialect", "first call", "states_per_call", "requests / delivered",
         "requests / contact", "batches", "twice", "missed", "promised"]
    ]  # fmt: skip
    rows += [_row(outcome) for outcome in outcomes]
    print(table(rows))
    holds = all(outcome["holds"] for outcome in outcomes)
    result = {"holds": holds, "count": count, "seed": start, "runs": outcomes}
    keep("requests", result)
    return result


def _row(outcome: dict[str, Any]) -> list[object]:
    promised = outcome["promised"]
    return [
        outcome["world"], outcome["dialect"], outcome["first_call"],
        outcome["states_per_call"], f"{outcome['per_delivered']:.2f}",
        f"{outcome['per_contact']:.2f}", outcome["batches"], outcome["twice"],
        outcome["missed"], f"<= {promised}" if promised else "-",
    ]  # fmt: skip


def _measure(case: Case, count: int, seed: int) -> dict[str, Any]:
    world = case.world
    settings = {
        **world.configuration(case.dialect),
        "platform.states_per_call": case.states_per_call,
        **FIRST_CALLS[case.first_call],
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with play(folder, world.write(folder), count, settings, dialect=case.dialect) as played:
            world.write_contacts(played.contacts, count, seed)
            ended = played.run(seconds=600.0)
            if ended.returncode:
                raise RuntimeError(f"{case} ended with {ended.returncode}:\n{ended.stderr}")
            return _outcome(case, played)


def _outcome(case: Case, played: Play) -> dict[str, Any]:
    counts, settled = played.sandbox.counts(), played.settled()
    effects = played.sandbox.effects()
    reached = Counter(e["previousConversationId"] or e["conversationId"] for e in effects)
    answers = {name: sum(n.values()) for name, n in counts["answers"].items() if name != "token"}
    requests = sum(answers.values())
    due = [who for who in settled if expected(kind_of(who), case.dialect)[0] in DELIVERED]
    missed = sum(1 for who in due if who not in reached or settled[who][0] not in DELIVERED)
    missed += len(set(played.rows()) - set(settled))
    twice = sum(1 for times in reached.values() if times > 1)
    per_delivered = requests / len(reached)
    promised = case.world.promised if case.is_promised else None
    return {
        "world": case.world.name,
        "dialect": case.dialect,
        "first_call": case.first_call,
        "states_per_call": case.states_per_call,
        "contacts": len(settled),
        "delivered": len(reached),
        "per_delivered": per_delivered,
        "per_contact": requests / len(settled),
        "batches": sum(counts["answers"].get(BATCHES[case.dialect], {}).values()),
        "requests": answers,
        "answers": counts["answers"],
        "causes": counts["causes"],
        "statuses": {"/".join(map(str, key)): n for key, n in played.status_counts().items()},
        "twice": twice,
        "missed": missed,
        "promised": promised,
        "holds": not twice and not missed and (promised is None or per_delivered <= promised),
    }
