"""Events as DogStatsD metrics."""

import time
from collections.abc import Callable, Mapping, Sequence

import structlog

from dispatcher.domain.events import (
    Answered,
    ClosedConflict,
    ConditionJudged,
    Deferred,
    Event,
    Gauges,
    Halted,
    InDoubt,
    LeaderState,
    PostAnswered,
    Resumed,
    RetryLoop,
    RowsRead,
    ScopeError,
    Settled,
    SinkLagged,
    StandbysCounted,
    StateAged,
    SuppressionListKept,
    Throttled,
    TokenRequested,
    UncheckedSend,
)
from dispatcher.telemetry.fanout import EventHandler, HandlerSink
from dispatcher.telemetry.metrics.agent import AgentAddress
from dispatcher.telemetry.metrics.catalog import Key, zero_counts
from dispatcher.telemetry.metrics.condition import condition_event, condition_gauges, service_check
from dispatcher.telemetry.metrics.dogstatsd import DogStatsdClient, OnDropped
from dispatcher.telemetry.metrics.gauge_series import MS, GaugeSeries, of_client
from dispatcher.telemetry.metrics.halt_series import HaltSeries
from dispatcher.telemetry.service_tags import read_service_tags
from dispatcher.telemetry.stats.request_ratio import RequestRatio

_CLOSE_SECONDS = 1.5


