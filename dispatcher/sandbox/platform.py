"""One request's way through the sandbox: token, limits, quota, fault, dialect, latency, answer."""

import asyncio
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from dispatcher.sandbox.counters import Counters
from dispatcher.sandbox.dialect import Call, Dialect, DialectContext
from dispatcher.sandbox.fault_injection import FaultInjector
from dispatcher.sandbox.faults import FaultPlan
from dispatcher.sandbox.genesys.dialect import GENESYS, GenesysDialect
from dispatcher.sandbox.http import error_responses
from dispatcher.sandbox.http.connection import Connection, Request
from dispatcher.sandbox.http.responses import Response, Stamp, render
from dispatcher.sandbox.latency import Latency
from dispatcher.sandbox.messaging.dialect import MessagingDialect
from dispatcher.sandbox.oauth import MESSAGING, Grants
from dispatcher.sandbox.oauth_clients import make_clients
from dispatcher.sandbox.quota import LimitGate, Quota
from dispatcher.sandbox.scenario.scenario import Scenario
from dispatcher.sandbox.world.effect_log import EffectLog
from dispatcher.sandbox.world.message_archive import MessageArchive
from dispatcher.sandbox.world.random import fraction
from dispatcher.sandbox.world.timestamps import Times
from dispatcher.sandbox.world.world import ConversationView, World

if TYPE_CHECKING:
    from collections.abc import Callable


class SandboxPlatform:
    """The whole platform behind a connection; made inside a running event loop."""

    def __init__(self, scenario: Scenario, log_path: Path | None) -> None:
        seed = scenario.seed
        now = time.monotonic()
        self._wall_offset = time.time() - now
        self._first: float | None = None
        self._seed = seed
        self._stamp = Stamp(seed)
        self.on_first_request: Callable[[], None] = lambda: None
        self.counts = Counters()
        self.world = World(scenario.world, seed)
        needs = GENESYS if scenario.dialect == "genesys" else MESSAGING
        self.grants = Grants(scenario.token, needs)
        self.log = EffectLog(log_path, with_text=scenario.log_text)
        self.quota = Quota(scenario.rate, seed, now, self._wall_offset)
        self.others = make_clients(
            scenario.clients, scenario.token, needs, scenario.rate,
            lambda rate, number: Quota(rate, seed + number, now, self._wall_offset),
        )  # fmt: skip
        self.limits = [LimitGate(limit) for limit in scenario.limits]
        self.faults = FaultPlan(scenario.faults, seed)
        self._gates: defaultdict[str, list[LimitGate]] = defaultdict(list)
        for gate in self.limits:
            self._gates[gate.limit.endpoint].append(gate)
        self._latency = Latency(scenario.latency, seed)
        self._disturbance = FaultInjector(self, seed)
        self._dialect: Dialect = self._make_dialect(scenario, now)

    def _make_dialect(self, scenario: Scenario, now: float) -> Dialect:
        extra = scenario.world.extra_fields_share
        estate = DialectContext(
            self.world,
            self.grants,
            self.log,
            MessageArchive(scenario.analytics, scenario.seed),
            lambda conversation_id: fraction(self._seed, "extra", conversation_id) < extra,
        )
        if scenario.dialect == "genesys":
            return GenesysDialect(estate, scenario.genesys, now, self._wall_offset)
        return MessagingDialect(estate, Times(now + self._wall_offset))

    def serve(self, request: Request, connection: Connection) -> None:
        """Answer a request, now or after its latency; or disturb it."""
        now = time.monotonic()
        call = self._call(request, now)
        refused = self._admit(call)
        if refused is None:
            fault = self.faults.draw(call.endpoint, now - (self._first or now))
            if fault is not None:
                self.counts.faults[call.endpoint, fault.kind] += 1
                self._disturbance.apply(fault, call, connection)
                return
            refused = self._dialect.answer(call)
        self.reply(call, connection, refused, self._latency.draw(call.endpoint))

    def _call(self, request: Request, now: float) -> Call:
        self.counts.requests += 1
        if self._first is None:
            self._first = now
            self.on_first_request()
        wall = now + self._wall_offset
        endpoint, conversation_id = self._dialect.route(request)
        other = self.others.of(request.authorization, now) if self.others else None
        if other is not None:
            other.scopeless += not other.grants.may_write
        elif not self.grants.may_write:
            self.counts.note_scopeless(endpoint, now, wall)
        return Call(request, endpoint, conversation_id, self._stamp.correlation(), now, wall)

    def _admit(self, call: Call) -> Response | None:
        authorization = call.request.authorization
        if call.endpoint == "token":
            return self.others.token(authorization, call.request.body, call.now)
        client = self.others.of(authorization, call.now) or self
        call.grants = client.grants
        call.token = client.grants.find(authorization, call.now)
        if call.token is None:
            return error_responses.unauthorized(call.correlation, "token")
        refused = self._limited(call)
        quota = client.quota
        if refused is None and not quota.take(call.now):
            refused = error_responses.over_rate(call.correlation, quota.reset_after(call.now))
        call.rate_lines = quota.header_lines(call.now)
        return refused

    def _limited(self, call: Call) -> Response | None:
        for gate in self._gates.get(call.endpoint, ()):
            seconds = gate.take(call.now)
            if seconds:
                limit = gate.limit
                body: dict[str, object] = {
                    "key": limit.key,
                    "namespace": limit.namespace,
                    "value": limit.value,
                }
                return error_responses.over_limit(call.correlation, seconds, body)
        return None

    def answer(self, call: Call) -> Response:
        """Let the dialect answer, with the time that it is now."""
        call.now = time.monotonic()
        call.wall = call.now + self._wall_offset
        return self._dialect.answer(call)

    def encode(self, call: Call, answer: Response, *, keep_alive: bool) -> bytes:
        """Return an answer's bytes on the wire."""
        date = self._stamp.date(call.wall)
        return render(answer, call.correlation, date, call.rate_lines, keep_alive=keep_alive)

    def reply(self, call: Call, connection: Connection, answer: Response, delay: float) -> None:
        """Send an answer after ``delay`` seconds; it counts when it is delivered."""
        if delay > 0.0:
            loop = asyncio.get_running_loop()
            loop.call_later(delay, self._deliver, call, connection, answer)
        else:
            self._deliver(call, connection, answer)

    def _deliver(self, call: Call, connection: Connection, answer: Response) -> None:
        keep_alive = call.request.keep_alive
        data = self.encode(call, answer, keep_alive=keep_alive)
        if not connection.send(data, close=not keep_alive):
            self.counts.undelivered[call.endpoint] += 1
            return
        self.counts.answers[call.endpoint, answer.status] += 1
        if answer.cause is not None:
            self.counts.causes[answer.cause, call.endpoint] += 1

    def look(self, conversation_id: str) -> ConversationView | None:
        """Return a conversation as it is now."""
        return self.world.peek(conversation_id, time.monotonic())

    def change_rate(self, allowed: int | None, window_seconds: float | None) -> None:
        """Change the quota; a new window begins now."""
        self.quota.change(allowed, window_seconds, time.monotonic())

    def report(self) -> dict[str, object]:
        """Return the counts; the effect log is complete up to them."""
        self.log.flush()
        now = time.monotonic()
        report = self.counts.report(self.quota.windows(now), self.limits, self.log.count)
        return {**report, "clients": self.others.report(now)} if self.others else report
