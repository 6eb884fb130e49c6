"""The facts of a campaign's run by which its condition is judged."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dispatcher.domain.events import LedgerState, QuotaUse, SourceState
from dispatcher.domain.status import HaltReason


@dataclass(frozen=True, slots=True)
class HaltFact:
    """A halt that lasts, or that ended since the last evaluation, ``seconds`` after its start.

    ``detail`` names what is missing and where it is granted. ``client`` is the alias where there
    are several.
    """

    reason: HaltReason
    seconds: float
    detail: str = ""
    client: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The last refusal for a missing grant, or the last answer that was a fault of the platform."""

    status: str
    correlation_id: str = ""
    missing: tuple[str, ...] = ()
    client: str = ""


@dataclass(frozen=True, slots=True)
class Outage:
    """No answer to ``step`` (a state check or send; empty: any of them) was good for ``seconds``.

    ``answers`` were server errors or did not come, for ``contacts`` different contacts (counted up
    to a few). ``silence`` is the time in seconds since the last of them. ``refusals`` came between
    them: answers 429, which are not good either.
    """

    seconds: float
    answers: int
    contacts: int
    silence: float
    statuses: Mapping[str, int] = field(default_factory=dict)
    sends_only: bool = False
    refusals: int = 0


@dataclass(frozen=True, slots=True)
class AnswerCounts:
    """Answers to state checks and sends of the last minute.

    ``errors`` are server errors, unreadable answers and connections that were refused or broke;
    ``timeouts`` had no answer in time; ``slow`` took longer than ``slow_from`` seconds. ``usual``
    is the mean in seconds of the calmest minute of the run.
    """

    total: int = 0
    errors: int = 0
    timeouts: int = 0
    slow: int = 0
    slow_from: float = 2.0
    usual: float = 0.0


@dataclass(frozen=True, slots=True)
class TokenCounts:
    """Token requests of the last five minutes.

    ``failed`` had no token as an answer, the last one with ``last_failure``. ``refused_young`` are
    tokens that the platform refused although they were young. ``unexplained`` were requested
    neither by a probe nor to judge a refusal.
    """

    requests: int = 0
    failed: int = 0
    refused_young: int = 0
    unexplained: int = 0
    last_failure: str = ""


@dataclass(frozen=True, slots=True)
class Throttle:
    """Answers 429 to a ``client``'s requests of ``step`` (empty: all), and what they hold back.

    ``seconds`` is how long no answer was good, up to the last 429 or the end of the wait that it
    asked for, and 0 after a good answer; ``silence`` is the time since then. ``refusals`` came in
    that time, or in the last five minutes if these have more, and ``retry_after`` is the longest
    wait that one asked for.
    ``hold`` is how much of a wait is left. ``held_back`` is how much of the last five minutes was
    between a 429 and the next good answer.
    """

    seconds: float
    silence: float
    refusals: int
    retry_after: float
    hold: float = 0.0
    held_back: float = 0.0
    step: str = ""
    limit_key: str = ""
    correlation_id: str = ""
    client: str = ""


@dataclass(frozen=True, slots=True)
class LookBackFault:
    """The last look backs at an endpoint failed, ``answers`` of them for ``seconds``.

    ``status`` is the last answer. Without a look back a send in doubt cannot be resolved.
    """

    endpoint: str
    status: str
    answers: int
    seconds: float
    correlation_id: str = ""


@dataclass(frozen=True, slots=True)
class PlatformFacts:
    """What is known of the platform and of the OAuth clients, which all campaigns share.

    ``clients`` is how many there are.
    """

    clients: int = 1
    halts: tuple[HaltFact, ...] = ()
    outage: Outage | None = None
    answers: AnswerCounts = AnswerCounts()
    tokens: TokenCounts = TokenCounts()
    throttles: tuple[Throttle, ...] = ()
    refusal: Refusal | None = None
    fault: Refusal | None = None
    look_back: LookBackFault | None = None


@dataclass(frozen=True, slots=True)
class QuotaPressure:
    """For ``seconds`` others have used a client's quota, while there was work."""

    use: QuotaUse
    seconds: float
    client: str = ""


@dataclass(frozen=True, slots=True)
class RowCounts:
    """The rows that the source had in the ten minutes up to its last row, and at least the last 20.

    ``rejected`` of those that were ``read`` cannot become contacts, by their ``reasons``.
    ``details`` is what was wrong with the last row of a reason; it has no value of a row.
    """

    read: int = 0
    rejected: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Standstill:
    """For ``seconds`` nothing has moved although there was work all the time.

    ``since`` is its beginning, in seconds since the epoch.
    """

    seconds: float = 0.0
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class DiskTrend:
    """How the ledger's disk changed in the last ``seconds``, in bytes per second.

    ``fall`` is how fast its free space falls, ``growth`` how fast the ledger itself grows.
    """

    seconds: float = 0.0
    fall: float = 0.0
    growth: float = 0.0


@dataclass(frozen=True, slots=True)
class FailingSink:
    """A sink has taken nothing for ``seconds``, and ``rows`` of the lineage wait for it.

    ``error`` is why, for people.
    """

    name: str
    rows: int
    seconds: float
    error: str


@dataclass(frozen=True, slots=True)
class Facts:
    """The state of a campaign's run at one moment.

    ``seconds`` is its age. ``handled`` (contacts that became final or met a closed session)
    and ``conflicts`` (those that met one) are of the last minute, ``loops`` of the last five,
    ``settled`` and ``parked`` of the last ten.
    ``list_waits`` are contacts that were deferred in the last minute because of the suppression
    list. ``expected_every`` is how often the source should have a row, in seconds; 0: not known.
    ``window_seconds`` is the length of a quota window, ``timeout_seconds`` how long a request may
    take. ``commit_slow_seconds`` is for how long commits have been slow, ``dropped`` how many
    samples of metrics were lost in five minutes. ``ledger_away`` is for how many seconds the ledger
    has not answered. ``held`` of those that are ``in_flight`` wait
    until their refusal is judged, and ``draining`` means that nothing new is begun.
    """

    seconds: float = 0.0
    platform: PlatformFacts = PlatformFacts()
    halts: tuple[HaltFact, ...] = ()
    handled: int = 0
    conflicts: int = 0
    conflict_step: str = ""
    loops: int = 0
    loop_step: str = ""
    settled: int = 0
    parked: Mapping[str, int] = field(default_factory=dict)
    list_kept: bool = False
    list_waits: int = 0
    in_flight: int = 0
    held: int = 0
    draining: bool = False
    standstill: Standstill = Standstill()
    rows: RowCounts = RowCounts()
    backlog: int = 0
    oldest_due: float = 0.0
    contacts: Mapping[tuple[str, str], int] = field(default_factory=dict)
    pressures: tuple[QuotaPressure, ...] = ()
    window_seconds: float = 60.0
    timeout_seconds: float = 0.0
    source: SourceState | None = None
    expected_every: float = 0.0
    ledger: LedgerState | None = None
    ledger_away: float = 0.0
    disk: DiskTrend = DiskTrend()
    loop_lag: float = 0.0
    dropped: int = 0
    dropped_detail: str = ""
    failing_sinks: tuple[FailingSink, ...] = ()

    def count(self, state: str, reason: str | None = None) -> int:
        """Return how many contacts there are in a state, or for one reason of it."""
        return sum(
            number
            for (of_state, of_reason), number in self.contacts.items()
            if of_state == state and reason in (None, of_reason)
        )