class StatsdSink(HandlerSink):
    """Sends every event to a Datadog agent; `emit` waits for nothing.

    Nothing is sent before `begin`, so that a start that fails leaves no trace but its exit; a
    standby sends only its gauges from `begin_standby` on. Counts
    and samples are aggregated, and leave every ``flush_seconds``. Every count is sent as 0 at the
    start. ``halted`` for every reason, and ``suppression.kept_last``, are sent as 0 or 1, at the
    start, when they change, and with each `Gauges`; so is ``heartbeat``, always as 1. ``clients``
    are the aliases where there are several OAuth clients: the metrics of one client then carry its
    alias as a tag.
    """

    def __init__(  # noqa: PLR0913 - what the settings give, and a clock for virtual time
        self, agent: AgentAddress, *, campaign: str, dialect: str, clients: Sequence[str] = (),
        flush_seconds: float = 0.5, on_dropped: OnDropped = lambda _event: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        tags = constant_tags(campaign, dialect)
        log = structlog.get_logger("dispatcher.telemetry").bind(campaign=campaign)
        self._client = DogStatsdClient(agent, tags, flush_seconds, log, on_dropped)
        self._clients = clients
        self._mode = ""
        self._is_sending = False
        self._halts = HaltSeries(clients, monotonic)
        self._list_kept = 0
        self._series = GaugeSeries()
        self._ratio = RequestRatio(monotonic)
        self.handlers = self._table()

    def begin(self, mode: str) -> None:
        """Send what was measured so far, and from now on; ``mode`` is ``daemon`` or ``once``."""
        self._mode = mode
        for key in zero_counts(self._clients):
            self._client.count(key, 0)
        self._client.count(("run.started", mode))
        self._send_alarms()
        self._start()

    def begin_standby(self) -> None:
        """Send what was measured so far, and from now on, although the run waits for its turn."""
        self._start()

    def _start(self) -> None:
        if not self._is_sending:
            self._is_sending = True
            self._client.start()

    def discard(self) -> None:
        """Forget what has not left: the start has failed after all."""
        self._client.discard()

    def end(self) -> None:
        """Let what is left leave, and return at once: several sinks end at the same time."""
        self._client.end(_CLOSE_SECONDS)

    def close(self) -> bool:
        """Send what is left and stop the thread, within 2 seconds; later events are dropped.

        Return False if a slow agent did not take it in time.
        """
        return self._client.close(_CLOSE_SECONDS)

    def _table(self) -> Mapping[type[Event], EventHandler]:
        count = self._client.count
        return {
            RowsRead: self._rows_read,
            PostAnswered: self._post_answered,
            Answered: self._answered,
            StateAged: lambda e: self._client.distribution(("state.age",), e.seconds * MS),
            Settled: self._settled,
            ScopeError: lambda e: count(of_client(e.client, "scope_errors", e.source)),
            ClosedConflict: lambda e: count(
                of_client(e.client, "closed_session_conflicts", e.step, str(e.status))
            ),
            RetryLoop: lambda e: count(("retry_loops", e.step)),
            UncheckedSend: lambda e: count(("unchecked_sends", e.step, e.answer)),
            Deferred: lambda e: count(("retries", e.reason)),
            InDoubt: lambda e: count(("in_doubt", e.resolution)),
            Throttled: lambda e: count(of_client(e.client, "api.throttled")),
            Gauges: self._gauges,
            TokenRequested: self._token_requested,
            Halted: self._halted,
            Resumed: self._resumed,
            LeaderState: self._leader_state,
            StandbysCounted: lambda e: self._client.gauge(("standbys",), e.count),
            SinkLagged: lambda e: self._client.gauge(("lineage.sink_lag", e.sink), e.rows),
            SuppressionListKept: self._set_list_kept,
            ConditionJudged: self._condition,
        }

    def _rows_read(self, event: RowsRead) -> None:
        self._client.count(("source.rows",), event.rows)
        self._client.count(("contacts.admitted",), event.admitted)
        self._client.count(("contacts.duplicate",), event.duplicates)
        self._client.count(("contacts.rejected_rows",), event.rejected)
        for kind, number in event.irregularities.items():
            self._client.count(("source.irregularities", kind), number)

    def _post_answered(self, event: PostAnswered) -> None:
        self._client.count(("intake.posts", event.status))
        self._client.count(("intake.rows",), event.rows)

    def _answered(self, event: Answered) -> None:
        self._ratio.requests += 1
        requests: Key = ("api.requests", event.step, event.status)
        latency: Key = ("api.latency", event.step)
        if event.client:  # empty where there is one client
            requests, latency = (*requests, event.client), (*latency, event.client)
        self._client.count(requests)
        self._client.distribution(latency, event.seconds * MS)

    def _settled(self, event: Settled) -> None:
        self._ratio.settled += 1
        self._client.count(("contacts.settled", event.status, event.reason))
        self._client.distribution(("contact.latency",), event.seconds * MS)

    def _gauges(self, event: Gauges) -> None:
        for key, value in self._series.of(event):
            self._client.gauge(key, value)
        self._client.gauge(("requests.per_contact",), round(self._ratio.value(), 3))
        self._send_alarms()

    def _token_requested(self, event: TokenRequested) -> None:
        self._client.count(of_client(event.client, "token.requests", event.status))
        self._client.distribution(of_client(event.client, "token.latency"), event.seconds * MS)

    def _halted(self, event: Halted) -> None:
        self._halts.halt(event)
        self._client.count(of_client(event.client, "halts", event.reason))
        self._send_alarms()

    def _resumed(self, event: Resumed) -> None:
        self._halts.resume(event)
        self._send_alarms()

    def _leader_state(self, event: LeaderState) -> None:
        self._client.gauge(("leader",), int(event.leading))
        self._client.gauge(("ledger.away",), round(event.away, 3))

    def _set_list_kept(self, event: SuppressionListKept) -> None:
        self._list_kept = int(event.kept)
        self._send_alarms()

    def _condition(self, event: ConditionJudged) -> None:
        for key, value in condition_gauges(event.condition):
            self._client.gauge(key, value)
        self._client.service_check(*service_check(event.condition))
        if event.changed_from is not None:
            title, text, alert_type = condition_event(event)
            self._client.event(title, text, alert_type=alert_type, group=event.condition.cause)

    def _send_alarms(self) -> None:
        self._client.gauge(("suppression.kept_last",), self._list_kept)
        for key, value in self._halts.values():
            self._client.gauge(key, value)
        if self._mode:
            self._client.gauge(("heartbeat", self._mode), 1)


def constant_tags(campaign: str, dialect: str) -> list[str]:
    """Return the tags that every series of a campaign carries; an empty value is left out."""
    own = {"campaign": campaign, "dialect": dialect}
    tags = [f"{name}:{value}" for name, value in own.items() if value]
    return [*tags, *read_service_tags().tags()]
