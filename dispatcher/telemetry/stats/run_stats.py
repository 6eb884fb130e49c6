"""Counts of a run, for the progress view, the summary and ``/status``."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, fields

from dispatcher.domain.events import (
    Answered,
    ClosedConflict,
    Deferred,
    Event,
    Gauges,
    Halted,
    InDoubt,
    PostAnswered,
    Resumed,
    RetryLoop,
    RowsRead,
    ScopeError,
    Settled,
    Throttled,
    TokenRequested,
    UncheckedSend,
)
from dispatcher.domain.status import (
    HaltReason,
    Irregularity,
    Reason,
    RetryReason,
    ScopeSource,
    SendAnswer,
    Status,
    Step,
)
from dispatcher.telemetry.fanout import EventHandler, HandlerSink
from dispatcher.telemetry.stats.client_stats import ClientSnapshot, ClientStats
from dispatcher.telemetry.stats.rates import RollingRate
from dispatcher.telemetry.stats.request_ratio import RequestRatio


@dataclass(frozen=True, slots=True)
class Rates:
    """Per second, over the last 10 and the last 60 seconds."""

    settled_10: float
    settled_60: float
    requests_10: float
    requests_60: float


@dataclass(slots=True, kw_only=True)
class Counts:
    """Counts of one campaign in this run alone; the ledger has those of all runs.

    ``rows`` = ``admitted`` + ``duplicates`` + ``rejected_rows`` + ``filtered``. ``requests_saved``
    is what sends without a state check have saved, less what their refusals have cost. ``posts``
    counts posts of contacts by the status of their answers, ``posted_rows`` the rows of those that
    were accepted, repeats too.
    """

    rows: int = 0
    admitted: int = 0
    duplicates: int = 0
    rejected_rows: int = 0
    filtered: int = 0
    irregularities: Counter[Irregularity] = field(default_factory=Counter)
    posts: Counter[str] = field(default_factory=Counter)
    posted_rows: int = 0
    settled: Counter[tuple[Status, Reason]] = field(default_factory=Counter)
    requests: Counter[tuple[Step, str]] = field(default_factory=Counter)
    scope_errors: Counter[ScopeSource] = field(default_factory=Counter)
    closed_session_conflicts: Counter[tuple[Step, int]] = field(default_factory=Counter)
    retry_loops: Counter[Step] = field(default_factory=Counter)
    unchecked_sends: Counter[tuple[Step, SendAnswer]] = field(default_factory=Counter)
    requests_saved: float = 0.0
    retries: Counter[RetryReason] = field(default_factory=Counter)
    in_doubt: Counter[str] = field(default_factory=Counter)
    throttled: int = 0

    @property
    def settled_total(self) -> int:
        """Contacts that became final."""
        return self.settled.total()

    @property
    def requests_total(self) -> int:
        """Requests that came to an end."""
        return self.requests.total()


@dataclass(slots=True, kw_only=True)
class Snapshot(Counts):
    """Counts and state of a run at one moment, ``seconds`` after its start.

    ``halts`` are the reasons why the run is halted, each with the time of the halt in seconds
    since the epoch; a run of several clients is halted if all of them are. ``clients`` has each of
    several by its alias. ``gauges`` is None until the engine emitted them once.
    ``token_requests`` counts requests for tokens by their status, ``halts_begun`` halts by reason;
    they are those of the whole run. ``requests_per_contact`` is over the last five minutes.
    """

    seconds: float
    halts: Mapping[HaltReason, float]
    rates: Rates
    gauges: Gauges | None
    clients: Mapping[str, ClientSnapshot]
    token_requests: Mapping[str, int] = field(default_factory=dict)
    halts_begun: Mapping[HaltReason, int] = field(default_factory=dict)
    requests_per_contact: float = 0.0


class RunStats(HandlerSink):
    """Counts every event. One thread must emit events and take snapshots."""

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        epoch: Callable[[], float] = time.time,
        *,
        clients: Sequence[str] = (),
    ) -> None:
        self._clients = ClientStats(clients, epoch)
        self._monotonic = monotonic
        self._epoch = epoch
        self._started = monotonic()
        self._counts = Counts()
        self._halts: dict[HaltReason, float] = {}
        self._gauges: Gauges | None = None
        self._token_requests: Counter[str] = Counter()
        self._halts_begun: Counter[HaltReason] = Counter()
        self._ratio = RequestRatio(monotonic)
        self._settled_rate = RollingRate(self._started)
        self._request_rate = RollingRate(self._started)
        self.handlers = self._table()

    def snapshot(self) -> Snapshot:
        """Return the present counts and state; it takes some microseconds."""
        now = self._monotonic()
        return Snapshot(
            **{count.name: copy(getattr(self._counts, count.name)) for count in fields(Counts)},
            seconds=now - self._started,
            halts={**self._halts, **self._clients.halts()},
            rates=Rates(
                settled_10=self._settled_rate.per_second(now, 10),
                settled_60=self._settled_rate.per_second(now, 60),
                requests_10=self._request_rate.per_second(now, 10),
                requests_60=self._request_rate.per_second(now, 60),
            ),
            gauges=self._gauges,
            clients=self._clients.snapshot(),
            token_requests=copy(self._token_requests),
            halts_begun=copy(self._halts_begun),
            requests_per_contact=self._ratio.value(),
        )

    def _table(self) -> Mapping[type[Event], EventHandler]:
        counts = self._counts
        return {
            RowsRead: self._rows_read,
            PostAnswered: self._post_answered,
            Answered: self._answered,
            Settled: self._settle,
            ScopeError: self._scope_error,
            ClosedConflict: self._conflict,
            RetryLoop: lambda e: counts.retry_loops.update((e.step,)),
            UncheckedSend: self._unchecked_send,
            Deferred: lambda e: counts.retries.update((e.reason,)),
            InDoubt: lambda e: counts.in_doubt.update((e.resolution,)),
            Throttled: self._throttle,
            TokenRequested: lambda e: self._token_requests.update((e.status,)),
            Halted: self._halt,
            Resumed: self._resume,
            Gauges: self._gauge,
        }

    def _rows_read(self, event: RowsRead) -> None:
        self._counts.rows += event.rows
        self._counts.admitted += event.admitted
        self._counts.duplicates += event.duplicates
        self._counts.rejected_rows += event.rejected
        self._counts.filtered += event.filtered
        self._counts.irregularities.update(event.irregularities)

    def _post_answered(self, event: PostAnswered) -> None:
        self._counts.posts[event.status] += 1
        self._counts.posted_rows += event.rows

    def _answered(self, event: Answered) -> None:
        self._counts.requests[event.step, event.status] += 1
        self._ratio.requests += 1
        self._request_rate.add(self._monotonic())
        if event.client:  # empty where there is one client
            self._clients.emit(event)

    def _settle(self, event: Settled) -> None:
        self._counts.settled[event.status, event.reason] += 1
        self._ratio.settled += 1
        self._settled_rate.add(self._monotonic())

    def _scope_error(self, event: ScopeError) -> None:
        self._counts.scope_errors[event.source] += 1
        self._clients.emit(event)

    def _conflict(self, event: ClosedConflict) -> None:
        self._counts.closed_session_conflicts[event.step, event.status] += 1
        self._clients.emit(event)

    def _unchecked_send(self, event: UncheckedSend) -> None:
        self._counts.unchecked_sends[event.step, event.answer] += 1
        self._counts.requests_saved += event.saved

    def _throttle(self, event: Throttled) -> None:
        self._counts.throttled += 1
        self._clients.emit(event)

    def _halt(self, event: Halted) -> None:
        self._clients.emit(event)
        self._halts_begun[event.reason] += 1
        if not event.client:
            self._halts.setdefault(event.reason, self._epoch())

    def _resume(self, event: Resumed) -> None:
        self._clients.emit(event)
        if not event.client:
            self._halts.pop(event.reason, None)

    def _gauge(self, event: Gauges) -> None:
        self._gauges = event
        self._clients.set_pace(event)
