"""What is known about sends in doubt: records from a look back, and facts from the ledger."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from dispatcher.domain.ids import canonical_id, same_id
from dispatcher.domain.past_conversation import PastConversation, PastMessage
from dispatcher.domain.unsettled_send import UnsettledSend

NEVER_SHOWN = float("-inf")
"""The value of ``analytics_watermark`` while no look back has shown anything newer."""


@dataclass(frozen=True, slots=True)
class DeliveryWitness:
    """A delivered message of ours. A look back that shows it is complete up to its time."""

    conversation_id: str
    message_id: str | None
    text_sha256: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """The records of a look back (``shown``), and what the ledger knows about them.

    ``messages`` are delivered messages of other contacts, ``conversations`` are conversations
    that other contacts opened. ``unnamed`` are conversations that received another contact's
    message whose id is not known. ``unsettled`` are all unsettled sends of all campaigns to these
    conversations and people. ``analytics_watermark`` is the platform's time of the newest record
    that a look back has shown, or up to which the platform states its records to be complete.
    """

    shown: Sequence[PastConversation] = ()
    messages: frozenset[str] = frozenset()
    conversations: frozenset[str] = frozenset()
    unsettled: Sequence[UnsettledSend] = ()
    analytics_watermark: float = NEVER_SHOWN
    unnamed: frozenset[str] = frozenset()

    def canonical(self) -> "Evidence":
        """Return the same evidence with the ledger's ids in the form by which ids are compared.

        The ids in ``shown`` have it already.
        """
        return replace(
            self,
            messages=frozenset(map(canonical_id, self.messages)),
            conversations=frozenset(map(canonical_id, self.conversations)),
            unsettled=[send.canonical() for send in self.unsettled],
            unnamed=frozenset(map(canonical_id, self.unnamed)),
        )


def digest(text: str | None) -> str | None:
    """Return the SHA-256 by which texts are compared; None for a text that is not shown."""
    return None if text is None else sha256(text.encode()).hexdigest()


def newest_shown(shown: Sequence[PastConversation], witnesses: Sequence[DeliveryWitness]) -> float:
    """Return the time of the newest witness that a look back shows, or `NEVER_SHOWN`."""
    by_id = {canonical_id(conversation.id): conversation for conversation in shown}
    times = [
        message.at
        for witness in witnesses
        if (conversation := by_id.get(canonical_id(witness.conversation_id))) is not None
        for message in conversation.messages
        if message.outbound and message.indexed and _is_witness(message, witness)
    ]
    return max(times, default=NEVER_SHOWN)


def newest_record(shown: Sequence[PastConversation], until: float) -> float:
    """Return the time of the newest record in analytics that is not later than ``until``.

    `NEVER_SHOWN` if there is none. A time in the future is a mistake, and proves nothing.
    """
    times = (at for conversation in shown for at in _moments(conversation) if at <= until)
    return max(times, default=NEVER_SHOWN)


def _moments(conversation: PastConversation) -> Iterator[float]:
    yield from (at for at in (conversation.started, conversation.ended) if at is not None)
    yield from (message.at for message in conversation.messages if message.indexed)


def _is_witness(message: PastMessage, witness: DeliveryWitness) -> bool:
    if message.text is None:
        return same_id(witness.message_id, message.id)
    id_agrees = witness.message_id is None or same_id(witness.message_id, message.id)
    return id_agrees and digest(message.text) == witness.text_sha256
