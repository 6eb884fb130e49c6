"""Statuses of a contact in the ledger, and the closed enums of reasons."""

from enum import StrEnum


class Status(StrEnum):
    """The status of a contact. The last five are final."""

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

REPLAYABLE = frozenset({Status.PARKED, Status.REJECTED})
"""Final statuses of contacts that keep their message, because an operator can replay them."""


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
    UNKNOWN_TIMEZONE = "unknown_timezone"
    NEVER_ENDED = "never_ended"
    IDENTITY = "identity"
    RETRY_LOOP = "retry_loop"
    FORBIDDEN_CONTACT = "forbidden_contact"
    UNKNOWN_STATE = "unknown_state"
    ENGAGED = "engaged"
    EXHAUSTED = "exhausted"
    IN_DOUBT = "in_doubt"


class Relation(StrEnum):
    """How the message's conversation continues the earlier one."""

    NOTIFIED = "notified"
    LINKED = "linked"
    THREADED = "threaded"
    UNLINKED = "unlinked"


class Step(StrEnum):
    """The calls to the platform; the tag ``endpoint`` in metrics."""

    CHECK = "check"
    NOTIFY = "notify"
    OPEN = "open"
    LOOK_BACK = "look_back"
    CHECK_MANY = "check_many"
    """The states of many conversations, from the platform's analytics."""

    @property
    def is_send(self) -> bool:
        """Whether the step sends a message."""
        return self in _SENDS

    @property
    def reads_analytics(self) -> bool:
        """Whether the step reads analytics, so that its failure says nothing about a contact."""
        return self in _READS_ANALYTICS


# In Python 3.11 the look-up of an enum's member takes ten times as long as that of a variable.
_SENDS = frozenset({Step.NOTIFY, Step.OPEN})
_READS_ANALYTICS = frozenset({Step.LOOK_BACK, Step.CHECK_MANY})


class HaltReason(StrEnum):
    """Why the run, a client or a campaign is halted."""

    UNAUTHORIZED = "unauthorized"
    SCOPE = "scope"
    PERMISSION = "permission"
    DIVISION = "division"
    FORBIDDEN = "forbidden"
    CREDENTIALS = "credentials"
    PLATFORM_DOWN = "platform_down"
    FAILURES = "failures"
    PAUSED = "paused"
    SUSPICIOUS = "suspicious"
    """Most contacts of a campaign are refused alike: the cause is probably not their own."""


class ScopeSource(StrEnum):
    """Which answer showed that a scope or a permission is missing."""

    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    PERMISSION = "permission"
    DIVISION = "division"
    MASKED_CONFLICT = "masked_conflict"


class SendBlock(StrEnum):
    """Why the ledger does not permit a send."""

    BUSY = "busy"
    """Another send to the same conversation or person is unsettled."""
    SAME_PERSON = "same_person"
    """The person already received a message of this campaign."""
    CAPPED = "capped"
    """The person received the permitted number of messages of all campaigns recently."""


class Resolution(StrEnum):
    """The end of a send in doubt; a metric's tag."""

    FOUND = "found"
    """The platform shows the message: the contact is settled."""
    ABSENT = "absent"
    """It is proved that the message was not taken: back to the state check."""
    RESENT = "resent"
    """The message was not found in time, and is sent again (at-least-once)."""
    PARKED = "parked"
    """The platform's records give no answer: a person has to decide."""


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
    UNKNOWN_TIMEZONE = "unknown_timezone"
    SUPPRESSION_LIST = "suppression_list"
    NOT_FOUND = "not_found"
    ENGAGED = "engaged"
    SUSPICIOUS = "suspicious"


SESSION_WAITS = (RetryReason.ENGAGED, RetryReason.NOT_ENDED)
"""The reasons of a contact that waits until its session is in another state."""


class SendAnswer(StrEnum):
    """How the platform answered a send without a state check; a metric's tag."""

    ACCEPTED = "accepted"
    REFUSED = "refused"


class Irregularity(StrEnum):
    """What was passed over or read as empty in the input, and counted; a metric's tag."""

    NULL_MARKER = "null_marker"
    """A text that means a missing value, in a cell that has a meaning or that a template uses."""
    REPEATED_HEADER = "repeated_header"
    BYTE_ORDER_MARK = "byte_order_mark"
    """A byte order mark at the beginning of a line that is not the first one."""
    MISSING_CELLS = "missing_cells"
    """A row with fewer cells than the header has columns."""
    EXTRA_CELLS = "extra_cells"
    """A row with more cells than the header has columns; those are empty."""
