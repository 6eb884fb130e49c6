"""How a run ended: what it returns, and what its notices say."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from dispatcher.domain.errors import DispatcherError, ExitCode
from dispatcher.engine.run_options import RunOutcome
from dispatcher.ports import Totals
from dispatcher.ports.notices import Facts
from dispatcher.telemetry.logs.format import words
from dispatcher.telemetry.stats.run_stats import Snapshot

STOPPED = "stopped"
"""The outcome of a run that a second signal ended at once."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended: ``ending`` is None when a second signal ended it at once.

    By campaign: ``snapshots`` of this run, and ``totals`` of all runs, which are empty if a signal
    ended the run before its pipeline began. ``waited_for`` says in words what the run waited for
    until then; empty if it did not wait.
    """

    ending: RunOutcome | None
    snapshots: Mapping[str, Snapshot]
    totals: Mapping[str, Totals]
    waited_for: str = ""


def ended(outcome: RunOutcome | None) -> Facts:
    """Return the outcome; None: a second signal ended the run at once."""
    return {"outcome": outcome or STOPPED}


def raised(error: BaseException, signals: int) -> Facts:
    """Return the outcome of a run that an error ended, or signals before its first contact.

    Of a bug only the kind is shown: its text may have anything.
    """
    match error:
        case asyncio.CancelledError():
            return ended(RunOutcome.DRAINED if signals == 1 else None)
        case DispatcherError():
            code, detail = error.exit_code, " ".join(map(words, str(error).splitlines()))
        case _:
            code, detail = ExitCode.BUG, type(error).__name__
    return {"outcome": "error", "exit_code": int(code), "detail": detail}


def with_counts(facts: Facts, totals: Totals | None) -> Facts:
    """Return facts with the number of contacts of each status, if the ledger could be read."""
    counts: dict[str, int] = {}
    for (status, _), number in totals.by_status.items() if totals is not None else ():
        counts[status.value] = counts.get(status.value, 0) + number
    return {**facts, **counts}
