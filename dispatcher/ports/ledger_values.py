"""What goes into the ledger, and what it returns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from dispatcher.domain.contact import Contact
from dispatcher.domain.contact_history import HistoryEntry
from dispatcher.domain.decision import Notify, Open
from dispatcher.domain.errors import DispatcherError, ExitCode
from dispatcher.domain.events import LedgerState
from dispatcher.domain.progress import NEW, Progress
from dispatcher.domain.status import Reason, Relation, SendBlock, Status, Step
from dispatcher.domain.unsettled_send import UnsettledSend
from dispatcher.domain.value_class import value_class
from dispatcher.ports.posts import Receipt


class LedgerError(DispatcherError):
    """The ledger cannot be used or has failed. The message names the file and says what to do."""

    exit_code = ExitCode.LEDGER


class LedgerAwayError(LedgerError):
    """The server of the ledger does not answer now, or cannot be written; it may later."""


@value_class
class Claim:
    """A contact that is claimed for a worker. ``id`` is the ledger's own number of it.

    ``block`` is the reason, known at the time of the claim, why a send is not permitted. It is
    only a hint: the intent checks again, and the person may not have been known at the claim.
    ``due`` is when it was due (seconds since the epoch); None for one that was just admitted.
    """

    id: int
    contact: Contact
    progress: Progress = NEW
    block: SendBlock | None = None
    due: float | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Admitted:
    """The result of an admission: the number of new contacts, and those that were claimed.

    ``later`` has when those of them are due that are not due yet (seconds since the epoch).
    ``receipt`` is set if the batch repeats a request: it is the result of the first one, and
    nothing was written now. ``key_reused`` is true if the request's key was used for another
    content; then nothing was written either. ``unclaimed`` has the keys of new contacts that are
    not claimed and that no stream has again, such as those of a post; a ledger in a file leaves it
    empty.
    """

    admitted: int
    duplicates: int
    claims: Sequence[Claim]
    later: Sequence[float] = ()
    receipt: Receipt | None = None
    key_reused: bool = False
    unclaimed: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """How many messages one person may get.

    ``one_per_person`` permits one in the campaign. ``cap`` is the maximum in all campaigns since
    ``cap_since`` (seconds since the epoch); 0 means no cap.
    """

    one_per_person: bool = False
    cap: int = 0
    cap_since: float = 0.0


NO_LIMITS = Limits()
"""No limits: a person may get as many messages as it has contacts."""


@value_class
class Intent:
    """The record of a send, committed before its request leaves.

    ``at`` is in seconds since the epoch by the platform's clock. ``external_contact_id`` is the
    person, if known: as the platform reports it, else as in the row.
    """

    id: int
    step: Step
    decision: Notify | Open
    at: float
    progress: Progress
    external_contact_id: str | None = None
    limits: Limits = NO_LIMITS


@value_class
class Settlement:
    """The final status of a contact. ``relation`` and the ids are set if a message was taken.

    ``at`` is in seconds since the epoch; ``words`` is the platform's message on a rejection.
    ``sent_at`` is the platform's time of the message; if it is None, the intent's time counts.
    ``history`` is what was done since the contact was claimed.
    """

    id: int
    status: Status
    reason: Reason
    at: float
    progress: Progress
    relation: Relation | None = None
    conversation_id: str | None = None
    message_id: str | None = None
    external_contact_id: str | None = None
    state_seen: str | None = None
    state_at: float | None = None
    correlation_id: str = ""
    words: str = field(default="", repr=False)
    sent_at: float | None = None
    history: Sequence[HistoryEntry] = ()


@dataclass(frozen=True, slots=True)
class Backlog:
    """Contacts that are ready, claimed or sending. Times are seconds since the epoch.

    ``due`` counts contacts that are ready and due, ``later`` those that are ready and not yet
    due. ``oldest_due`` is the earliest due time of the first kind, ``next_due`` that of the second.
    """

    due: int
    later: int
    claimed_or_sending: int
    oldest_due: float | None
    next_due: float | None


@dataclass(frozen=True, slots=True)
class Totals:
    """The totals of one campaign over all its runs.

    ``rows`` = admitted + duplicates + rejected rows + filtered. ``rejected`` counts rejected rows
    by reason. ``by_status`` counts the admitted contacts by status and, if final, by reason.
    """

    rows: int
    admitted: int
    duplicates: int
    filtered: int
    rejected: Mapping[str, int]
    by_status: Mapping[tuple[Status, Reason | None], int]


class Waits(NamedTuple):
    """So many ``contacts`` that wait for the same ``reason`` and are due in the same second.

    ``reason`` is a `RetryReason`, or that of `dispatcher.domain.wait_counts`.
    """

    reason: str
    due: float
    contacts: int


@dataclass(frozen=True, slots=True)
class Overview:
    """The contacts of a campaign and the ledger's file, at one moment.

    ``file.commit`` is the mean since the last overview.
    """

    backlog: Backlog
    totals: Totals
    file: LedgerState


@dataclass(frozen=True, slots=True)
class InDoubtContact:
    """A contact in doubt. ``id`` is the ledger's own number of it."""

    id: int
    contact: Contact
    progress: Progress
    send: UnsettledSend


@dataclass(frozen=True, slots=True)
class KnownEffects:
    """What the ledger has about some conversations and people, in all campaigns.

    ``messages``: ids of the messages of settled contacts in these conversations.
    ``conversations``: those of the conversations that settled contacts opened.
    ``unnamed``: those of the conversations with a settled contact's message of unknown id.
    ``unsettled``: sends to the conversations and people with an unknown outcome: their contacts
    are sending, in doubt, or parked in doubt.
    """

    messages: frozenset[str] = frozenset()
    conversations: frozenset[str] = frozenset()
    unsettled: Sequence[UnsettledSend] = ()
    unnamed: frozenset[str] = frozenset()
