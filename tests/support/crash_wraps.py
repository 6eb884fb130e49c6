"""How each point is reached: the product's functions, wrapped from outside."""

import asyncio
import os
import pkgutil
import signal
from collections.abc import Iterator
from contextvars import ContextVar
from importlib import import_module
from typing import Any

from dispatcher import platforms
from dispatcher.engine.clients.pool import ClientPool
from dispatcher.ledgers.ledger import SqliteLedger
from dispatcher.platforms import http_connection
from dispatcher.platforms.token import TokenManager
from tests.support.crash_ledger_wraps import wrap_commits, wrap_moves
from tests.support.crash_points import DRAIN, Killer, after
from tests.support.crash_source_wraps import wrap_remote_sources, wrap_sources

_REQUESTS = {"check": "check", "notify": "send", "open": "send", "look_back": "look"}
_sending: ContextVar[bool] = ContextVar("sending", default=False)


def install(killer: Killer, ledger: str = "file") -> None:
    """Wrap the product's functions; ``ledger`` is the kind of the ledger."""
    if ledger == "file":
        wrap_commits(killer)
        wrap_moves(killer)
        after(SqliteLedger, "recover", killer, "start.recovered")
    else:
        import_module("tests.support.crash_postgres_wraps").wrap_postgres(killer)
    _wrap_requests(killer)
    wrap_sources(killer)
    wrap_remote_sources(killer)
    _wrap_tokens(killer)
    if killer.point in DRAIN:
        _wrap_drain(killer)


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


# drain


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
        killer.draining = True
        killer.reached("drain.begun")

    killer.settled = settled  # type: ignore[method-assign]
    ClientPool.drain = drain  # type: ignore[method-assign]
