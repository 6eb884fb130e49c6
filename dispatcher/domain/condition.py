"""The condition of a campaign's run: the one cause that explains best what is wrong."""

from enum import StrEnum


class Cause(StrEnum):
    """What is wrong, in the order of precedence: an earlier cause explains those after it.

    A metric's tag.
    """

    CREDENTIALS = "credentials"
    UNAUTHORIZED = "unauthorized"
    SCOPE_MISSING = "scope_missing"
    PERMISSION = "permission"
    DIVISION = "division"
    FORBIDDEN = "forbidden"
    PLATFORM_DOWN = "platform_down"
    """There is no connection, or no other answer than server errors."""
    LEDGER_DISK = "ledger_disk"
    FAILURES = "failures"
    SUSPICIOUS = "suspicious"
    SUPPRESSION_LIST = "suppression_list"
    CLIENT_HALTED = "client_halted"
    """One of several clients is halted; the others go on."""
    PLATFORM_ERRORS = "platform_errors"
    PLATFORM_SLOW = "platform_slow"
    TOKEN_UNSTABLE = "token_unstable"  # noqa: S105 - a cause, not a password
    RETRY_LOOP = "retry_loop"
    SESSIONS_CLOSING = "sessions_closing"
    CONTACTS_PARKED = "contacts_parked"
    DOUBTS_PENDING = "doubts_pending"
    QUOTA_SHARED = "quota_shared"
    SOURCE_STALLED = "source_stalled"
    LEDGER_SLOW = "ledger_slow"
    TELEMETRY_LOSSY = "telemetry_lossy"
    PAUSED = "paused"
    QUIET_HOURS = "quiet_hours"
    SOURCE_IDLE = "source_idle"
    OK = "ok"
