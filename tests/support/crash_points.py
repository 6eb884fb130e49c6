"""The points at which a run can be killed, each reached from outside of the product.

Nothing in the product knows of them: its functions are wrapped, and a wrapper that is passed for
the n-th time ends the process with SIGKILL.
"""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from functools import wraps
from pathlib import Path
from typing import Any

from dispatcher.engine.turnstile import Turnstile
from dispatcher.ledgers import admission, holding, schema, sums, writer
from dispatcher.ledgers.group import Change
from dispatcher.ledgers.sqlite import SqliteLedger
from dispatcher.platforms import http
from dispatcher.platforms.messaging import MessagingPlatform
from dispatcher.platforms.token import TokenKeeper
from dispatcher.settings import Settings
from dispatcher.sources import folder_source
from dispatcher.sources.arrivals import Arrivals
from dispatcher.sources.contents import FileContent
from dispatcher.sources.handover import Outlet

POINTS = {
    "recover.before": "the start's look at what a dead run left is not committed",
    "recover.after": "it is committed, and the run has done nothing else",
    "start.recovered": "the ledger is recovered, the platform was not asked for a token yet",
    "positions.after": "the positions are read, the source is not opened",
    "admit.before": "a batch is written and not committed",
    "admit.after": "a batch is committed, and the engine does not know it",
    "source.batch": "a batch has left the source's thread; the next one is not read",
    "claim.before": "contacts are claimed and not committed",
    "claim.after": "the claim is committed, and no worker has it",
    "check.before": "the state check is permitted and has not left",
    "check.after": "the state is known, nothing is decided",
    "intend.before": "the intent is made and not committed",
    "group.middle": "in the middle of a group of changes",
    "group.uncommitted": "a whole group is carried out and not committed",
    "intend.after": "the intent is committed, and the worker does not know it",
    "send.before": "the worker knows that the intent is committed; the request has not left",
    "send.left": "the request has left, the answer is not read",
    "send.after": "the answer is read, nothing is settled",
    "settle.before": "the settle is made and not committed",
    "settle.after": "the settle is committed, and nobody was told",
    "defer.before": "a contact is to be put back, and that is not committed",
    "defer.after": "a contact is back in the ledger, and nobody was told",
    "retract.before": "an intent is to be taken back, and that is not committed",
    "retract.after": "an intent is taken back, and the worker does not know it",
    "token.before": "a token is about to be asked for, in mid run",
    "token.after": "a token was issued, and nobody has it",
    "drain.begun": "the drain has begun",
    "drain.released": "the drain has given back what lay ready",
    "drain.settled": "the first contact is settled in the drain",
    "checkpoint.before": "the write-ahead log is about to be carried over into the ledger's file",
    "checkpoint.middle": "it is being carried over",
    "checkpoint.after": "it was carried over",
    "folder.seen": "a file under its temporary name was seen in the watched folder",
    "folder.arrived": "a complete file was seen, and not opened",
    "folder.opened": "a file of the folder was opened, and nothing of it read",
    "folder.read": "a file was read to its end, and the folder does not know it",
    "rotation.before": "in mid file, right before it is renamed",
    "rotation.after": "in mid file, right after it was renamed under the reader",
}
"""Every point by its name, and what is true when it is reached."""

LOOKING = {
    "look.before": "the platform is about to be asked what became of sends in doubt",
    "look.after": "its records are read, and nothing is concluded",
}
if "reconcile" in Settings.model_fields:
    POINTS |= LOOKING

START = frozenset({"recover.before", "recover.after", "start.recovered", "positions.after"})
"""Points that each run passes once, before its first contact."""
INTAKE = frozenset({"admit.before", "admit.after", "source.batch"})
DRAIN = frozenset(name for name in POINTS if name.startswith("drain."))
FOLDER = frozenset(name for name in POINTS if name.startswith("folder."))
ROTATION = frozenset(name for name in POINTS if name.startswith("rotation."))
CHECKPOINT = frozenset(name for name in POINTS if name.startswith("checkpoint."))

COMMITS_PER_CHECKPOINT = 10
STEPS_IN_A_GROUP = 200
"""Steps of SQLite's machine after which a group of changes is taken to be in its middle."""

_REQUESTS = {"check": "check", "notify": "send", "open": "send", "look_back": "look"}
_SETTLES = ("settle", "park")
_sending: ContextVar[bool] = ContextVar("sending", default=False)


class Killer:
    """Ends the process at one point: the ``nth`` time it is reached once enough is settled.

    ``at_death`` is called right before, while no commit runs.
    """

    def __init__(self, point: str, nth: int = 1, settles: int = 0) -> None:
        if point and point not in POINTS:
            raise SystemExit(f"no such point: {point}; there are {', '.join(POINTS)}")
        self.point = point
        self.commits = threading.RLock()
        self.at_death: Callable[[], None] = lambda: None
        self._nth = nth
        self._settles = settles
        self._seen = 0

    def settled(self, number: int) -> None:
        """Count what was settled."""
        self._settles -= number

    @property
    def armed(self) -> bool:
        """Whether enough was settled."""
        return self._settles <= 0

    def reached(self, *names: str) -> None:
        """Die, if the point is one of ``names`` and its time has come."""
        if self.point not in names or not self.armed:
            return
        self._seen += 1
        if self._seen >= self._nth:
            self.die()

    def die(self) -> None:
        """End as a power cut or the kernel ends a process: without a word."""
        with self.commits:
            self.at_death()
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)


