"""Events as DogStatsD metrics."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from threading import Event as Flag
from threading import Thread
from typing import Any

import structlog

from dispatcher.domain.events import (
    Answered,
    ClientPace,
    ClosedConflict,
    Deferred,
    Event,
    Gauges,
    Halted,
    InDoubt,
    Resumed,
    RetryLoop,
    RowsRead,
    ScopeError,
    Settled,
    StateAged,
    Throttled,
)
from dispatcher.telemetry.metrics.agent import AgentAddress
from dispatcher.telemetry.metrics.buffer import MetricBatch, MetricBuffer
from dispatcher.telemetry.metrics.catalog import Key, halts, tags_of, zeros
from dispatcher.telemetry.metrics.dogstatsd import DogStatsdClient

_CLOSE_SECONDS = 1.5
_MS = 1000.0

MOST_SAMPLES = 256
"""Samples of one distribution that leave in one flush; of more, a random choice does, and
says of how many it was taken, so that counts and percentiles stay true."""


class StatsdSink:
    """Sends every event to a Datadog agent; `emit` waits for nothing.

    Counts and samples are added up here, and leave every ``flush_seconds``. Every count is
    sent as 0 at the start. ``halted`` is sent for every reason, as 0 or 1, at the start, when
    it changes, and with each `Gauges`. With ``clients``, the aliases of several, what concerns
    one of them carries its alias as a tag. An agent that is not there costs nothing but the
    metrics; `close` sends what is left, takes at most 2 seconds, and stops all threads.
    """

    def __init__(
        self, agent: AgentAddress, *, campaign: str, dialect: str, clients: Sequence[str] = (),
        flush_seconds: float = 0.5,
    ) -> None:  # fmt: skip
        self._client = DogStatsdClient(agent, [f"campaign:{campaign}", f"dialect:{dialect}"])
        self._pending = MetricBuffer()
        self._halted = dict.fromkeys(halts(clients), 0)
        self.handlers = self._table()
        self._flush_seconds = flush_seconds
        self._closed = Flag()
        for key in zeros(clients):
            self._pending.count(key, 0)
        self._pending.gauge(self._halts())
        self._thread = Thread(target=self._run, name="statsd-flush", daemon=True)
        self._thread.start()

    def emit(self, event: Event) -> None:
        """Take one fact; whatever comes after `close` is dropped."""
        handler = self.handlers.get(type(event))
        if handler is not None:
            handler(event)

    def close(self) -> bool:
        """Send what is left and stop; false if a slow agent did not take it in time."""
        if self._closed.is_set():
            return True
        deadline = time.monotonic() + _CLOSE_SECONDS
        self._closed.set()
        self._thread.join(_CLOSE_SECONDS)
        return self._client.close(max(deadline - time.monotonic(), 0.0))

    def _run(self) -> None:
        while not self._closed.wait(self._flush_seconds):
            self._flush_or_log()
        self._flush_or_log()

    def _flush_or_log(self) -> None:
        try:
            self._flush()
        except Exception:  # noqa: BLE001 - a flush that fails must not end those that follow
            structlog.get_logger("dispatcher.telemetry").exception("statsd.flush_failed")

    def _flush(self) -> None:
        taken = self._pending.take()
        self._send_samples(taken)
        for key, count in taken.counts.items():
            self._client.count(key[0], count, tags_of(key))
        for key, value in taken.gauges.items():
            self._client.gauge(key[0], value, tags_of(key))
        self._client.flush()

    def _send_samples(self, taken: MetricBatch) -> None:
        for key, samples in taken.samples.items():
            rate = min(1, MOST_SAMPLES / len(samples))
            kept = samples if rate == 1 else random.sample(samples, MOST_SAMPLES)
            values = [round(value, 3) for value in kept]
            self._client.distribution(key[0], values, tags_of(key), rate)

    def _table(self) -> Mapping[type[Event], Callable[[Any], None]]:
        count = self._pending.count
        return {
            RowsRead: self._rows_read,
            Answered: self._answered,
            StateAged: lambda e: self._pending.sample(("state.age",), e.seconds * _MS),
            Settled: self._settled,
            ScopeError: lambda e: count(_of(e.client, "scope_errors", e.source)),
            ClosedConflict: lambda e: count(
                _of(e.client, "closed_session_conflicts", e.step, str(e.status))
            ),
            RetryLoop: lambda e: count(("retry_loops", e.step)),
            Deferred: lambda e: count(("retries", e.reason)),
            InDoubt: lambda e: count(("in_doubt", e.resolution)),
            Throttled: lambda e: count(_of(e.client, "api.throttled")),
            Gauges: self._gauges,
            Halted: self._halt,
            Resumed: self._resume,
        }

    def _rows_read(self, event: RowsRead) -> None:
        self._pending.count(("contacts.admitted",), event.admitted)
        self._pending.count(("contacts.duplicate",), event.duplicates)
        self._pending.count(("contacts.rejected_rows",), event.rejected)

    def _answered(self, event: Answered) -> None:
        client = event.client
        self._pending.count(_of(client, "api.requests", event.step, event.status))
        self._pending.sample(_of(client, "api.latency", event.step), event.seconds * _MS)

    def _settled(self, event: Settled) -> None:
        self._pending.count(("contacts.settled", event.status, event.reason))
        self._pending.sample(("contact.latency",), event.seconds * _MS)

    def _gauges(self, event: Gauges) -> None:
        gauges: dict[Key, float] = {
            ("in_flight",): event.in_flight,
            ("backlog",): event.backlog,
            ("oldest_due",): round(event.oldest_due, 3),
        }
        whole = ClientPace("", event.pace, event.quota_used)
        for each in event.clients or (whole,):
            gauges[_of(each.client, "pace")] = round(each.pace, 3)
            gauges[_of(each.client, "quota.used")] = round(each.quota_used, 4)
        self._pending.gauge(gauges | self._halts())

    def _halt(self, event: Halted) -> None:
        self._halted[_of(event.client, "halted", event.reason)] = 1
        self._pending.gauge(self._halts())

    def _resume(self, event: Resumed) -> None:
        self._halted[_of(event.client, "halted", event.reason)] = 0
        self._pending.gauge(self._halts())

    def _halts(self) -> dict[Key, float]:
        return dict(self._halted)


def _of(client: str, *key: str) -> Key:
    """Return the series of one client's; of the run's where there is but one client."""
    return (*key, client) if client else key
