"""Statuses of a contact in the ledger, and the closed enums of reasons."""

from enum import StrEnum


class Status(StrEnum):
    """Where a contact stands. The last five are final."""

    READY = "ready"
    CLAIMED = "claimed"
    SENDING = "sending"
    IN_DOUBT = "in_doubt"
    NOTIFIED = "notified"
    OPENED = "opened"
    SKIPPED = "skipped"
    REJECTED = "rejected"
    PARKED = "parked"


FINAL = frozenset({Status.NOTIFIED, Status.OPENED, Status.SKIPPED, Status.REJECTED, Status.PARKED})


class Reason(StrEnum):
    """Why a contact has its final status."""

    DELIVERED = "delivered"
    EXPIRED = "expired"
    SAME_PERSON = "same_person"
    CAPPED = "capped"
    SUPPRESSED = "suppressed"
    DROPPED = "dropped"
    FORGOTTEN = "forgotten"
    CONVERSATION_GONE = "conversation_gone"
    CHANNEL = "channel"
    NO_IDENTITY = "no_identity"
    NO_ADDRESS = "no_address"
    REFUSED = "refused"
    NEVER_ENDED = "never_ended"
    IDENTITY = "identity"
    RETRY_LOOP = "retry_loop"
    FORBIDDEN_CONTACT = "forbidden_contact"
    UNKNOWN_STATE = "unknown_state"
    ENGAGED = "engaged"
    EXHAUSTED = "exhausted"
    IN_DOUBT = "in_doubt"


class Relation(StrEnum):
    """Which conversation continues which, and how."""

    NOTIFIED = "notified"
    LINKED = "linked"
    THREADED = "threaded"
    UNLINKED = "unlinked"


class Step(StrEnum):
    """The calls that one contact can take; ``endpoint`` in metrics."""

    CHECK = "check"
    NOTIFY = "notify"
    OPEN = "open"
    LOOK_BACK = "look_back"
    CHECK_MANY = "check_many"
    """The states of many contacts, as the platform's analytics record them."""

    @property
    def is_send(self) -> bool:
        """Whether the step can make a message take effect."""
        return self is Step.NOTIFY or self is Step.OPEN

    @property
    def is_of_records(self) -> bool:
        """Whether the step reads analytics: what becomes of it says nothing about contacts."""
        return self is Step.LOOK_BACK or self is Step.CHECK_MANY


class HaltReason(StrEnum):
    """Why the whole run stands still."""

    UNAUTHORIZED = "unauthorized"
    SCOPE = "scope"
    PERMISSION = "permission"
    DIVISION = "division"
    FORBIDDEN = "forbidden"
    CREDENTIALS = "credentials"
    PLATFORM_DOWN = "platform_down"
    FAILURES = "failures"
    PAUSED = "paused"


class ScopeSource(StrEnum):
    """Which answer showed that a scope or a permission is missing."""

    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    PERMISSION = "permission"
    DIVISION = "division"
    MASKED_CONFLICT = "masked_conflict"


class SendBlock(StrEnum):
    """Why the ledger does not let a send begin."""

    BUSY = "busy"
    """Another send to the same conversation or person has no known end yet."""
    SAME_PERSON = "same_person"
    """The person was written to in this campaign."""
    CAPPED = "capped"
    """The person was written to often enough of late, in whichever campaign."""


class Resolution(StrEnum):
    """What was made of a send in doubt; a metric's tag."""

    FOUND = "found"
    """The platform shows the message: settled."""
    ABSENT = "absent"
    """The platform shows that it never took it: back to the state check."""
    RESENT = "resent"
    """Not shown in time, and sent again by the policy at-least-once."""
    PARKED = "parked"
    """The platform cannot tell: for a person to look at."""


class RetryReason(StrEnum):
    """Why a contact is tried again later."""

    NOT_SENT = "not_sent"
    SERVER_ERROR = "server_error"
    NO_ANSWER = "no_answer"
    NONSENSE = "nonsense"
    NOT_TAKEN = "not_taken"
    NOT_ENDED = "not_ended"
    UNKNOWN_STATE = "unknown_state"
    CONFLICT = "conflict"
    THROTTLED = "throttled"
    FORBIDDEN = "forbidden"
    BUSY = "busy"
    QUIET_HOURS = "quiet_hours"
    NOT_FOUND = "not_found"
    ENGAGED = "engaged"
