"""Events that the engine emits to telemetry, each once, after it has happened.

``client`` is the alias of the OAuth client that an event concerns; empty if there is only one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dispatcher.domain.condition import Cause, Condition
from dispatcher.domain.status import (
    HaltReason,
    Irregularity,
    Reason,
    Relation,
    Resolution,
    RetryReason,
    ScopeSource,
    SendAnswer,
    Status,
    Step,
)
from dispatcher.domain.value_class import value_class


@dataclass(frozen=True, slots=True)
class BadRow:
    """The place of a rejected row, its reason, and what to do; nothing of its content.

    ``detail`` is that of `RejectedRow`.
    """

    file: str
    line: int
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RowsRead:
    """One batch of the source was admitted; it is committed.

    ``bad_rows`` are the ``rejected`` ones. ``file_done`` is the file that ended with this batch;
    None if it goes on, or if the source cannot be read again.
    ``irregularities`` are counts of what was passed over or read as empty. ``empty_file`` is a file
    or stream that has no row at all.
    """

    rows: int
    admitted: int
    duplicates: int
    rejected: int
    filtered: int
    bad_rows: tuple[BadRow, ...] = ()
    file_done: str | None = None
    irregularities: Mapping[Irregularity, int] = field(default_factory=dict)
    empty_file: str | None = None


@value_class
class PostAnswered:
    """A post of contacts was answered with an HTTP status.

    ``rows`` is the number of its rows; 0 if it was refused as a whole.
    """

    status: str
    rows: int


@value_class
class Answered:
    """One request to the platform ended.

    ``status`` is the HTTP status, or the `NoAnswerCause`. ``seconds`` is the time from the send to
    the answer.
    """

    step: Step
    status: str
    seconds: float
    contact_key: str
    conversation_id: str
    correlation_id: str
    failed: bool
    words: str = field(default="", repr=False)
    client: str = ""


@value_class
class StateAged:
    """A send left ``seconds`` after the answer of its state check."""

    seconds: float


@value_class
class Settled:
    """A contact is final; it is committed.

    ``seconds`` is the time since a worker took it last; if it was in doubt, since its send.
    """

    contact_key: str
    previous_conversation_id: str
    status: Status
    reason: Reason
    relation: Relation | None
    conversation_id: str | None
    message_id: str | None
    correlation_id: str
    seconds: float


@value_class
class Deferred:
    """A contact is deferred and due again in ``seconds``; it is committed."""

    contact_key: str
    conversation_id: str
    reason: RetryReason
    seconds: float


@dataclass(frozen=True, slots=True)
class ScopeError:
    """The platform refused a request because a scope or a permission is missing."""

    source: ScopeSource
    step: Step
    contact_key: str
    correlation_id: str
    missing: tuple[str, ...] = ()
    client: str = ""


@dataclass(frozen=True, slots=True)
class ClosedConflict:
    """A send was refused because the session's state is not the one of the state check."""

    step: Step
    status: int
    contact_key: str
    correlation_id: str
    client: str = ""


@dataclass(frozen=True, slots=True)
class UncheckedSend:
    """A send that was made without a state check was accepted or refused.

    ``saved`` is the number of requests that it saves over a state check first; below 0 where it
    takes more.
    """

    step: Step
    answer: SendAnswer
    saved: float


@dataclass(frozen=True, slots=True)
class AddressesDiffer:
    """The address of a row is not the platform's: no open is made without a state check now."""

    contact_key: str
    conversation_id: str


@dataclass(frozen=True, slots=True)
class RetryLoop:
    """A contact was parked: one step was refused repeatedly although the state permitted it."""

    step: Step
    contact_key: str


@dataclass(frozen=True, slots=True)
class InDoubt:
    """A send in doubt ended; ``resolution`` says how."""

    resolution: Resolution
    step: Step
    contact_key: str
    conversation_id: str
    correlation_id: str


@dataclass(frozen=True, slots=True)
class Throttled:
    """The platform answered 429: ``step`` is held, or all requests if it is None."""

    step: Step | None
    seconds: float
    limit_key: str
    client: str = ""


@dataclass(frozen=True, slots=True)
class Halted:
    """The run is halted, or one of several clients, or a campaign is paused."""

    reason: HaltReason
    detail: str
    client: str = ""


@dataclass(frozen=True, slots=True)
class Resumed:
    """A halt or a pause ended after ``seconds``."""

    reason: HaltReason
    seconds: float
    client: str = ""


@dataclass(frozen=True, slots=True)
class Probed:
    """A halted run, or one halted client of several, sends a probe."""

    reason: HaltReason
    client: str = ""


@dataclass(frozen=True, slots=True)
class SuppressionListKept:
    """The suppression list is damaged, and the last good one is in force; or that has ended."""

    kept: bool


