"""What a run shows of itself at one moment, as plain values: for `dispatcher top` and for pages.

Times are seconds since the epoch. Nothing here has an id, an address or a text of a person. What a
newer run adds has a default, so that an older reader and an older run can do without it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from dispatcher.domain.condition import EvidenceValue

Counted = Mapping[str, int]
"""Numbers by word."""

STARTING, STANDBY, RUNNING, DRAINING = "starting", "standby", "running", "draining"
"""The phases of a run."""
UNKNOWN = "unknown"
"""The cause of a condition that cannot be judged now; what was judged before is of before."""


@dataclass(frozen=True, slots=True)
class RatesSnapshot:
    """Contacts that became final, and requests, per second over 10 and over 60 seconds."""

    settled_10: float = 0.0
    settled_60: float = 0.0
    requests_10: float = 0.0
    requests_60: float = 0.0


@dataclass(frozen=True, slots=True)
class QuotaSnapshot:
    """The quota in requests per minute, and who used it in the last whole window.

    ``limit`` is 0 until the first window is over. ``pace`` is in requests per second.
    """

    limit: float = 0.0
    own: float = 0.0
    others: float = 0.0
    pace: float = 0.0

    @property
    def left(self) -> float:
        """What nobody used."""
        return max(0.0, self.limit - self.own - self.others)

    @property
    def used(self) -> float:
        """The share that anybody used, from 0 to 1."""
        return min((self.own + self.others) / self.limit, 1.0) if self.limit else 0.0


@dataclass(frozen=True, slots=True)
class FailureSnapshot:
    """The three failures, each by the tags of its metric: they are counted apart."""

    scope_errors: Counted = field(default_factory=dict)
    closed_session_conflicts: Counted = field(default_factory=dict)
    retry_loops: Counted = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FindingSnapshot:
    """A cause that the facts show, and its evidence in words and as values."""

    cause: str
    words: str = ""
    evidence: Mapping[str, EvidenceValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ConditionSnapshot:
    """What is wrong, the evidence, and what to do; ``priority`` is "none" if nothing is.

    It is also "none" if the cause is `UNKNOWN`, since ``since``; then ``words`` say why.
    """

    cause: str = "ok"
    title: str = ""
    priority: str = "none"
    effect: str = ""
    since: float = 0.0
    words: str = ""
    evidence: Mapping[str, EvidenceValue] = field(default_factory=dict)
    steps: Sequence[str] = ()
    runbook: str = ""
    others: Sequence[FindingSnapshot] = ()
    granted_in: str = ""

    @classmethod
    def unknown(cls, since: float, words: str) -> Self:
        """Return a condition that has not been known since then; ``words`` say why."""
        return cls(UNKNOWN, "The condition is not known at present", since=since, words=words)


@dataclass(frozen=True, slots=True)
class WaitSnapshot:
    """Contacts that wait for one reason; ``first`` and ``last`` are when they are due.

    The times are those that this run knows; None: it does not know them.
    """

    reason: str
    contacts: int
    first: float | None = None
    last: float | None = None


@dataclass(frozen=True, slots=True)
class DoubtSnapshot:
    """Contacts in doubt: when the next look back is due, and what they wait for.

    ``records_reach`` is how far the platform's records reach, ``parked_at`` when the first contact
    is parked if no proof comes.
    """

    contacts: int
    next_look: float | None = None
    records_reach: float | None = None
    parked_at: float | None = None


@dataclass(frozen=True, slots=True)
class SourceSnapshot:
    """A campaign's source; see `dispatcher.domain.events.SourceState`."""

    kind: str
    rows: int = 0
    age: float | None = None
    ended: bool = False
    watched: bool = False
    waits_for: str = ""
    lag: int | None = None


