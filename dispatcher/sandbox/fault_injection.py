"""What each fault does to a request."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from dispatcher.sandbox.counters import Counters
from dispatcher.sandbox.dialect import Call
from dispatcher.sandbox.http import error_responses
from dispatcher.sandbox.http.connection import Connection
from dispatcher.sandbox.http.responses import Response
from dispatcher.sandbox.latency import drawer
from dispatcher.sandbox.scenario.model import Fault
from dispatcher.sandbox.world.random import generator

_INSTEAD: dict[str, Callable[[Call, Fault], Response]] = {
    "error_500": lambda call, _: error_responses.broken(call.correlation),
    "error_502": lambda _, __: error_responses.page(502, "502 Bad Gateway"),
    "error_503_json": lambda call, fault: error_responses.unavailable(
        call.correlation, fault.retry_after
    ),
    "error_503_html": lambda _, __: error_responses.page(
        503, "503 Service Temporarily Unavailable"
    ),
    "html_200": lambda _, __: error_responses.page(200, "Welcome"),
    "redirect": lambda _, fault: error_responses.redirect(fault.status, fault.location),
}


class FaultTarget(Protocol):
    """What a fault needs of the platform."""

    counts: Counters

    def answer(self, call: Call) -> Response:
        """Let a call take effect."""
        ...

    def encode(self, call: Call, answer: Response, *, keep_alive: bool) -> bytes:
        """Return an answer's bytes."""
        ...

    def reply(self, call: Call, connection: Connection, answer: Response, delay: float) -> None:
        """Send an answer after some seconds."""
        ...


class FaultInjector:
    """Applies faults."""

    def __init__(self, desk: FaultTarget, seed: int) -> None:
        self._desk = desk
        self._random = generator(seed, "delay")
        self._methods: dict[str, Callable[[Fault, Call, Connection], None]] = {
            "reset_before": self._reset_before,
            "reset_after": self._reset_after,
            "late_effect": self._late_effect,
            "no_answer": self._no_answer,
            "cut_body": self._cut_body,
            "slow": self._slow,
        }

    def apply(self, fault: Fault, call: Call, connection: Connection) -> None:
        """Let a fault happen to a request that would have been served."""
        self._methods.get(fault.kind, self._answer_instead)(fault, call, connection)

    def _answer_instead(self, fault: Fault, call: Call, connection: Connection) -> None:
        if fault.effect:
            self._desk.answer(call)
        self._desk.reply(call, connection, _INSTEAD[fault.kind](call, fault), 0.0)

    def _reset_before(self, _fault: Fault, _call: Call, connection: Connection) -> None:
        connection.reset()

    def _reset_after(self, _fault: Fault, call: Call, connection: Connection) -> None:
        self._desk.answer(call)
        connection.reset()

    def _late_effect(self, fault: Fault, call: Call, connection: Connection) -> None:
        connection.reset()
        self._desk.counts.pending_effects += 1
        asyncio.get_running_loop().call_later(self._seconds(fault), self._come_late, call)

    def _come_late(self, call: Call) -> None:
        self._desk.counts.pending_effects -= 1
        self._desk.answer(call)

    def _no_answer(self, fault: Fault, call: Call, _connection: Connection) -> None:
        if fault.effect:
            self._desk.answer(call)

    def _cut_body(self, _fault: Fault, call: Call, connection: Connection) -> None:
        answer = self._desk.answer(call)
        data = self._desk.encode(call, answer, keep_alive=False)
        connection.send(data[: len(data) - (len(answer.body) + 1) // 2], close=True)

    def _slow(self, fault: Fault, call: Call, connection: Connection) -> None:
        self._desk.reply(call, connection, self._desk.answer(call), self._seconds(fault))

    def _seconds(self, fault: Fault) -> float:
        return drawer(fault.delay, self._random)()
