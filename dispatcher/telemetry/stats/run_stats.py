"""Counts in memory: for the progress view, the summary and ``/status``."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dispatcher.domain.events import (
    Answered,
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
    Throttled,
)
from dispatcher.domain.status import HaltReason, Reason, RetryReason, ScopeSource, Status, Step
from dispatcher.telemetry.stats.client_stats import ClientSnapshot, ClientStats
from dispatcher.telemetry.stats.rates import RollingRate


@dataclass(frozen=True, slots=True)
class Rates:
    """Per second, over the last 10 and the last 60 seconds."""

    settled_10: float
    settled_60: float
    requests_10: float
    requests_60: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How the run stood at one moment. It counts this run alone; the ledger knows them all.

    ``rows`` = ``admitted`` + ``duplicates`` + ``rejected_rows`` + ``filtered``. ``halts`` are
    the reasons for which the run stands still, each with the time since when, in seconds since
    the epoch; of several clients all must. ``clients`` has each of several by its alias.
    ``gauges`` is None until the engine told them once.
    """

    seconds: float
    rows: int
    admitted: int
    duplicates: int
    rejected_rows: int
    filtered: int
    settled: Mapping[tuple[Status, Reason], int]
    requests: Mapping[tuple[Step, str], int]
    scope_errors: Mapping[ScopeSource, int]
    closed_session_conflicts: Mapping[tuple[Step, int], int]
    retry_loops: Mapping[Step, int]
    retries: Mapping[RetryReason, int]
    in_doubt: Mapping[str, int]
    throttled: int
    halts: Mapping[HaltReason, float]
    rates: Rates
    gauges: Gauges | None
    clients: Mapping[str, ClientSnapshot] = field(default_factory=dict)

    @property
    def settled_total(self) -> int:
        """Contacts that became final."""
        return sum(self.settled.values())

    @property
    def requests_total(self) -> int:
        """Requests that came to an end."""
        return sum(self.requests.values())


class RunStats:
    """Counts every event; one thread emits, and takes snapshots."""

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        epoch: Callable[[], float] = time.time,
        *,
        clients: Sequence[str] = (),
    ) -> None:
        self._clients = ClientStats(clients)
        self._monotonic = monotonic
        self._epoch = epoch
        self._started = monotonic()
        self._rows = self._admitted = self._duplicates = self._rejected = self._filtered = 0
        self._settled: Counter[tuple[Status, Reason]] = Counter()
        self._requests: Counter[tuple[Step, str]] = Counter()
        self._scope_errors: Counter[ScopeSource] = Counter()
        self._conflicts: Counter[tuple[Step, int]] = Counter()
        self._loops: Counter[Step] = Counter()
        self._retries: Counter[RetryReason] = Counter()
        self._in_doubt: Counter[str] = Counter()
        self._throttled = 0
        self._halts: dict[HaltReason, float] = {}
        self._gauges: Gauges | None = None
        self._settled_rate, self._request_rate = (
            RollingRate(self._started),
            RollingRate(self._started),
        )
        self.handlers = self._table()

    def emit(self, event: Event) -> None:
        """Take one fact."""
        handler = self.handlers.get(type(event))
        if handler is not None:
            handler(event)

    def snapshot(self) -> Snapshot:
        """Return how things stand; it costs some microseconds."""
        now = self._monotonic()
        return Snapshot(
            seconds=now - self._started,
            rows=self._rows,
            admitted=self._admitted,
            duplicates=self._duplicates,
            rejected_rows=self._rejected,
            filtered=self._filtered,
            settled=dict(self._settled),
            requests=dict(self._requests),
            scope_errors=dict(self._scope_errors),
            closed_session_conflicts=dict(self._conflicts),
            retry_loops=dict(self._loops),
            retries=dict(self._retries),
            in_doubt=dict(self._in_doubt),
            throttled=self._throttled,
            halts={**self._halts, **self._clients.halts()},
            rates=self._rates(now),
            gauges=self._gauges,
            clients=self._clients.standing(),
        )

    def _rates(self, now: float) -> Rates:
        return Rates(
            settled_10=self._settled_rate.per_second(now, 10),
            settled_60=self._settled_rate.per_second(now, 60),
            requests_10=self._request_rate.per_second(now, 10),
            requests_60=self._request_rate.per_second(now, 60),
        )

    def _table(self) -> Mapping[type[Event], Callable[[Any], None]]:
        return {
            RowsRead: self._rows_read,
            Answered: self._answered,
            Settled: self._settle,
            ScopeError: self._scope_error,
            ClosedConflict: self._conflict,
            RetryLoop: lambda e: self._loops.update((e.step,)),
            Deferred: lambda e: self._retries.update((e.reason,)),
            InDoubt: lambda e: self._in_doubt.update((e.resolution,)),
            Throttled: self._throttle,
            Halted: self._halt,
            Resumed: self._resume,
            Gauges: self._gauge,
        }

    def _rows_read(self, event: RowsRead) -> None:
        self._rows += event.rows
        self._admitted += event.admitted
        self._duplicates += event.duplicates
        self._rejected += event.rejected
        self._filtered += event.filtered

    def _answered(self, event: Answered) -> None:
        self._requests[event.step, event.status] += 1
        self._request_rate.add(self._monotonic())
        if event.client:
            self._clients.answered(event)

    def _settle(self, event: Settled) -> None:
        self._settled[event.status, event.reason] += 1
        self._settled_rate.add(self._monotonic())

    def _scope_error(self, event: ScopeError) -> None:
        self._scope_errors[event.source] += 1
        self._clients.counted(event)

    def _conflict(self, event: ClosedConflict) -> None:
        self._conflicts[event.step, event.status] += 1
        self._clients.counted(event)

    def _throttle(self, event: Throttled) -> None:
        self._throttled += 1
        self._clients.counted(event)

    def _halt(self, event: Halted) -> None:
        if event.client:
            self._clients.halted(event, self._epoch())
        else:
            self._halts.setdefault(event.reason, self._epoch())

    def _resume(self, event: Resumed) -> None:
        if event.client:
            self._clients.resumed(event)
        else:
            self._halts.pop(event.reason, None)

    def _gauge(self, event: Gauges) -> None:
        self._gauges = event
        self._clients.paced(event)
