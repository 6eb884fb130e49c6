"""Kills one export to a sink after the other, and compares the target with the ledger."""

import io
import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from dispatcher.app.lineage_export import ExportRequest, export
from tests.support.crash_launcher import Launcher, launching
from tests.support.filled_lineage import fill_lineage
from tests.support.ledgers import fetch, ledger_in, place_of, toml_of
from tests.support.sink_steps import STEPS
from tests.support.sink_targets import Key, SinkInPlace

ROWS_PER_RANGE = 3
END_SECONDS = 60.0
"""How long a process may take; the longest take a second."""
KILLED = -9
PLACE = "SELECT cursor, sending_to FROM {}sink WHERE name = 'out' AND part = 'rows'"


@dataclass
class Outcome:
    """What kills have made of the rows; ``kills`` by step, and problems in words."""

    kills: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    missing: Sequence[Key] = ()
    twice: Sequence[Key] = ()
    foreign: Sequence[Key] = ()
    problems: list[str] = field(default_factory=list)

    def compare(self, ledger: Sequence[Key], target: Sequence[Key]) -> None:
        """Compare the rows of the ledger with those of the target."""
        wanted, found = Counter(ledger), Counter(target)
        self.rows = len(ledger)
        self.missing = sorted(wanted.keys() - found.keys())
        self.twice = sorted(key for key, number in found.items() if number > 1)
        self.foreign = sorted(found.keys() - wanted.keys())
        named = {"missing": self.missing, "twice": self.twice, "not of the ledger": self.foreign}
        for what, keys in named.items():
            if keys:
                some = ", ".join(key for key, _ in keys[:3])
                self.problems.append(f"{len(keys):,} rows {what}, such as {some}")


def _number(cursor: object) -> int:
    """Return the id of the last row before a cursor."""
    return int(str(cursor or 0).rpartition("-")[2])


class Export:
    """The command that sends the lineage of one ledger to one target."""

    def __init__(
        self, folder: Path, sink: SinkInPlace, launcher: Launcher, broken: str = ""
    ) -> None:
        self.sink = sink
        self.ledger = ledger_in(folder)
        self.rows = 0
        self._launcher = launcher
        self._broken = broken
        self._output = folder / "output"
        self._config = folder / "dispatcher.toml"
        settings = {
            "name": "out", "kind": sink.kind, "rows_per_range": ROWS_PER_RANGE, **sink.settings,
        }  # fmt: skip
        lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
        text = [toml_of(self.ledger), "[[sinks]]", *lines, ""]
        self._config.write_text("\n".join(text))

    def add(self, number: int) -> None:
        """Let so many more messages be accepted."""
        fill_lineage(self.ledger, "c", range(self.rows, self.rows + number))
        self.rows += number

    def feed(self, ranges: int, dice: Random) -> None:
        """Let at least one more message be accepted, so that a process sends so many new ranges.

        A range that was recorded goes out before them. The last one is mostly not full.
        """
        waiting, recorded = self._unsent()
        needed = recorded + (ranges - 1) * ROWS_PER_RANGE + dice.randint(1, ROWS_PER_RANGE)
        self.add(max(1, needed - waiting))

    def _unsent(self) -> tuple[int, int]:
        """Return how many rows have not arrived, and how many of them are in a recorded range.

        Their numbers are the cursors.
        """
        if not self.ledger.exists():
            return 0, 0
        found = [(_number(cursor), to) for cursor, to in fetch(self.ledger, PLACE)] or [(0, None)]
        ((cursor, sending_to),) = found
        return self.rows - cursor, (_number(sending_to) if sending_to else cursor) - cursor

    def run(self, step: str = "", nth: int = 1) -> int | None:
        """Run it in a new process until it is killed at a step or ends; return its status.

        It is None if the process did not end in time.
        """
        self._output.unlink(missing_ok=True)
        argv = ["lineage", "export", "--config", str(self._config), "--to", "out"]
        environment = dict(self.sink.environment)
        self._launcher.start(
            {
                "argv": argv,
                "environment": environment,
                "output": str(self._output),
                "kind": self.sink.kind,
                "step": step,
                "nth": nth,
                "seed": self.rows,
                "broken": self._broken,
            }
        )
        status = self._launcher.ended(END_SECONDS)
        if status is None:
            self._launcher.kill()
            self._launcher.ended(END_SECONDS)
        return status

    def kill(self, step: str, nth: int) -> bool:
        """Run it until it is killed at a step; return False if it did not reach it."""
        is_killed = self.run(step, nth) == KILLED and f"killed at {step}\n" in self.output
        self.sink.after_kill()
        return is_killed

    @property
    def output(self) -> str:
        """What the last process has written."""
        return self._output.read_text()

    def sent_to_end(self) -> Sequence[str]:
        """Send the rest, and then nothing; return what is wrong with that."""
        if (status := self.run()) != 0:
            ended = "did not end in time" if status is None else f"ended with {status}"
            return [f"the last export {ended}: {self.output.strip()}"]
        self.run()
        if not self.output.startswith("0 rows sent"):
            return [f"an export after the last one: {self.output.strip()}"]
        return []

    def compared(self, outcome: Outcome) -> None:
        """Compare the target with the lineage of the ledger."""
        out = io.BytesIO()
        export(ExportRequest(place_of(self.ledger), None, "jsonl", None, None, None), out)
        rows = [json.loads(line) for line in out.getvalue().splitlines()]
        assert len(rows) == self.rows, "the ledger has lost rows by itself"
        keys = [(row["contact_key"], row["conversation_id"]) for row in rows]
        outcome.compare(keys, self.sink.keys())


def kill_everywhere(
    export: Export, kills: int, dice: Random, on_round: Callable[[Outcome], None] = lambda _: None,
    steps: Sequence[str] = (),
) -> Outcome:  # fmt: skip
    """Kill an export so many times at each step, in an order of chance; then let it end.

    Rows are added before each process, which first sends what the one before it has left.
    """
    outcome, order = Outcome(), list(steps or STEPS[export.sink.kind])
    for _ in range(kills):
        dice.shuffle(order)
        for step in order:
            nth = dice.randint(1, export.sink.ranges)
            export.feed(nth, dice)
            if export.kill(step, nth):
                outcome.kills[step] += 1
            else:
                outcome.problems.append(f"{step} was not reached: {export.output.strip()[-300:]}")
        on_round(outcome)
    outcome.problems += export.sent_to_end()
    export.compared(outcome)
    return outcome


def launching_exports() -> AbstractContextManager[Launcher]:
    """Return a process that forks exports for as long as a block lasts."""
    return launching("tests.support.sink_crashing")
