"""What a state check can say about the earlier conversation."""

from dataclasses import dataclass, field
from enum import StrEnum


class State(StrEnum):
    """The state of a conversation as far as a send is concerned."""

    OPEN = "open"
    """A message can be sent into it."""
    CLOSED = "closed"
    """Closed but not yet ended: neither a message nor a link is accepted."""
    ENDED = "ended"
    """A new conversation may name it as its previous one."""
    RESUMABLE = "resumable"
    """Ended a while ago: the platform puts a new message into it again."""
    GONE = "gone"
    """The platform no longer knows the id."""
    UNKNOWN = "unknown"
    """A state that this version does not know: a platform newer than us."""


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a new conversation is opened with: a guest by id, or an address."""

    value: str = field(repr=False)
    is_guest_id: bool


@dataclass(frozen=True, slots=True)
class Conversation:
    """One answer of the state check.

    ``proactive`` tells whether the channel lets the organisation write first; it matters for
    a new conversation only. ``engaged`` tells that a bot or an agent talks with the person: a
    message into the open session would break in.
    """

    id: str
    state: State
    external_contact_id: str | None = None
    target: Target | None = None
    proactive: bool = True
    engaged: bool = False
