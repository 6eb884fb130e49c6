"""Builds that break the promise on purpose, and the power cut that shows one of them."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dispatcher.domain.reconcile_policy import ReconcilePolicy
from dispatcher.engine.look_back import LookBackReader
from dispatcher.ledgers import opening, schema
from dispatcher.ledgers.ledger import SqliteLedger
from dispatcher.ledgers.write import writer
from dispatcher.ledgers.write.group_commit import Change
from dispatcher.ports import Batch
from tests.support.crash_points import Killer

_FULL = 2
"""SQLite's number for `synchronous = FULL`: each commit is synced before it is acknowledged."""


def _intent_not_committed(_killer: Killer) -> None:
    """Intents are acknowledged and not written."""
    _drop("intend", "retract", "doubt")


def _settle_lost(_killer: Killer) -> None:
    """Settles are acknowledged and not written."""
    _drop("settle", "park")


def _place_before_admission(_killer: Killer) -> None:
    """The stream's place is committed first, its contacts afterwards."""
    real = SqliteLedger.admit

    async def admit(self: SqliteLedger, batch: Batch, *args: Any, **named: Any) -> Any:
        await real(self, Batch((), stream=batch.stream, before=batch.before), *args, **named)
        return await real(self, replace(batch, stream=None), *args, **named)

    SqliteLedger.admit = admit  # type: ignore[method-assign]


def _unsynced(killer: Killer) -> None:
    """Commits are acknowledged before they are synced, and a kill is a power cut."""
    schema._SETTINGS = (*schema._SETTINGS, "PRAGMA synchronous = OFF")
    cut_power(killer)


def cut_power(killer: Killer) -> None:
    """Let a kill take with it what was written to the write-ahead log and not synced.

    No checkpoint runs meanwhile, so that the log only grows, and its length at the last commit
    that was synced is what a disk would still have.
    """
    schema._SETTINGS = (*schema._SETTINGS, "PRAGMA wal_autocheckpoint = 0")
    real, commit = opening.open_ledger, writer.commit
    kept: dict[Path, int] = {}

    def synced(connection: Any, log: Path) -> None:
        (level,) = connection.execute("PRAGMA synchronous").fetchone()
        if level >= _FULL or log not in kept:
            kept[log] = log.stat().st_size if log.exists() else 0

    def opened(path: Path, *args: Any) -> Any:
        log = path.with_name(path.name + "-wal")
        found = real(path, *args)
        synced(found.exclusive.connection, log)
        return found

    def committed(connection: Any, path: Path, group: Sequence[Any]) -> list[Any]:
        answers = commit(connection, path, group)
        synced(connection, path.with_name(path.name + "-wal"))
        return answers

    def cut() -> None:
        for log, length in kept.items():
            if log.exists():
                os.truncate(log, length)

    opening.open_ledger = opened
    writer.commit = committed
    killer.at_death = cut


def _bound_without_lag(_killer: Killer) -> None:
    """A message counts as absent once it must have taken effect, although it may not be shown."""
    ReconcilePolicy.visible_by = ReconcilePolicy.effective_by  # type: ignore[method-assign]


def _watermark_is_now(_killer: Killer) -> None:
    """The platform's records count as complete up to the time of the look back."""
    real = LookBackReader._learn

    def learn(self: LookBackReader, made_at: float, *args: Any) -> None:
        real(self, made_at, *args)
        self.analytics_watermark = made_at

    LookBackReader._learn = learn  # type: ignore[method-assign]


BROKEN: dict[str, Callable[[Killer], None]] = {
    "intent-not-committed": _intent_not_committed,
    "place-before-admission": _place_before_admission,
    "settle-lost": _settle_lost,
    "power-cut": _unsynced,
    "bound-without-lag": _bound_without_lag,
    "watermark-is-now": _watermark_is_now,
}
"""Each broken build by its name."""


def _drop(*kinds: str) -> None:
    real = writer.commit

    def commit(connection: Any, path: Path, group: Sequence[Any]) -> list[Any]:
        left = [operation for operation in group if not _is(operation, kinds)]
        answers = dict(zip(left, real(connection, path, left), strict=True)) if left else {}
        return [answers.get(operation) for operation in group]

    writer.commit = commit  # type: ignore[assignment]


def _is(operation: Any, kinds: Sequence[str]) -> bool:
    return isinstance(operation, Change) and operation.record[0] in kinds
