"""The durable record of every contact's progress."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from dispatcher.domain.contact_history import HistoryEntry
from dispatcher.domain.evidence import DeliveryWitness
from dispatcher.domain.progress import Progress
from dispatcher.domain.status import SendBlock
from dispatcher.ports.ledger_values import (
    Admitted,
    Backlog,
    Claim,
    InDoubtContact,
    Intent,
    KnownEffects,
    Overview,
    Settlement,
    Totals,
    Waits,
)
from dispatcher.ports.source import Batch, Stream

RECEIPT_SECONDS = 86_400.0
"""How long the result of a request is kept for its repeats."""


class Ledger(Protocol):
    """The durable record of every contact's progress.

    Every method returns when its write is committed and durable. If an operation fails, only
    its own writes are rolled back. If a commit fails, all its operations and every later call
    raise `LedgerError`. Cancelling a caller does not cancel its write.
    """

    async def streams(self) -> Mapping[str, Stream]:
        """Return how far each stream of the campaign was read, by fingerprint."""
        ...

    async def admit(self, batch: Batch, now: float, claim_limit: int) -> Admitted:
        """Write new contacts, rejected rows and the place of the stream in one transaction.

        Up to ``claim_limit`` of the new contacts that are due are claimed in the same transaction.
        A contact whose (campaign, key) is already known counts as a duplicate. The place is written
        if the ledger has the one that ``batch.before`` names (compare-and-set). The result of a
        batch with a ``request`` is written, too, and is kept for `RECEIPT_SECONDS`; if there is
        one already, nothing else is written, and it is returned.

        Raises:
            StreamMovedError: it has another one; nothing of the batch is written.

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
        """Count the contacts that are ready, claimed or sending."""
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

    async def look_back_times(self, limit: int) -> Sequence[float]:
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
