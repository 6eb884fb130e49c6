"""Compares the ledger's lineage with the platform's records."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from dispatcher.domain.ids import canonical_id, same_id
from dispatcher.domain.past_conversation import PastConversation
from dispatcher.domain.status import Relation


class LinkVerdict(StrEnum):
    """The result for one row of the lineage."""

    CONFIRMED = "confirmed"
    """The platform shows what the ledger has."""
    MISSING = "missing"
    """The platform does not show the message or the conversation, perhaps not yet."""
    DIFFERENT = "different"
    """The platform shows the conversation with another previous conversation or person."""


@dataclass(frozen=True, slots=True)
class LineageLink:
    """One row of the lineage: a message, its conversation, and the previous conversation."""

    id: int
    relation: Relation
    previous_conversation_id: str
    conversation_id: str | None
    message_id: str | None
    external_contact_id: str | None
    sent_at: float | None

    @property
    def queried_conversation(self) -> str:
        """The id of the conversation to look up."""
        return self.conversation_id or self.previous_conversation_id


CLOCK_SKEW_SECONDS = 5.0
"""How much earlier than the ledger's time of the send a message's time may be."""


def judge(link: LineageLink, shown: Mapping[str, PastConversation]) -> LinkVerdict:
    """Compare ``link`` with the conversations of a look back, by their canonical ids."""
    found = shown.get(canonical_id(link.queried_conversation))
    if found is None or link.conversation_id is None:
        return LinkVerdict.MISSING
    person = link.external_contact_id
    if found.has_previous and link.relation in (Relation.LINKED, Relation.UNLINKED):
        previous = link.previous_conversation_id if link.relation is Relation.LINKED else None
        agrees = same_id(found.previous, previous) and same_id(found.external_contact_id, person)
        return LinkVerdict.CONFIRMED if agrees else LinkVerdict.DIFFERENT
    known = None not in (person, found.external_contact_id)
    if known and not same_id(person, found.external_contact_id):
        return LinkVerdict.DIFFERENT
    confirmed = _shows_message(link, found)
    if not found.has_previous:  # without links, only the person and the message's id are proof
        same_person = person is None or same_id(person, found.external_contact_id)
        confirmed = confirmed and same_person and link.message_id is not None
    return LinkVerdict.CONFIRMED if confirmed else LinkVerdict.MISSING


def _shows_message(link: LineageLink, found: PastConversation) -> bool:
    outbound = (message for message in found.messages if message.outbound)
    if link.message_id is not None:
        return any(same_id(message.id, link.message_id) for message in outbound)
    since = (link.sent_at or 0.0) - CLOCK_SKEW_SECONDS
    return any(message.at >= since for message in outbound)
