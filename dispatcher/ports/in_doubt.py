"""The part of the ledger for contacts in doubt: their sends have an unknown outcome."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from dispatcher.domain.contact import Contact
from dispatcher.domain.contact_history import HistoryEntry
from dispatcher.domain.evidence import DeliveryWitness
from dispatcher.domain.progress import Progress
from dispatcher.domain.unsettled_send import UnsettledSend


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


class InDoubtLedger(Protocol):
    """The part of the ledger for contacts in doubt; its guarantees are those of `Ledger`."""

    async def mark_in_doubt(
        self,
        id: int,  # noqa: A002 - the ledger's word for it
        look_at: float,
        progress: Progress,
        story: Sequence[HistoryEntry] = (),
    ) -> None:
        """Turn a sending contact into one in doubt; its look back is due at ``look_at``."""
        ...

    async def due_in_doubt(self, limit: int, now: float) -> Sequence[InDoubtContact]:
        """Return up to ``limit`` contacts in doubt whose look back is due, the earliest first."""
        ...

    async def schedule_look_back(self, id: int, at: float) -> None:  # noqa: A002 - as above
        """Set when the next look back for a contact in doubt is due (seconds since the epoch)."""
        ...

    async def next_look_back(self) -> float | None:
        """Return when the next look back is due, None if no contact is in doubt."""
        ...

    async def known_effects(
        self, conversations: Sequence[str], since: float, people: Sequence[str] = ()
    ) -> KnownEffects:
        """Return what is known about conversations and people (external contact ids).

        ``since`` (seconds since the epoch) limits messages and opened conversations to those that
        were sent from then on, by the message's time if it is known, else by the intent's. All
        unsettled sends to the conversations and people are returned.
        """
        ...

    async def witnesses(self, after: float, limit: int) -> Sequence[DeliveryWitness]:
        """Return the first messages that the platform took after a time, in all campaigns."""
        ...