@dataclass(frozen=True, slots=True)
class CampaignSnapshot:
    """One campaign of the run.

    ``outcomes`` has all final contacts of all runs by status and reason, ``contacts`` all contacts
    by state and reason. ``due``, ``later``, ``busy`` and ``in_doubt`` are those that are not
    final. They are as of ``read_at``, when the ledger was last read; None: not yet. ``halts`` are
    the reasons why nothing is begun, with the time since when; a pause is one of them.
    """

    name: str
    condition: ConditionSnapshot = field(default_factory=ConditionSnapshot)
    rows: Counted = field(default_factory=dict)
    outcomes: Mapping[str, Counted] = field(default_factory=dict)
    due: int = 0
    later: int = 0
    busy: int = 0
    oldest_due: float | None = None
    next_due: float | None = None
    waits: Sequence[WaitSnapshot] = ()
    in_doubt: DoubtSnapshot | None = None
    settled: int = 0
    rates: RatesSnapshot = field(default_factory=RatesSnapshot)
    failures: FailureSnapshot = field(default_factory=FailureSnapshot)
    halts: Mapping[str, float] = field(default_factory=dict)
    source: SourceSnapshot | None = None
    read_at: float | None = None

    @property
    def left(self) -> int:
        """Contacts of the ledger that are not final."""
        doubts = self.in_doubt.contacts if self.in_doubt else 0
        return self.due + self.later + self.busy + doubts

    @property
    def paused_since(self) -> float | None:
        """Since when the campaign is paused; None while it is not."""
        return self.halts.get("paused")

    @property
    def eta_seconds(self) -> float | None:
        """How long the contacts of the ledger take at the present rate; None: not known."""
        rate = self.rates.settled_60 or self.rates.settled_10
        return self.left / rate if rate and self.left else None

    def total(self, status: str) -> int:
        """Return how many contacts have a final status."""
        return sum(self.outcomes.get(status, {}).values())


@dataclass(frozen=True, slots=True)
class OAuthClientSnapshot:
    """One OAuth client of several."""

    name: str
    requests: int = 0
    throttled: int = 0
    scope_errors: int = 0
    quota: QuotaSnapshot = field(default_factory=QuotaSnapshot)
    halts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SinkSnapshot:
    """A sink: how many rows wait for it, and why it does not take them."""

    name: str
    lag: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class LeaseSnapshot:
    """A lease that another daemon has, for which this run waits."""

    name: str
    daemon: str
    host: str = ""
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class LedgerSnapshot:
    """The ledger: ``away_since`` is since when its server does not answer; None: it answers.

    ``name`` is its path or its URL, without a secret. ``size`` and ``free`` are in bytes.
    ``commit`` is the mean duration of a commit in seconds. ``on_server`` is true for a database, in
    which several dispatchers may take turns.
    """

    name: str = ""
    on_server: bool = False
    away_since: float | None = None
    size: int = 0
    free: int | None = None
    commit: float = 0.0


@dataclass(frozen=True, slots=True)
class RunSnapshot:
    """A whole run at one moment.

    ``requests`` are those of this run by step and answer. ``halts`` are the reasons why all of it
    is halted. ``clients`` has each of several OAuth clients; it is empty where there is one.
    """

    pid: int
    taken_at: float
    started_at: float
    version: str = ""
    phase: str = RUNNING
    condition: ConditionSnapshot = field(default_factory=ConditionSnapshot)
    campaigns: Sequence[CampaignSnapshot] = ()
    rates: RatesSnapshot = field(default_factory=RatesSnapshot)
    quota: QuotaSnapshot = field(default_factory=QuotaSnapshot)
    requests: Mapping[str, Counted] = field(default_factory=dict)
    requests_per_contact: float = 0.0
    throttled: int = 0
    failures: FailureSnapshot = field(default_factory=FailureSnapshot)
    halts: Mapping[str, float] = field(default_factory=dict)
    clients: Sequence[OAuthClientSnapshot] = ()
    sinks: Sequence[SinkSnapshot] = ()
    ledger: LedgerSnapshot = field(default_factory=LedgerSnapshot)
    leases: Sequence[LeaseSnapshot] = ()
    loop_lag: float = 0.0

    @property
    def in_flight(self) -> int:
        """Contacts that are being processed."""
        return sum(campaign.busy for campaign in self.campaigns)
