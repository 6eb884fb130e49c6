"""Rows of the lineage, as they leave the ledger. Times are in seconds since the epoch."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dispatcher.domain.status import Reason, Relation


@dataclass(frozen=True, slots=True)
class LineageRow:
    """A link: a conversation and the earlier one that it continues. ``id`` grows with commits."""

    id: int
    campaign: str
    contact_key: str
    previous_conversation_id: str
    conversation_id: str | None
    message_id: str | None
    relation: Relation
    reason: Reason
    external_contact_id: str | None
    state_seen: str | None
    state_at: float | None
    sent_at: float | None
    settled_at: float
    attempts: int
    sends: int
    correlation_id: str
    verified: str | None
    verified_at: float | None
    attributes: Mapping[str, str] = field(repr=False)
