"""What the ledger knows of sends that nobody knows the end of."""

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
    """A contact in doubt. ``id`` is the ledger's own number for it."""

    id: int
    contact: Contact
    progress: Progress
    send: UnsettledSend


@dataclass(frozen=True, slots=True)
class KnownEffects:
    """What the ledger knows about some conversations and people, over all campaigns.

    ``messages`` are those in them that settled contacts have in their lineage,
    ``conversations`` those among them that settled contacts opened, ``unnamed`` those that took a
    settled contact's message whose id is not known, ``unsettled`` the sends to them whose end is
    not known: sending, in doubt, or parked in doubt.
    """

    messages: frozenset[str] = frozenset()
    conversations: frozenset[str] = frozenset()
    unsettled: Sequence[UnsettledSend] = ()
    unnamed: frozenset[str] = frozenset()


class InDoubtLedger(Protocol):
    """The part of the ledger that is about contacts in doubt; guarantees as in `Ledger`."""

    async def mark_in_doubt(
        self,
        id: int,  # noqa: A002 - the ledger's word for it
        look_at: float,
        progress: Progress,
        story: Sequence[HistoryEntry] = (),
    ) -> None:
        """Turn a sending contact into one in doubt, to be looked for from ``look_at`` on."""
        ...

    async def due_in_doubt(self, limit: int, now: float) -> Sequence[InDoubtContact]:
        """Return up to ``limit`` contacts in doubt that are due for a look, earliest first."""
        ...

    async def schedule_look_back(self, id: int, at: float) -> None:  # noqa: A002 - as above
        """Look for a contact in doubt again from ``at`` (seconds since the epoch) on."""
        ...

    async def next_look_back(self) -> float | None:
        """Return when the next contact in doubt is due for a look; None if none is in doubt."""
        ...

    async def known_effects(
        self, conversations: Sequence[str], since: float, people: Sequence[str] = ()
    ) -> KnownEffects:
        """Return what is known about these conversations, over all campaigns.

        Of messages and opened conversations only those that were sent since that time (seconds
        since the epoch, by the message where it is known, else by the intent); of the unsettled
        all. ``people`` are external contact ids: sends to them whose end is not known are told,
        too.
        """
        ...

    async def witnesses(self, after: float, limit: int) -> Sequence[DeliveryWitness]:
        """Return the first messages that were taken after a time, of whichever campaign."""
        ...
