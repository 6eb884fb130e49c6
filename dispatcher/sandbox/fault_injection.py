"""Which request is hit by which fault, and what the fault does to it."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Protocol

from dispatcher.sandbox.counters import Counters
from dispatcher.sandbox.dialect import Call
from dispatcher.sandbox.http import error_responses
from dispatcher.sandbox.http.connection import Connection
from dispatcher.sandbox.http.responses import Response
from dispatcher.sandbox.latency import drawer
from dispatcher.sandbox.scenario.model import Fault, FaultKind
from dispatcher.sandbox.world.random import generator


class _Rule:
    """One fault with its own random generator and its own count of requests."""

    def __init__(self, fault: Fault, seed: int, number: int) -> None:
        self.fault = fault
        self._random = generator(seed, f"fault:{number}")
        self._nth = frozenset(fault.nth)
        self._requests = 0

    def hits(self, elapsed: float) -> bool:
        fault = self.fault
        if elapsed < fault.from_seconds:
            return False
        if fault.until_seconds is not None and elapsed >= fault.until_seconds:
            return False
        self._requests += 1
        if self._nth:
            return self._requests in self._nth
        if fault.every is not None:
            return self._requests % fault.every == 0
        return fault.probability is None or self._random.random() < fault.probability


class FaultPlan:
    """Draws at most one fault for each request; earlier rules win."""

    def __init__(self, faults: Iterable[Fault], seed: int) -> None:
        self._rules: defaultdict[str, list[_Rule]] = defaultdict(list)
        for number, fault in enumerate(faults):
            rule = _Rule(fault, seed, number)
            for endpoint in fault.targets:
                self._rules[endpoint].append(rule)

    def draw(self, endpoint: str, elapsed: float) -> Fault | None:
        """Return the fault for this request; ``elapsed`` is in seconds since the first request."""
        rules = self._rules.get(endpoint)
        if rules is None:
            return None
        # every rule counts the request, also one that an earlier rule hits
        hits = [rule.fault for rule in rules if rule.hits(elapsed)]
        return hits[0] if hits else None


_INSTEAD: dict[FaultKind, Callable[[Call, Fault], Response]] = {
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
    """The part of the platform that faults use."""

    counts: Counters

    def answer(self, call: Call) -> Response:
        """Answer a call and apply its effect."""
        ...

    def encode(self, call: Call, answer: Response, *, keep_alive: bool) -> bytes:
        """Return an answer's bytes."""
        ...

    def reply(self, call: Call, connection: Connection, answer: Response, delay: float) -> None:
        """Send an answer after ``delay`` seconds."""
        ...


class FaultInjector:
    """Applies faults to requests that would have been served."""

    def __init__(self, target: FaultTarget, seed: int) -> None:
        self._target = target
        self._random = generator(seed, "delay")

    def apply(self, fault: Fault, call: Call, connection: Connection) -> None:
        """Apply a fault to a request."""
        target = self._target
        match fault.kind:
            case "reset_before":
                connection.reset()
            case "reset_after":
                target.answer(call)
                connection.reset()
            case "late_effect":
                connection.reset()
                target.counts.pending_effects += 1
                asyncio.get_running_loop().call_later(self._delay(fault), self._apply_late, call)
            case "no_answer":
                if fault.effect:
                    target.answer(call)
            case "cut_body":
                answer = target.answer(call)
                data = target.encode(call, answer, keep_alive=False)
                connection.send(data[: len(data) - (len(answer.body) + 1) // 2], close=True)
            case "slow":
                target.reply(call, connection, target.answer(call), self._delay(fault))
            case kind:
                if fault.effect:
                    target.answer(call)
                target.reply(call, connection, _INSTEAD[kind](call, fault), 0.0)

    def _apply_late(self, call: Call) -> None:
        self._target.counts.pending_effects -= 1
        self._target.answer(call)

    def _delay(self, fault: Fault) -> float:
        return drawer(fault.delay, self._random)()
