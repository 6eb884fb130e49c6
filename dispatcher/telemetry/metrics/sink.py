"""Events as DogStatsD metrics."""

from collections.abc import Mapping, Sequence

from dispatcher.domain.events import (
    Answered,
    ClientPace,
    ClosedConflict,
    ConditionJudged,
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
    SuppressionListKept,
    Throttled,
    UncheckedSend,
)
from dispatcher.telemetry.fanout import EventHandler, HandlerSink
from dispatcher.telemetry.metrics.agent import AgentAddress
from dispatcher.telemetry.metrics.catalog import Key, halt_gauges, zero_counts
from dispatcher.telemetry.metrics.condition import condition_event, condition_gauges, service_check
from dispatcher.telemetry.metrics.dogstatsd import DogStatsdClient

_CLOSE_SECONDS = 1.5
_MS = 1000.0


class StatsdSink(HandlerSink):
    """Sends every event to a Datadog agent; `emit` waits for nothing.

    Counts and samples are aggregated, and leave every ``flush_seconds``. Every count is sent as 0
    at the start. ``halted`` for every reason, and ``suppression.kept_last``, are sent as 0 or 1, at
    the start, when they change, and with each `Gauges`. ``clients`` are the aliases where there are
    several OAuth clients: the metrics of one client then carry its alias as a tag. An agent that is
    not there costs nothing but the metrics.
    """

    def __init__(
        self, agent: AgentAddress, *, campaign: str, dialect: str, clients: Sequence[str] = (),
        flush_seconds: float = 0.5,
    ) -> None:  # fmt: skip
        tags = (f"campaign:{campaign}", f"dialect:{dialect}")
        self._client = DogStatsdClient(agent, tags, flush_seconds)
        self._alarms = dict.fromkeys(halt_gauges(clients), 0)
        self._alarms["suppression.kept_last",] = 0
        self.handlers = self._table()
        for key in zero_counts(clients):
            self._client.count(key, 0)
        self._send_alarms()

    def close(self) -> bool:
        """Send what is left and stop all threads, within 2 seconds; later events are dropped.

        Return False if a slow agent did not take it in time.
        """
        return self._client.close(_CLOSE_SECONDS)

    def _table(self) -> Mapping[type[Event], EventHandler]:
        count = self._client.count
        return {
            RowsRead: self._rows_read,
            Answered: self._answered,
            StateAged: lambda e: self._client.distribution(("state.age",), e.seconds * _MS),
            Settled: self._settled,
            ScopeError: lambda e: count(_key(e.client, "scope_errors", e.source)),
            ClosedConflict: lambda e: count(
                _key(e.client, "closed_session_conflicts", e.step, str(e.status))
            ),
            RetryLoop: lambda e: count(("retry_loops", e.step)),
            UncheckedSend: lambda e: count(("unchecked_sends", e.step, e.answer)),
            Deferred: lambda e: count(("retries", e.reason)),
            InDoubt: lambda e: count(("in_doubt", e.resolution)),
            Throttled: lambda e: count(_key(e.client, "api.throttled")),
            Gauges: self._gauges,
            Halted: lambda e: self._set_halt(e, 1),
            Resumed: lambda e: self._set_halt(e, 0),
            SuppressionListKept: self._set_list_kept,
            ConditionJudged: self._condition,
        }

    def _rows_read(self, event: RowsRead) -> None:
        self._client.count(("contacts.admitted",), event.admitted)
        self._client.count(("contacts.duplicate",), event.duplicates)
        self._client.count(("contacts.rejected_rows",), event.rejected)
        for kind, number in event.irregularities.items():
            self._client.count(("source.irregularities", kind), number)

    def _answered(self, event: Answered) -> None:
        client = event.client
        self._client.count(_key(client, "api.requests", event.step, event.status))
        self._client.distribution(_key(client, "api.latency", event.step), event.seconds * _MS)

    def _settled(self, event: Settled) -> None:
        self._client.count(("contacts.settled", event.status, event.reason))
        self._client.distribution(("contact.latency",), event.seconds * _MS)

    def _gauges(self, event: Gauges) -> None:
        gauge = self._client.gauge
        gauge(("in_flight",), event.in_flight)
        gauge(("backlog",), event.backlog)
        gauge(("oldest_due",), round(event.oldest_due, 3))
        whole = ClientPace("", event.pace, event.quota_used)
        for client in event.clients or (whole,):
            gauge(_key(client.client, "pace"), round(client.pace, 3))
            gauge(_key(client.client, "quota.used"), round(client.quota_used, 4))
        self._send_alarms()

    def _set_halt(self, event: Halted | Resumed, value: int) -> None:
        self._alarms[_key(event.client, "halted", event.reason)] = value
        self._send_alarms()

    def _set_list_kept(self, event: SuppressionListKept) -> None:
        self._alarms["suppression.kept_last",] = int(event.kept)
        self._send_alarms()

    def _condition(self, event: ConditionJudged) -> None:
        for key, value in condition_gauges(event.condition):
            self._client.gauge(key, value)
        self._client.service_check(*service_check(event.condition))
        if event.changed_from is not None:
            title, text, alert_type = condition_event(event)
            self._client.event(title, text, alert_type=alert_type, group=event.condition.cause)

    def _send_alarms(self) -> None:
        for key, value in self._alarms.items():
            self._client.gauge(key, value)


def _key(client: str, *key: str) -> Key:
    """Return a series of one client, or of the run where there is only one client."""
    return (*key, client) if client else key
