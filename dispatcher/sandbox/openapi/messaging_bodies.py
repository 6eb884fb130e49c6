"""The bodies of the dialect ``messaging``."""

from typing import Annotated, Literal

from pydantic import Field

from dispatcher.sandbox.messaging.look_back import MAX_IDS
from dispatcher.sandbox.messaging.sends import MAX_TEXT
from dispatcher.sandbox.openapi.bodies import MAYBE, Address, Body, FilledText


class MessageText(Body):
    """What the guest reads."""

    text: Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]


class Recipient(Body):
    """The guest to write to, by the id or by the address that a state check shows."""

    type: Literal["guest"]
    id: FilledText = MAYBE
    address: FilledText = MAYBE


class OpenRequest(Body):
    """A new conversation; with a previous one it is linked to it."""

    to: Recipient
    message: MessageText
    external_contact_id: str | None = None
    """Required with a previous conversation: the external contact of its guest."""
    previous_conversation_id: str | None = None


class MessageRequest(Body):
    """A message to the session of a conversation."""

    previous_conversation_id: FilledText
    message: MessageText


class SentMessage(Body):
    """A message that was accepted."""

    id: str
    conversation_id: str


class OpenedConversation(Body):
    """A conversation that was opened."""

    id: str
    state: str
    external_contact_id: str | None
    previous_conversation_id: str | None


class Guest(Body):
    """The person who wrote in."""

    id: str
    type: Literal["guest"]


class Channel(Body):
    """The channel of a conversation."""

    type: str
    proactive: bool
    """Whether the organisation may write first."""


class ConversationState(Body):
    """A conversation and the state of its session."""

    id: str
    state: str
    """``active`` and ``ringing`` are open. ``closed`` is closed but has not ended yet: a link to it
    is refused until it is ``ended``. There may be other states."""
    external_contact_id: str | None
    guest: Guest | None
    from_: Address | None = Field(alias="from")
    to: Address
    channel: Channel
    previous_conversation_id: str | None
    start_time: str
    end_time: str | None


class RecordsQuery(Body):
    """The conversations to read, and those whose continuations are searched for."""

    conversation_ids: Annotated[list[str], Field(max_length=MAX_IDS)] = MAYBE
    previous_conversation_ids: Annotated[list[str], Field(max_length=MAX_IDS)] = MAYBE
    """Both lists together have one id at least, and at most as many as each may have."""


class MessageRecord(Body):
    """A message as analytics show it."""

    id: str
    direction: Literal["inbound", "outbound"]
    time: str
    text: str


class ConversationRecord(Body):
    """A conversation as analytics show it, with a delay."""

    conversation_id: str
    previous_conversation_id: str | None
    external_contact_id: str | None
    state: str
    start_time: str
    end_time: str | None
    messages: list[MessageRecord]


class ConversationRecords(Body):
    """The conversations that exist of those that were asked for."""

    conversations: list[ConversationRecord]
