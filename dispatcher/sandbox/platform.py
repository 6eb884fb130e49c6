"""How the sandbox handles a request: token, limits, quota, fault, dialect, latency, answer."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from dispatcher.sandbox.counters import Counters
from dispatcher.sandbox.dialect import Call
from dispatcher.sandbox.dialects import Moment, dialect_scopes, make_dialect
from dispatcher.sandbox.fault_injection import FAULT_ANSWERS, FaultPlan
from dispatcher.sandbox.http import error_responses
from dispatcher.sandbox.http.connection import Connection, Request
from dispatcher.sandbox.http.responses import Response, Stamp, render
from dispatcher.sandbox.latency import Latency, drawer
from dispatcher.sandbox.oauth import Grants
from dispatcher.sandbox.oauth_clients import make_clients
from dispatcher.sandbox.quota import LimitGate, Quota
from dispatcher.sandbox.scenario.model import Fault
from dispatcher.sandbox.scenario.scenario import Scenario
from dispatcher.sandbox.world.effect_log import EffectLog
from dispatcher.sandbox.world.random import generator
from dispatcher.sandbox.world.world import World


class SandboxPlatform:
    """The whole platform; make it inside a running event loop.

    ``on_first_request`` is called once, ``on_effect`` with the number of effects after each one.
    """

    def __init__(
        self,
        scenario: Scenario,
        log_path: Path | None,
        on_first_request: Callable[[], None],
        on_effect: Callable[[int], None],
    ) -> None:
        seed = scenario.seed
        now = time.monotonic()
        self._wall_offset = time.time() - now
        self._first: float | None = None
        self._on_first_request = on_first_request
        self._stamp = Stamp(seed)
        self.counts = Counters()
        self.world = World(scenario.world, seed)
        needs = dialect_scopes(scenario.dialect)
        self.grants = Grants(scenario.token, needs)
        self.log = EffectLog(log_path, with_text=scenario.log_text, on_effect=on_effect)
        self.quota = Quota(scenario.rate, seed, now, self._wall_offset)
        self.clients = make_clients(
            scenario.clients, scenario.token, needs, scenario.rate,
            lambda rate, number: Quota(rate, seed + number, now, self._wall_offset),
        )  # fmt: skip
        self.limits = [LimitGate(limit) for limit in scenario.limit]
        self.faults = FaultPlan(scenario.fault, seed)
        self._gates: defaultdict[str, list[LimitGate]] = defaultdict(list)
        for gate in self.limits:
            self._gates[gate.limit.endpoint].append(gate)
        self._latency = Latency(scenario.latency, seed)
        self._delays = generator(seed, "delay")
        self._dialect = make_dialect(
            scenario, self.world, self.grants, self.log, Moment(now, now + self._wall_offset)
        )

    def serve(self, request: Request, connection: Connection) -> None:
        """Answer a request, now or after its latency, or apply a fault to it."""
        now = time.monotonic()
        call = self._call(request, now)
        answer = self._admit(call)
        if answer is None:
            fault = self.faults.draw(call.endpoint, now - (self._first or now))
            if fault is not None:
                self.counts.faults[call.endpoint, fault.kind] += 1
                self._apply_fault(fault, call, connection)
                return
            answer = self._dialect.answer(call)
        self._reply(call, connection, answer, self._latency.draw(call.endpoint))

    def _call(self, request: Request, now: float) -> Call:
        self.counts.requests += 1
        if self._first is None:
            self._first = now
            self._on_first_request()
        wall = now + self._wall_offset
        endpoint, conversation_id = self._dialect.route(request)
        other = self.clients.find_token(request.authorization, now) if self.clients else None
        if other is not None:
            other.scopeless += not other.grants.may_write
        elif not self.grants.may_write:
            self.counts.note_scopeless(endpoint, now, wall)
        return Call(request, endpoint, conversation_id, self._stamp.correlation(), now, wall)

    def _admit(self, call: Call) -> Response | None:
        """Return the answer if no dialect gets the call: a refusal, or a further client's token."""
        authorization = call.request.authorization
        if call.endpoint == "token":
            other = self.clients.find_secret(authorization)
            if other is None:
                return None
            return other.grants.token_response(call.request.body, call.now)
        client = self.clients.find_token(authorization, call.now) or self
        call.grants = client.grants
        call.token = client.grants.find(authorization, call.now)
        if call.token is None:
            return error_responses.unauthorized(call.correlation, "token")
        refusal = self._over_limit(call)
        quota = client.quota
        if refusal is None and not quota.take(call.now):
            refusal = error_responses.too_many(call.correlation, quota.reset_after(call.now))
        call.rate_lines = quota.header_lines(call.now)
        return refusal

    def _over_limit(self, call: Call) -> Response | None:
        for gate in self._gates.get(call.endpoint, ()):
            seconds = gate.take(call.now)
            if seconds:
                return error_responses.too_many(call.correlation, seconds, gate.limit)
        return None

    def _apply_fault(self, fault: Fault, call: Call, connection: Connection) -> None:
        match fault.kind:
            case "reset_before":
                connection.reset()
            case "reset_after":
                self._dialect.answer(call)
                connection.reset()
            case "late_effect":
                connection.reset()
                self.counts.pending_effects += 1
                asyncio.get_running_loop().call_later(self._delay(fault), self._apply_late, call)
            case "no_answer":
                if fault.effect:
                    self._dialect.answer(call)
            case "cut_body":
                answer = self._dialect.answer(call)
                data = self._encode(call, answer, keep_alive=False)
                connection.send(data[: len(data) - (len(answer.body) + 1) // 2], close=True)
            case "slow":
                self._reply(call, connection, self._dialect.answer(call), self._delay(fault))
            case kind:
                if fault.effect:
                    self._dialect.answer(call)
                self._reply(call, connection, FAULT_ANSWERS[kind](call, fault), 0.0)

    def _apply_late(self, call: Call) -> None:
        self.counts.pending_effects -= 1
        call.now = time.monotonic()
        call.wall = call.now + self._wall_offset
        self._dialect.answer(call)

    def _delay(self, fault: Fault) -> float:
        return drawer(fault.delay, self._delays)()

    def _encode(self, call: Call, answer: Response, *, keep_alive: bool) -> bytes:
        date = self._stamp.date(call.wall)
        return render(answer, call.correlation, date, call.rate_lines, keep_alive=keep_alive)

    def _reply(self, call: Call, connection: Connection, answer: Response, delay: float) -> None:
        if delay > 0.0:
            loop = asyncio.get_running_loop()
            loop.call_later(delay, self._deliver, call, connection, answer)
        else:
            self._deliver(call, connection, answer)

    def _deliver(self, call: Call, connection: Connection, answer: Response) -> None:
        keep_alive = call.request.keep_alive
        data = self._encode(call, answer, keep_alive=keep_alive)
        if not connection.send(data, close=not keep_alive):
            self.counts.undelivered[call.endpoint] += 1
            return
        self.counts.answers[call.endpoint, answer.status] += 1
        if answer.cause is not None:
            self.counts.causes[answer.cause, call.endpoint] += 1

    def report(self) -> dict[str, object]:
        """Return the counts; every effect in them is in the log file."""
        self.log.flush()
        now = time.monotonic()
        report = self.counts.report(self.quota.windows(now), self.limits, self.log.count)
        return {**report, "clients": self.clients.report(now)} if self.clients else report
