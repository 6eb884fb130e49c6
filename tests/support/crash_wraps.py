"""How each point is reached: the product's functions, wrapped from outside."""

import asyncio
import os
import pkgutil
import signal
import threading
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

from dispatcher import platforms
from dispatcher.engine.clients.pool import ClientPool
from dispatcher.ledgers import schema, totals
from dispatcher.ledgers.ledger import SqliteLedger
from dispatcher.ledgers.statements import SQL
from dispatcher.ledgers.write import admission, claims, index_staging, lookup_ahead, writer
from dispatcher.ledgers.write.group_commit import Change
from dispatcher.platforms import http_connection
from dispatcher.platforms.token import TokenManager
from dispatcher.sources.files import rejecting_reader
from dispatcher.sources.files.byte_source import FileContent
from dispatcher.sources.files.folder_scan import FolderScan
from dispatcher.sources.kafka.kafka_source import KafkaSource
from dispatcher.sources.kafka.topic_reader import TopicReader
from dispatcher.sources.sql.database import Database
from dispatcher.sources.thread_bridge import BatchChannel
from tests.support.crash_points import CHECKPOINT, DRAIN, ROTATION, Killer

COMMITS_PER_CHECKPOINT = 10
STEPS_IN_A_GROUP = 200
"""Steps of SQLite's machine after which a group of changes is taken to be in its middle."""

_REQUESTS = {"check": "check", "notify": "send", "open": "send", "look_back": "look"}
_SETTLES = ("settle", "park")
_sending: ContextVar[bool] = ContextVar("sending", default=False)


def install(killer: Killer) -> None:
    """Wrap the product's functions."""
    _wrap_commits(killer)
    _wrap_moves(killer)
    _wrap_requests(killer)
    _wrap_sources(killer)
    _wrap_remote_sources(killer)
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
        changes = [member.fields[0] for member in group if isinstance(member, Change)]
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
        (claims, "claim", "claim"),
        (claims, "recover", "recover"),
        (totals, "streams", "streams"),
    ):
        _record_kind(module, name, kind, transaction)


def _wrap_moves(killer: Killer) -> None:
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
    for platform in _platforms():
        for name, step in _REQUESTS.items():
            _wrap_request(platform, name, step, killer)
    send = http_connection.HttpConnection.send

    def sent(connection: Any, request: bytes) -> Any:
        answer = send(connection, request)
        is_point = _sending.get() and killer.point == "send.left" and killer.armed
        return _left(answer, killer) if is_point else answer

    http_connection.HttpConnection.send = sent


async def _left(answer: Any, killer: Killer) -> Any:
    for _ in range(3):  # the bytes leave at the end of the event loop's turn
        await asyncio.sleep(0)
    killer.reached("send.left")
    return await answer


def _platforms() -> Iterator[type]:
    """Find the class of each dialect: it makes all of the requests."""
    for found in pkgutil.walk_packages(platforms.__path__, f"{platforms.__name__}."):
        module = import_module(found.name)
        for member in vars(module).values():
            ours = isinstance(member, type) and member.__module__ == module.__name__
            if ours and all(hasattr(member, name) for name in _REQUESTS):
                yield member


def _wrap_request(platform: type, name: str, step: str, killer: Killer) -> None:
    real = getattr(platform, name)

    async def request(*args: Any) -> Any:
        killer.reached(f"{step}.before")
        if step == "send":
            killer.stop()
        token = _sending.set(step == "send")
        try:
            reply = await real(*args)
        finally:
            _sending.reset(token)
        killer.reached(f"{step}.after")
        return reply

    setattr(platform, name, request)


def _wrap_tokens(killer: Killer) -> None:
    """A token in mid run: the first one of a run does not count."""
    real, issued = TokenManager._issue, 0

    async def issue(self: TokenManager) -> Any:
        nonlocal issued
        issued += 1
        if issued == 1:
            return await real(self)
        killer.reached("token.before")
        token = await real(self)
        killer.reached("token.after")
        return token

    TokenManager._issue = issue  # type: ignore[method-assign]


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
    real_drain, real_settled = ClientPool.drain, killer.settled

    def settled(number: int) -> None:
        before = killer.armed
        real_settled(number)
        if number and killer.armed and not before:
            os.kill(os.getpid(), signal.SIGTERM)

    def drain(self: ClientPool) -> None:
        real_drain(self)
        _Drained.begun = True
        killer.reached("drain.begun")

    killer.settled = settled  # type: ignore[method-assign]
    ClientPool.drain = drain  # type: ignore[method-assign]


# sources


def _wrap_sources(killer: Killer) -> None:
    put, look, opened = BatchChannel.put, FolderScan.look, FileContent.__enter__
    take_content = rejecting_reader.read_content

    def putting(self: BatchChannel, batch: Any) -> None:
        put(self, batch)
        killer.reached("source.batch")
        stream = batch.stream
        if killer.point in ROTATION and killer.armed and stream and not stream.done:
            killer.reached("rotation.before")
            Path(stream.name).rename(f"{stream.name}.1")
            killer.reached("rotation.after")

    def looking(self: FolderScan, *args: Any) -> list[str]:
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

    BatchChannel.put = putting  # type: ignore[method-assign]
    FolderScan.look = looking  # type: ignore[method-assign]
    FileContent.__enter__ = entering  # type: ignore[method-assign]
    rejecting_reader.read_content = reading


def _wrap_remote_sources(killer: Killer) -> None:
    assign, fetch = TopicReader.assign, TopicReader.messages
    make_batch, read_page = KafkaSource._batch, Database.page

    def assigning(self: TopicReader, *args: Any) -> None:
        assign(self, *args)
        killer.reached("topic.assigned")

    async def fetching(self: TopicReader, *args: Any) -> Any:
        found = await fetch(self, *args)
        if found:
            killer.reached("topic.fetched")
        return found

    async def making(self: KafkaSource, *args: Any) -> Any:
        batch = await make_batch(self, *args)
        killer.reached("source.batch")
        return batch

    def reading(self: Database, *args: Any) -> Any:
        page = read_page(self, *args)
        if page:
            killer.reached("page.read")
        return page

    TopicReader.assign = assigning  # type: ignore[method-assign]
    TopicReader.messages = fetching  # type: ignore[method-assign]
    KafkaSource._batch = making  # type: ignore[method-assign]
    Database.page = reading  # type: ignore[method-assign]
