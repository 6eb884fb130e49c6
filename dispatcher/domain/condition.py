"""The condition of a campaign's run: the one cause that explains best what is wrong."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

EvidenceValue = str | float | int
"""A fact of the evidence: a number, a name, or a text for people."""


class Cause(StrEnum):
    """What is wrong, in the order of precedence: the first one that the facts show is named.

    An earlier cause explains those after it, or is more urgent. A metric's tag.
    """

    CREDENTIALS = "credentials"
    UNAUTHORIZED = "unauthorized"
    SCOPE_MISSING = "scope_missing"
    PERMISSION = "permission"
    DIVISION = "division"
    FORBIDDEN = "forbidden"
    PLATFORM_DOWN = "platform_down"
    """There is no connection, or no other answer than server errors."""
    FAILURES = "failures"
    SUSPICIOUS = "suspicious"
    LEDGER_AWAY = "ledger_away"
    """The server of the ledger does not answer, so that no intent can be committed."""
    LEDGER_DISK = "ledger_disk"
    THROTTLED = "throttled"
    """The platform answers 429 for so long that nothing, or far too little, is sent."""
    PLATFORM_ERRORS = "platform_errors"
    PLATFORM_SLOW = "platform_slow"
    RETRY_LOOP = "retry_loop"
    SUPPRESSION_LIST = "suppression_list"
    CLIENT_HALTED = "client_halted"
    """One of several clients is halted; the others go on."""
    SOURCE_STALLED = "source_stalled"
    NO_PROGRESS = "no_progress"
    """Nothing moves although work is due, and nothing else explains it."""
    ROWS_REJECTED = "rows_rejected"
    TOKEN_UNSTABLE = "token_unstable"  # noqa: S105 - a cause, not a password
    SESSIONS_CLOSING = "sessions_closing"
    QUOTA_SHARED = "quota_shared"
    CONTACTS_PARKED = "contacts_parked"
    DOUBTS_PENDING = "doubts_pending"
    LEDGER_SLOW = "ledger_slow"
    TELEMETRY_LOSSY = "telemetry_lossy"
    SINK_BEHIND = "sink_behind"
    PAUSED = "paused"
    QUIET_HOURS = "quiet_hours"
    SOURCE_IDLE = "source_idle"
    OK = "ok"


PRECEDENCE: Mapping[Cause, int] = {cause: number for number, cause in enumerate(Cause)}
"""The place of each cause; the lowest is named."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A cause that the facts show: ``words`` is its evidence as a sentence, ``evidence`` as values.

    Neither has anything of a row, a message or a secret.
    """

    cause: Cause
    words: str
    evidence: Mapping[str, EvidenceValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Condition:
    """What is wrong with a campaign's run: the ``primary`` cause, and ``others`` by precedence.

    ``others`` never has `Cause.OK`. ``since`` is when the primary cause was named first (seconds
    since the epoch).
    """

    primary: Finding
    others: tuple[Finding, ...] = ()
    since: float = 0.0

    @property
    def cause(self) -> Cause:
        """The cause that is named."""
        return self.primary.cause

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Everything that the facts show, by precedence."""
        return self.primary, *self.others


HEALTHY = Condition(Finding(Cause.OK, "Contacts are sent to, or nothing is known yet."))
"""The condition before the first evaluation."""
