"""The round trip: from Snowflake to the platform and back, by config/examples/round-trip.toml.

``python -m tests.support.round_trip`` prints the SQL of each step, and what it returns.
"""

import csv
import subprocess
import tempfile
import tomllib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support import forked_process
from tests.support.dialects import settings_for
from tests.support.forked_process import ROOT, clean_environment
from tests.support.ledgers import place_setting
from tests.support.scenario_runner import QUICK, Play, play
from tests.support.servers.snowflake import PASSPHRASE, Snowflake, SnowflakeDatabase, snowflake

CONFIG = ROOT / "config" / "examples" / "round-trip.toml"
FOLLOW = CONFIG.with_suffix(".sql")
SCENARIO = """
seed = 1
[rate]
allowed = 60000
window_seconds = 2.0
[world.shares]
ended = 3
active = 2
gone = 1
"""
TABLE = (
    "CREATE TABLE carts (id INTEGER, customer_id VARCHAR, conversation_id VARCHAR, "
    "external_contact_id VARCHAR, first_name VARCHAR, status VARCHAR)"
)
ORDERED = "UPDATE carts SET status = 'ordered' WHERE id % 4 = 0"
COUNT = "SELECT campaign, relation, count(*) FROM dispatcher_lineage GROUP BY 1, 2 ORDER BY 1, 2"
SECOND = """
SELECT c.id, c.customer_id, l.conversation_id, c.external_contact_id, c.first_name
FROM carts AS c
JOIN dispatcher_lineage AS l ON l.campaign = 'cart-reminder' AND l.contact_key = c.id::varchar
WHERE c.status = 'abandoned'
"""
"""The query that the example has in a comment, for a campaign that follows."""


_ADDED = ("host", "port", "protocol", "timeout_seconds")
"""Keys that the example does not have: its server is the account's own."""


@dataclass
class RoundTrip:
    """What was played: the outputs of the commands, and the rows of the last query."""

    played: Play
    database: SnowflakeDatabase
    outputs: list[str] = field(default_factory=list)

    def prepare(self) -> None:
        """Write the carts; those of every fifth customer are not abandoned."""
        with self.played.contacts.open(newline="") as lines:
            rows = list(csv.DictReader(lines))
        carts = [
            {
                "id": number,
                "customer_id": f"customer-{number:03}",
                "conversation_id": row["conversation_id"],
                "external_contact_id": row["external_contact_id"],
                "first_name": row["first_name"],
                "status": "ordered" if number % 5 == 0 else "abandoned",
            }
            for number, row in enumerate(rows, 1)
        ]
        self.database.execute(TABLE)
        self.database.write("carts", carts)

    def run(
        self, campaign: str, *more: str, verb: Sequence[str] = ("run", "--once")
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command with the example, and what a test must change of it."""
        played = self.played
        login = {key.rpartition(".")[2]: value for key, value in self.database.settings().items()}
        text = _replace(CONFIG.read_text(), login)
        config = played.folder / "round-trip.toml"
        config.write_text(text.replace("flush_seconds = 60", "flush_seconds = 0.2"))
        line = ["-m", "dispatcher", *verb, "--config", str(config)]
        values = {
            "campaign": campaign,
            **place_setting(played.ledger),
            "platform.base_url": played.sandbox.url,
            "telemetry.statsd_port": played.metrics.port,
            **QUICK,
            **settings_for(played.dialect, played.sandbox.url),
        }
        for key, value in values.items():
            line += ["--set", f"{key}={value}"]
        environment = {
            **clean_environment(), **played.environment, "SNOWFLAKE_PASSPHRASE": PASSPHRASE
        }  # fmt: skip
        ended = forked_process.run([*line, *more], environment, 60)
        self.outputs.append(ended.stdout + ended.stderr)
        return ended

    def follow(self) -> list[dict[str, Any]]:
        """Return the rows of the query that follows the customers."""
        names = ("customer_id", "status", "step", "campaign", "relation", "previous", "now")
        rows = self.database.execute(FOLLOW.read_text())
        return [dict(zip(names, row, strict=True)) for row in rows]


def _replace(text: str, values: dict[str, Any]) -> str:
    """Return a configuration with other values for the keys that its lines have; add the others."""
    lines = []
    for line in text.splitlines():
        key = line.partition(" = ")[0]
        if key == "account":
            lines += [f"{name} = {_toml(values[name])}" for name in _ADDED]
        has_other = key in values and key not in _ADDED
        lines.append(f"{key} = {_toml(values[key])}" if has_other else line)
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def start(folder: Path, contacts: int, server: Snowflake, stack: ExitStack) -> RoundTrip:
    """Start the sandbox, which ends with the stack, and fill a new database of the server."""
    scenario = folder / "scenario.toml"
    scenario.write_text(SCENARIO)
    played = stack.enter_context(play(folder, scenario, contacts))
    made = RoundTrip(played, server.database())
    made.prepare()
    return made


def main() -> None:
    """Play it, and print each step."""
    query = tomllib.loads(CONFIG.read_text())["source"]["snowflake"]["query"]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        trip = start(Path(folder), 24, stack.enter_context(snowflake()), stack)
        _show(trip, "SELECT status, count(*) FROM carts GROUP BY 1 ORDER BY 1", "status", "carts")
        _say("dispatcher run --once --config config/examples/round-trip.toml", query)
        _say(trip.run("cart-reminder").stdout)
        _show(trip, COUNT, "campaign", "relation", "rows")
        _say("Some customers order, and a second campaign goes to the others:", ORDERED, SECOND)
        trip.database.execute(ORDERED)
        _say(trip.run("cart-offer", "--set", f"source.snowflake.query={SECOND}").stdout)
        _show(trip, COUNT, "campaign", "relation", "rows")
        _say("One query follows each customer from the old conversation to the new one:")
        names = ("customer", "status now", "step", "campaign", "relation", "from", "to")
        _show(trip, FOLLOW.read_text(), *names)


def _say(*lines: str) -> None:
    text = "\n".join(line.rstrip() for line in lines).strip()
    print(text, end="\n\n")  # noqa: T201 - the result of the command


def _show(trip: RoundTrip, query: str, *names: str) -> None:
    rows = [names, *(tuple(map(str, row)) for row in trip.database.execute(query))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    cells = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    _say(query)
    _say(*("  ".join(row) for row in cells))


if __name__ == "__main__":
    main()
