"""Rows that a store returns in pages. Times are in seconds since the epoch."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dispatcher.domain.progress import Progress
from dispatcher.domain.status import Reason, Relation, Status, Step


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


@dataclass(frozen=True, slots=True)
class StoredRejectedRow:
    """An input row that is no valid contact; ``at`` is the time when it was read."""

    id: int
    file: str
    line: int
    reason: str
    detail: str
    raw: bytes = field(repr=False)
    at: float


@dataclass(frozen=True, slots=True)
class ContactRow:
    """A contact without its message. ``due`` is set if it is ready, ``reason`` if it is final."""

    id: int
    key: str
    conversation_id: str
    status: Status
    reason: Reason | None
    due: float | None
    settled_at: float | None
    progress: Progress
    intent_step: Step | None
    intent_at: float | None
    intent_conversation_id: str | None
    intent_external_contact_id: str | None
    intent_target: str | None = field(repr=False)
    correlation_id: str | None
    words: str | None = field(repr=False)