def install(killer: Killer) -> None:
    """Wrap the product's functions."""
    _wrap_commits(killer)
    _wrap_requests(killer)
    _wrap_sources(killer)
    _after(SqliteLedger, "recover", killer, "start.recovered")
    _wrap_tokens(killer)
    if killer.point in DRAIN:
        _wrap_drain(killer)


# commits


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


def _wrap_commits(killer: Killer) -> None:
    real, transaction = writer.commit, threading.local()
    if killer.point in CHECKPOINT:
        schema._SETTINGS = (*schema._SETTINGS, "PRAGMA wal_autocheckpoint = 0")
    counted = 0

    def commit(connection: Any, path: Path, group: Sequence[Any]) -> list[Any]:
        nonlocal counted
        changes = [each.fields[0] for each in group if isinstance(each, Change)]
        kinds = {"settle" if kind in _SETTLES else kind for kind in changes}
        transaction.kinds = kinds
        with killer.commits:
            if len(changes) == len(group):  # one statement, which commits by itself
                killer.reached(*(f"{kind}.before" for kind in kinds))
            answers = real(_Transaction(connection, killer, kinds), path, group)
            killer.settled(sum(kind in _SETTLES for kind in changes))
            killer.reached(*(f"{kind}.after" for kind in kinds), *_draining(kinds))
            counted += 1
            if killer.point in CHECKPOINT and counted % COMMITS_PER_CHECKPOINT == 0:
                _checkpoint(connection, killer)
        return answers

    writer.commit = commit  # type: ignore[assignment]
    for module, name, kind in (
        (admission, "admit", "admit"),
        (holding, "claim", "claim"),
        (holding, "recover", "recover"),
        (sums, "positions", "positions"),
    ):
        _note(module, name, kind, transaction)


def _note(module: Any, name: str, kind: str, transaction: threading.local) -> None:
    """Let a job tell the commit around it what kind it is of."""
    real = getattr(module, name)

    @wraps(real)
    def noted(*args: Any, **named: Any) -> Any:
        answer = real(*args, **named)
        if kind != "claim" or answer:
            transaction.kinds.add(kind)
        return answer

    setattr(module, name, noted)


def _draining(kinds: set[str]) -> list[str]:
    if not _Drained.begun:
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


# requests and tokens


def _wrap_requests(killer: Killer) -> None:
    for name, step in _REQUESTS.items():
        _wrap_request(name, step, killer)
    answer = http._answer

    async def answered(protocol: Any) -> Any:
        if _sending.get() and killer.point == "send.left" and killer.armed:
            for _ in range(3):  # the bytes leave at the end of the event loop's turn
                await asyncio.sleep(0)
            killer.reached("send.left")
        return await answer(protocol)

    http._answer = answered


def _wrap_request(name: str, step: str, killer: Killer) -> None:
    real = getattr(MessagingPlatform, name)

    async def request(*args: Any) -> Any:
        killer.reached(f"{step}.before")
        token = _sending.set(step == "send")
        try:
            reply = await real(*args)
        finally:
            _sending.reset(token)
        killer.reached(f"{step}.after")
        return reply

    setattr(MessagingPlatform, name, request)


def _wrap_tokens(killer: Killer) -> None:
    """A token in mid run: the first one of a run does not count."""
    real, issued = TokenKeeper._issue, 0

    async def issue(self: TokenKeeper) -> Any:
        nonlocal issued
        issued += 1
        if issued == 1:
            return await real(self)
        killer.reached("token.before")
        token = await real(self)
        killer.reached("token.after")
        return token

    TokenKeeper._issue = issue  # type: ignore[method-assign]


def _after(owner: Any, name: str, killer: Killer, point: str) -> None:
    real = getattr(owner, name)

    @wraps(real)
    async def wrapped(*args: Any, **named: Any) -> Any:
        answer = await real(*args, **named)
        killer.reached(point)
        return answer

    setattr(owner, name, wrapped)


# drain


class _Drained:
    begun = False


def _wrap_drain(killer: Killer) -> None:
    """Ask for the drain as an operator does, once enough is settled."""
    real_drain, real_settled = Turnstile.drain, killer.settled

    def settled(number: int) -> None:
        before = killer.armed
        real_settled(number)
        if number and killer.armed and not before:
            os.kill(os.getpid(), signal.SIGTERM)

    def drain(self: Turnstile) -> None:
        real_drain(self)
        _Drained.begun = True
        killer.reached("drain.begun")

    killer.settled = settled  # type: ignore[method-assign]
    Turnstile.drain = drain  # type: ignore[method-assign]


# sources


def _wrap_sources(killer: Killer) -> None:
    put, look, opened = Outlet.put, Arrivals.look, FileContent.__enter__
    take_content = folder_source.read_content

    def putting(self: Outlet, batch: Any) -> None:
        put(self, batch)
        killer.reached("source.batch")
        position = batch.position
        if killer.point in ROTATION and killer.armed and position and not position.done:
            killer.reached("rotation.before")
            Path(position.file).rename(f"{position.file}.1")
            killer.reached("rotation.after")

    def looking(self: Arrivals, *args: Any) -> list[str]:
        ready = look(self, *args)
        if self._unfinished:
            killer.reached("folder.seen")
        if ready:
            killer.reached("folder.arrived")
        return ready

    def entering(self: FileContent) -> FileContent:
        killer.reached("folder.opened")
        return opened(self)

    def reading(*args: Any, **named: Any) -> None:
        take_content(*args, **named)
        killer.reached("folder.read")

    Outlet.put = putting  # type: ignore[method-assign]
    Arrivals.look = looking  # type: ignore[method-assign]
    FileContent.__enter__ = entering  # type: ignore[method-assign]
    folder_source.read_content = reading
