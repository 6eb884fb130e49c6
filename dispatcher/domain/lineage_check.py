"""Whether the platform's own records show a link that the ledger says was made."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from dispatcher.domain.past_conversation import PastConversation
from dispatcher.domain.status import Relation


class LinkVerdict(StrEnum):
    """What a look back says of one row of the lineage."""

    CONFIRMED = "confirmed"
    """The platform shows what the ledger says."""
    MISSING = "missing"
    """The platform does not show the message or the conversation (yet)."""
    DIFFERENT = "different"
    """The platform shows the conversation, with another previous one or another person."""


@dataclass(frozen=True, slots=True)
class LineageLink:
    """What the ledger says of one message: where it went, and what that continues."""

    id: int
    relation: Relation
    previous_conversation_id: str
    conversation_id: str | None
    message_id: str | None
    external_contact_id: str | None
    sent_at: float | None

    @property
    def look_back_query(self) -> str:
        """The conversation that the platform is asked about."""
        return self.conversation_id or self.previous_conversation_id


CLOCK_SKEW_SECONDS = 5.0
"""How far a message's time may lie before the moment at which it was sent by our books."""


def judge(link: LineageLink, shown: Mapping[str, PastConversation]) -> LinkVerdict:
    """Compare ``link`` with the conversations that a look back shows, by their ids."""
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
    told = found.previous, found.external_contact_id
    agrees = told == (previous, link.external_contact_id)
    return LinkVerdict.CONFIRMED if agrees else LinkVerdict.DIFFERENT


def _judge_by_message(link: LineageLink, found: PastConversation) -> LinkVerdict:
    """Confirm by the person and by the message's id, where the platform knows no links."""
    if _is_other(link.external_contact_id, found.external_contact_id):
        return LinkVerdict.DIFFERENT
    named = link.external_contact_id in (None, found.external_contact_id)
    ours = link.message_id is not None and _shows_message(link, found)
    return LinkVerdict.CONFIRMED if named and ours else LinkVerdict.MISSING


def _is_other(ours: str | None, theirs: str | None) -> bool:
    return ours is not None and theirs is not None and ours != theirs


def _shows_message(link: LineageLink, found: PastConversation) -> bool:
    ours = (message for message in found.messages if message.outbound)
    if link.message_id is not None:
        return any(message.id == link.message_id for message in ours)
    since = (link.sent_at or 0.0) - CLOCK_SKEW_SECONDS
    return any(message.at >= since for message in ours)
