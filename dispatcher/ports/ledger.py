"""The durable record of every contact's progress."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from dispatcher.domain.contact import Contact
from dispatcher.domain.contact_history import HistoryEntry
from dispatcher.domain.decision import Notify, Open
from dispatcher.domain.errors import DispatcherError, ExitCode
from dispatcher.domain.events import LedgerState
from dispatcher.domain.evidence import DeliveryWitness
from dispatcher.domain.progress import NEW, Progress
from dispatcher.domain.status import Reason, Relation, SendBlock, Status, Step
from dispatcher.domain.unsettled_send import UnsettledSend
from dispatcher.domain.value_class import value_class
from dispatcher.ports.source import Batch, Position


class LedgerError(DispatcherError):
    """The ledger cannot be used or has failed. The message names the file and says what to do."""

    exit_code = ExitCode.LEDGER


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
    """

    admitted: int
    duplicates: int
    claims: Sequence[Claim]
    later: Sequence[float] = ()


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
    """Contacts that are not final. Times are seconds since the epoch.

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


class Ledger(Protocol):
    """The durable record of every contact's progress.

    Every method returns when its write is committed and durable. If an operation fails, only
    its own writes are rolled back. If a commit fails, all its operations and every later call
    raise `LedgerError`. Cancelling a caller does not cancel its write.
    """

    async def positions(self) -> Mapping[str, Position]:
        """Return how far each file of the campaign was read, by fingerprint."""
        ...

    async def admit(self, batch: Batch, now: float, claim_limit: int) -> Admitted:
        """Write new contacts, rejected rows and the position in one transaction.

        Up to ``claim_limit`` of the new contacts that are due are claimed in the same transaction.
        A contact whose (campaign, key) is already known counts as a duplicate.
        """
        ...

    async def claim(self, limit: int, now: float) -> Sequence[Claim]:
        """Claim up to ``limit`` ready contacts that are due, the earliest due first."""
        ...

    async def claim_early(self, ids: Sequence[int]) -> Sequence[Claim]:
        """Claim those of the contacts that are ready, although they are not due yet."""
        ...

    async def intend(self, intent: Intent) -> SendBlock | None:
        """Turn a claimed contact into a sending one, or return why that is not permitted.

        In all campaigns together, a conversation and a person have at most one unsettled send at
        a time. A contact that must wait for another one, or that exceeds ``limits``, stays
        claimed. From the intent on the person counts as reached, until a retraction, a deferral
        or a settlement shows that the message was not taken.
        """
        ...

    async def retract(self, id: int) -> None:  # noqa: A002 - the ledger's word for it
        """Turn a sending contact back into a claimed one. The platform did not take the message."""
        ...

    async def settle(self, settlement: Settlement) -> None:
        """Write the final status and the lineage in one transaction; the text is removed."""
        ...

    async def defer(
        self,
        id: int,  # noqa: A002 - as above
        due: float,
        progress: Progress,
        history: Sequence[HistoryEntry] = (),
    ) -> None:
        """Make a contact ready; it can be claimed from ``due`` (seconds since the epoch) on.

        ``history`` is what was done since it was claimed.
        """
        ...

    async def release(self, ids: Sequence[int], due: Mapping[int, float] | None = None) -> None:
        """Make claimed contacts ready, due at the time that ``due`` has for them, else at once."""
        ...

    async def backlog(self, now: float) -> Backlog:
        """Count the contacts that are not final."""
        ...

    async def totals(self) -> Totals:
        """Return the totals of the campaign."""
        ...

    async def overview(self, now: float) -> Overview:
        """Return backlog and totals of the same moment, and the state of the ledger's file.

        Its cost does not grow with the number of contacts that are final.
        """
        ...

    async def earlier_waits(self, now: float) -> Sequence[Waits]:
        """Return why contacts wait that an earlier run has put off; of very many, of a part.

        It does not delay other calls.
        """
        ...

    async def paused(self) -> float | None:
        """Return since when the campaign is paused (seconds since the epoch); None if it is not."""
        ...

    async def pause(self, now: float) -> None:
        """Pause the campaign from ``now`` on. If it is paused already, the earlier time stays."""
        ...

    async def resume(self) -> None:
        """Resume the campaign."""
        ...

    # contacts in doubt

    async def mark_in_doubt(
        self,
        id: int,  # noqa: A002 - as above
        look_at: float,
        progress: Progress,
        history: Sequence[HistoryEntry] = (),
    ) -> None:
        """Turn a sending contact into one in doubt; its look back is due at ``look_at``."""
        ...

    async def due_in_doubt(self, limit: int, now: float) -> Sequence[InDoubtContact]:
        """Return up to ``limit`` contacts in doubt whose look back is due, the earliest first."""
        ...

    async def schedule_look_back(self, id: int, at: float) -> None:  # noqa: A002 - as above
        """Set when the next look back for a contact in doubt is due (seconds since the epoch)."""
        ...

    async def look_times(self, limit: int) -> Sequence[float]:
        """Return when up to ``limit`` contacts in doubt are due for a look, the earliest first."""
        ...

    async def known_effects(
        self,
        conversations: Sequence[str],
        since: float,
        external_contact_ids: Sequence[str] = (),
    ) -> KnownEffects:
        """Return what is known about conversations and people.

        ``since`` (seconds since the epoch) limits messages and opened conversations to those that
        were sent from then on, by the message's time if it is known, else by the intent's. All
        unsettled sends to the conversations and people are returned.
        """
        ...

    async def recent_conversations(self, now: float, limit: int) -> Sequence[str]:
        """Return conversations of which the platform may have new records, the likeliest first.

        They are those of the campaign's contacts that wait for their sessions after ``now``, and
        those that took the last messages of all campaigns; ``limit`` of each kind are considered.
        """
        ...

    async def witnesses(self, after: float, limit: int) -> Sequence[DeliveryWitness]:
        """Return the first messages that the platform took after a time, in all campaigns."""
        ...
