"""Facts that the engine tells to telemetry, each once, when it is so.

``client`` is the alias of the OAuth client that a fact concerns, empty where there is but one.
"""

from dataclasses import dataclass, field

from dispatcher.domain.status import (
    HaltReason,
    Reason,
    Relation,
    Resolution,
    RetryReason,
    ScopeSource,
    Status,
    Step,
)


@dataclass(frozen=True, slots=True)
class RowsRead:
    """One batch of the source was admitted, committed."""

    rows: int
    admitted: int
    duplicates: int
    rejected: int
    filtered: int


@dataclass(frozen=True, slots=True)
class Answered:
    """One request to the platform came to an end.

    ``status`` is the HTTP status, or the word for why there is none. ``seconds`` is the time
    from the send to the answer.
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


@dataclass(frozen=True, slots=True)
class StateAged:
    """A send left ``seconds`` after the answer of the state check it rests on."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Settled:
    """A contact is final, committed. ``seconds`` is the time since it was claimed last."""

    contact_key: str
    previous_conversation_id: str
    status: Status
    reason: Reason
    relation: Relation | None
    conversation_id: str | None
    message_id: str | None
    correlation_id: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Deferred:
    """A contact goes back into the ledger, committed, due again in ``seconds``."""

    contact_key: str
    conversation_id: str
    reason: RetryReason
    seconds: float


@dataclass(frozen=True, slots=True)
class ScopeError:
    """The platform refused a request for want of a scope or permission."""

    source: ScopeSource
    step: Step
    contact_key: str
    correlation_id: str
    missing: tuple[str, ...] = ()
    client: str = ""


@dataclass(frozen=True, slots=True)
class ClosedConflict:
    """A send met a session in another state than the one that was read."""

    step: Step
    status: int
    contact_key: str
    correlation_id: str
    client: str = ""


@dataclass(frozen=True, slots=True)
class RetryLoop:
    """A contact was parked because one step was refused again and again for no reason seen."""

    step: Step
    contact_key: str


@dataclass(frozen=True, slots=True)
class InDoubt:
    """A send had no answer; ``resolution`` is what was made of it in the end."""

    resolution: Resolution
    step: Step
    contact_key: str
    conversation_id: str
    correlation_id: str


@dataclass(frozen=True, slots=True)
class Throttled:
    """The platform answered 429; the endpoint, or all with ``step`` None, is held."""

    step: Step | None
    seconds: float
    limit_key: str
    client: str = ""


@dataclass(frozen=True, slots=True)
class Halted:
    """The run stands still, or one client of several, or one campaign where it is paused."""

    reason: HaltReason
    detail: str
    client: str = ""


@dataclass(frozen=True, slots=True)
class Resumed:
    """What was halted or paused goes on after ``seconds``."""

    reason: HaltReason
    seconds: float
    client: str = ""


@dataclass(frozen=True, slots=True)
class Probed:
    """A halted run, or a halted client of several, lets one probe through."""

    reason: HaltReason
    client: str = ""


@dataclass(frozen=True, slots=True)
class ClientPace:
    """How one client of several stands; figures as in `Gauges`."""

    client: str
    pace: float
    quota_used: float


@dataclass(frozen=True, slots=True)
class Gauges:
    """How the run stands, some times a minute.

    ``oldest_due`` is in seconds, ``pace`` in requests per second, ``quota_used`` from 0 to 1.
    ``clients`` has the pace and quota of each client where there are several.
    """

    in_flight: int
    backlog: int
    oldest_due: float
    pace: float
    quota_used: float
    clients: tuple[ClientPace, ...] = ()


Event = (
    RowsRead
    | Answered
    | StateAged
    | Settled
    | Deferred
    | ScopeError
    | ClosedConflict
    | RetryLoop
    | InDoubt
    | Throttled
    | Halted
    | Resumed
    | Probed
    | Gauges
)
