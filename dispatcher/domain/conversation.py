"""The earlier conversation, as a state check reports it."""

from dataclasses import field
from enum import StrEnum

from dispatcher.domain.value_class import value_class


class State(StrEnum):
    """The state of a conversation, as far as it matters for a send."""

    OPEN = "open"
    """A message can be sent into it."""
    CLOSED = "closed"
    """Closed but not yet ended: the platform accepts neither a message nor a link."""
    ENDED = "ended"
    """A new conversation can be linked to it."""
    RESUMABLE = "resumable"
    """Ended, but within the time in which the platform puts a new message into it."""
    GONE = "gone"
    """The id is no longer valid."""
    UNKNOWN = "unknown"
    """A state that this version of the dispatcher does not support."""


@value_class
class Target:
    """The recipient of a new conversation: a guest's id, or an address."""

    value: str = field(repr=False)
    is_guest_id: bool


@value_class
class Conversation:
    """The result of a state check.

    ``proactive`` is true if the channel permits the organisation to begin a conversation.
    ``engaged`` is true if a bot or an agent is connected, so that a message into the open session
    would interrupt. ``address`` is that of the person who wrote in, where the platform reports it
    beside the target.
    """

    id: str
    state: State
    external_contact_id: str | None = None
    target: Target | None = None
    proactive: bool = True
    engaged: bool = False
    address: str | None = field(default=None, repr=False)
