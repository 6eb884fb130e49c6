"""How the points of the ledger are reached: its commits, checkpoints and moves, wrapped."""

import os
import threading
from collections.abc import Sequence
from functools import wraps
from pathlib import Path
from typing import Any

from dispatcher.ledgers import schema, totals
from dispatcher.ledgers.statements import SQL
from dispatcher.ledgers.write import admission, claims, index_staging, lookup_ahead, writer
from dispatcher.ledgers.write.group_commit import Change
from tests.support.crash_points import CHECKPOINT, Killer

COMMITS_PER_CHECKPOINT = 10
STEPS_IN_A_GROUP = 200
"""Steps of SQLite's machine after which a group of changes is taken to be in its middle."""

_SETTLES = ("settle", "park")


class _Transaction:
    """The writer's connection, watched: what a group does, and its middle and end."""

    def __init__(self, connection: Any, killer: Killer, kinds: set[str]) -> None:
        self._connection = connection
        self._killer = killer
        self.kinds = kinds

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """Run one statement; the point lies before the commit, where there is one."""
        if sql == "COMMIT":
            self._killer.reached("group.uncommitted", *(f"{kind}.before" for kind in self.kinds))
        if "temp.change" not in sql or self._killer.point != "group.middle":
            return self._connection.execute(sql, parameters)
        self._connection.set_progress_handler(self._middle, STEPS_IN_A_GROUP)
        try:
            return self._connection.execute(sql, parameters)
        finally:
            self._connection.set_progress_handler(None, 0)

    def _middle(self) -> int:
        self._killer.reached("group.middle")
        return 0


def wrap_commits(killer: Killer) -> None:
    real, transaction = writer.commit, threading.local()
    if killer.point in CHECKPOINT:
        schema._SETTINGS = (*schema._SETTINGS, "PRAGMA wal_autocheckpoint = 0")
    counted = 0

    def commit(connection: Any, path: Path, group: Sequence[Any]) -> list[Any]:
        nonlocal counted
        changes = [member.record[0] for member in group if isinstance(member, Change)]
        kinds = {"settle" if kind in _SETTLES else kind for kind in changes}
        transaction.kinds = kinds
        with killer.commits:
            if len(changes) == len(group):  # one statement, which commits by itself
                killer.reached(*(f"{kind}.before" for kind in kinds))
            answers = real(_Transaction(connection, killer, kinds), path, group)
            killer.settled(sum(kind in _SETTLES for kind in changes))
            killer.reached(*(f"{kind}.after" for kind in kinds), *draining_points(killer, kinds))
            counted += 1
            if killer.point in CHECKPOINT and counted % COMMITS_PER_CHECKPOINT == 0:
                _checkpoint(connection, killer)
        return answers

    writer.commit = commit  # type: ignore[assignment]
    for module, name, kind in (
        (admission, "admit", "admit"),
        (claims, "claim", "claim"),
        (claims, "recover", "recover"),
        (totals, "streams", "streams"),
    ):
        _record_kind(module, name, kind, transaction)


def wrap_moves(killer: Killer) -> None:
    """Move rows as in a large ledger, though there are few and hardly a moment is idle.

    Every other run, as chance has it, looks ahead as well.
    """
    index_staging.MIN_STAGED, index_staging.MERGE_BATCH, writer._IDLE_SECONDS = 0, 16, 0.001
    if os.getpid() % 2:
        lookup_ahead.MIN_FILE_BYTES = 0
    real = index_staging.merge_staged

    def move(connection: Any) -> bool:
        with killer.commits:
            moved = real(_Move(connection, killer))  # type: ignore[arg-type]
            if moved:
                killer.reached("move.after")
        return moved

    index_staging.merge_staged = move


class _Move:
    """The writer's connection, watched while rows are moved: the point lies before the commit."""

    def __init__(self, connection: Any, killer: Killer) -> None:
        self._connection = connection
        self._killer = killer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """Run one statement."""
        if sql == SQL["count_merge"]:
            self._killer.reached("move.before")
        return self._connection.execute(sql, parameters)


def _record_kind(module: Any, name: str, kind: str, transaction: threading.local) -> None:
    """Record the kind of a job for the commit around it."""
    real = getattr(module, name)

    @wraps(real)
    def noted(*args: Any, **named: Any) -> Any:
        answer = real(*args, **named)
        if kind != "claim" or answer:
            transaction.kinds.add(kind)
        return answer

    setattr(module, name, noted)


def draining_points(killer: Killer, kinds: set[str]) -> list[str]:
    """Return the points of a drain that a commit of such changes reaches."""
    if not killer.draining:
        return []
    return [f"drain.{name}d" for name in ("release", "settle") if name in kinds]


def _checkpoint(connection: Any, killer: Killer) -> None:
    """Carry the write-ahead log over, as SQLite does by itself when it is long."""
    if killer.point == "checkpoint.middle" and killer.armed:
        threading.Timer(0.0002, killer.reached, ("checkpoint.middle",)).start()
        for _ in range(100):
            connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
        return
    killer.reached("checkpoint.before")
    connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
    killer.reached("checkpoint.after")
