"""The durable record of every contact's progress."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dispatcher.domain.contact import Contact
from dispatcher.domain.contact_history import HistoryEntry
from dispatcher.domain.decision import Notify, Open
from dispatcher.domain.errors import DispatcherError, ExitCode
from dispatcher.domain.progress import NEW, Progress
from dispatcher.domain.status import Reason, Relation, SendBlock, Status, Step
from dispatcher.ports.in_doubt import InDoubtLedger
from dispatcher.ports.source import Batch, Position


class LedgerError(DispatcherError):
    """The ledger cannot be used or has failed; the message names the file and what to do."""

    exit_code = ExitCode.LEDGER


@dataclass(frozen=True, slots=True)
class Claim:
    """A contact that a worker holds. ``id`` is the ledger's own number for it.

    ``hindrance`` is what the ledger knew at the claim that stands against a send, as far as it
    knows the person: never more than a hint, for the intent asks again.
    """

    id: int
    contact: Contact
    progress: Progress = NEW
    block: SendBlock | None = None


@dataclass(frozen=True, slots=True)
class Admitted:
    """What became of a batch: how many were new, and those claimed in the same write."""

    admitted: int
    duplicates: int
    claims: Sequence[Claim]


@dataclass(frozen=True, slots=True)
class Limits:
    """How often one person may be written to.

    ``cap`` is the most messages since ``cap_since`` (seconds since the epoch) in all campaigns;
    0: no cap.
    """

    one_per_person: bool = False
    cap: int = 0
    cap_since: float = 0.0


NO_LIMITS = Limits()
"""As often as there are contacts."""


@dataclass(frozen=True, slots=True)
class Intent:
    """What is about to be sent, written down before the request leaves.

    ``at`` is seconds since the epoch by the platform's clock. ``external_contact_id`` is who
    the person is, as far as it is known: the platform's word, else the row's.
    """

    id: int
    step: Step
    decision: Notify | Open
    at: float
    progress: Progress
    external_contact_id: str | None = None
    limits: Limits = NO_LIMITS


@dataclass(frozen=True, slots=True)
class Settlement:
    """A contact's end. ``relation`` and the ids after it are set where a message was taken.

    ``at`` is seconds since the epoch; ``words`` is the platform's message on a rejection;
    ``sent_at`` is the message's time by the platform, where that is known; else the intent's.
    ``story`` is what was done since the contact was claimed.
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
    story: Sequence[HistoryEntry] = ()


@dataclass(frozen=True, slots=True)
class Backlog:
    """Contacts that are not final. Times are seconds since the epoch.

    ``due`` are ready and due now, ``later`` ready but not yet due; ``busy`` are claimed or
    sending. ``oldest_due`` is the earliest due time of a ready contact that is due,
    ``next_due`` the earliest of one that is not.
    """

    due: int
    later: int
    busy: int
    oldest_due: float | None
    next_due: float | None


@dataclass(frozen=True, slots=True)
class Totals:
    """The sums of one campaign over all its runs: they add up to ``rows``.

    ``rows`` = admitted + duplicates + rejected rows + filtered, and the contacts in
    ``by_status`` (keys: status and, for a final one, its reason) are the admitted ones.
    ``rejected`` counts rejected rows by reason.
    """

    rows: int
    admitted: int
    duplicates: int
    filtered: int
    rejected: Mapping[str, int]
    by_status: Mapping[tuple[Status, Reason | None], int]


class Ledger(InDoubtLedger, Protocol):
    """The durable record of every contact's progress.

    Every method returns once its write is committed and durable. An operation that fails
    rolls back alone; a commit that fails raises `LedgerError` for all and for every later
    call. Cancelling a caller cancels no write.
    """

    async def positions(self) -> Mapping[str, Position]:
        """Return how far each file of the campaign was read, by fingerprint."""
        ...

    async def admit(self, batch: Batch, now: float, claim: int) -> Admitted:
        """Write new contacts, rejected rows and the position in one transaction.

        Up to ``claim`` of the new contacts that are due are claimed in the same write.
        A contact whose (campaign, key) is there already is counted as a duplicate.
        """
        ...

    async def claim(self, limit: int, now: float) -> Sequence[Claim]:
        """Take up to ``limit`` ready contacts that are due, the earliest due first."""
        ...

    async def intend(self, intent: Intent) -> SendBlock | None:
        """Turn a claimed contact into a sending one, or say what stands against it.

        One conversation and one person have at most one send at a time whose end is not known,
        in all campaigns; a contact that has to wait for another's, or that ``limits`` hold
        back, stays claimed. From here on the person counts as reached, until a retraction, a
        deferral or a settlement shows that the message was not taken.
        """
        ...

    async def retract(self, id: int) -> None:  # noqa: A002 - the ledger's word for it
        """Turn a sending contact back into a claimed one: nothing left after all."""
        ...

    async def settle(self, settlement: Settlement) -> None:
        """Write the final status and the lineage in one transaction; the text is removed."""
        ...

    async def defer(
        self,
        id: int,  # noqa: A002 - as above
        due: float,
        progress: Progress,
        story: Sequence[HistoryEntry] = (),
    ) -> None:
        """Put a contact back, to be claimed from ``due`` (seconds since the epoch) on.

        ``story`` is what was done since it was claimed.
        """
        ...

    async def release(self, ids: Sequence[int]) -> None:
        """Put claimed contacts back as they were, due at once."""
        ...

    async def backlog(self, now: float) -> Backlog:
        """Count what is not final."""
        ...

    async def totals(self) -> Totals:
        """Sum the campaign up."""
        ...

    async def paused(self) -> float | None:
        """Return since when the campaign is paused (seconds since the epoch); None if it is not."""
        ...

    async def pause(self, now: float) -> None:
        """Note that the campaign takes nothing new from ``now`` on, or since it was paused."""
        ...

    async def resume(self) -> None:
        """Note that the campaign goes on."""
        ...
