"""Compares the ledger's lineage with the platform's records."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

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
    def look_back_query(self) -> str:
        """The id of the conversation to look up."""
        return self.conversation_id or self.previous_conversation_id


CLOCK_SKEW_SECONDS = 5.0
"""How much earlier than the ledger's time of the send a message's time may be."""


def judge(link: LineageLink, shown: Mapping[str, PastConversation]) -> LinkVerdict:
    """Compare ``link`` with the conversations of a look back; their ids are the keys."""
    found = shown.get(link.look_back_query)
    if found is None or link.conversation_id is None:
        return LinkVerdict.MISSING
    if not found.has_previous:
        return _judge_by_message(link, found)
    if link.relation in (Relation.NOTIFIED, Relation.THREADED):
        if _is_other(link.external_contact_id, found.external_contact_id):
            return LinkVerdict.DIFFERENT
        return LinkVerdict.CONFIRMED if _shows_message(link, found) else LinkVerdict.MISSING
    previous = link.previous_conversation_id if link.relation is Relation.LINKED else None
    if (found.previous, found.external_contact_id) == (previous, link.external_contact_id):
        return LinkVerdict.CONFIRMED
    return LinkVerdict.DIFFERENT


def _judge_by_message(link: LineageLink, found: PastConversation) -> LinkVerdict:
    """Compare the person and the message's id: for a platform that records no links."""
    if _is_other(link.external_contact_id, found.external_contact_id):
        return LinkVerdict.DIFFERENT
    same_person = link.external_contact_id in (None, found.external_contact_id)
    has_message = link.message_id is not None and _shows_message(link, found)
    return LinkVerdict.CONFIRMED if same_person and has_message else LinkVerdict.MISSING


def _is_other(person: str | None, shown: str | None) -> bool:
    return None not in (person, shown) and person != shown


def _shows_message(link: LineageLink, found: PastConversation) -> bool:
    outbound = (message for message in found.messages if message.outbound)
    if link.message_id is not None:
        return any(message.id == link.message_id for message in outbound)
    since = (link.sent_at or 0.0) - CLOCK_SKEW_SECONDS
    return any(message.at >= since for message in outbound)