@dataclass(frozen=True, slots=True)
class TokenRequested:
    """One request for an access token ended after ``seconds``.

    ``status`` is the HTTP status, or the `NoAnswerCause`.
    """

    status: str
    seconds: float
    client: str = ""


@dataclass(frozen=True, slots=True)
class MetricsDropped:
    """``samples`` of metrics were given up, because the agent has not taken them for too long."""

    samples: int
    detail: str


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """What was used of a client's quota in the last whole window, in requests per minute.

    ``limit`` is the quota, ``own`` what this program used, and ``others`` what other programs did.
    """

    limit: float = 0.0
    own: float = 0.0
    others: float = 0.0

    @property
    def used(self) -> float:
        """The share of the quota that anybody used, from 0 to 1."""
        return min((self.own + self.others) / self.limit, 1.0) if self.limit else 0.0


@dataclass(frozen=True, slots=True)
class ClientPace:
    """The rate of one of several clients; figures as in `Gauges`."""

    client: str
    pace: float
    quota_used: float
    quota: QuotaUse = QuotaUse()


@dataclass(frozen=True, slots=True)
class SourceState:
    """The state of a campaign's source.

    ``age`` is how many seconds ago its last row was read; None before the first one. ``ended``
    means that it has nothing more for this run. ``watched`` means that rows may come at any time.
    ``waits_for`` is why a part of it cannot be read now; empty if there is no such part. ``lag`` is
    how many rows wait in it; None if it cannot know.
    """

    age: float | None = None
    rows: int = 0
    ended: bool = False
    watched: bool = False
    waits_for: str = ""
    lag: int | None = None


@dataclass(frozen=True, slots=True)
class LedgerState:
    """The state of the ledger's file, or of its database.

    ``size`` and ``free`` (of its disk) are in bytes. ``free`` is None if it is not known, as of
    the disk of a server. ``commit`` is the mean duration in seconds of
    the commits since the last `Gauges`.
    """

    size: int = 0
    free: int | None = 0
    commit: float = 0.0


@dataclass(frozen=True, slots=True)
class Gauges:
    """Gauges of the run, emitted several times a minute.

    ``oldest_due`` is in seconds, ``pace`` in requests per second, ``quota_used`` from 0 to 1.
    ``clients`` has the pace and quota of each client if there are several. ``contacts`` has how
    many contacts there are by state and reason: together they are all contacts that were ever
    admitted. ``loop_lag`` is the longest delay of the event loop in seconds. ``held`` of those that
    are ``in_flight`` wait until their refusal is judged. While ``draining`` nothing is begun.
    """

    in_flight: int
    backlog: int
    oldest_due: float
    pace: float
    quota_used: float
    clients: tuple[ClientPace, ...] = ()
    quota: QuotaUse = QuotaUse()
    contacts: Mapping[tuple[str, str], int] = field(default_factory=dict)
    source: SourceState | None = None
    ledger: LedgerState | None = None
    loop_lag: float = 0.0
    held: int = 0
    draining: bool = False


@dataclass(frozen=True, slots=True)
class ConditionJudged:
    """The condition of a campaign's run was judged, after each `Gauges`.

    ``changed_from`` is the cause that was named before, if it is another one. ``runbook`` is the
    address of the cause's section in the runbook.
    """

    condition: Condition
    changed_from: Cause | None = None
    runbook: str = ""


@dataclass(frozen=True, slots=True)
class SinkLagged:
    """How many lineage rows have not gone out to a sink, emitted several times a minute.

    ``error`` is why it does not take the last range; empty if it does.
    """

    sink: str
    rows: int
    error: str = ""


@dataclass(frozen=True, slots=True)
class LeaderState:
    """Whether this run has the leases of its campaigns, emitted several times a minute.

    Only a run whose ledger is on a server emits it. ``leading`` is False as soon as the leases may
    have run out. ``away`` is for how many seconds the ledger has not answered; 0 if it does.
    ``is_standby`` means that another run had the leases when the ledger answered last.
    """

    leading: bool
    away: float = 0.0
    is_standby: bool = False


@dataclass(frozen=True, slots=True)
class StandbysCounted:
    """How many dispatchers of the same ledger have no lease and wait for one, by its leader."""

    count: int


Event = (
    RowsRead
    | LeaderState
    | StandbysCounted
    | SinkLagged
    | PostAnswered
    | Answered
    | StateAged
    | Settled
    | Deferred
    | ScopeError
    | ClosedConflict
    | UncheckedSend
    | AddressesDiffer
    | RetryLoop
    | InDoubt
    | Throttled
    | Halted
    | Resumed
    | Probed
    | SuppressionListKept
    | TokenRequested
    | MetricsDropped
    | Gauges
    | ConditionJudged
)
