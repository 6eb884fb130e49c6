"""The result of one request to the platform, in terms that all dialects share."""

from dataclasses import dataclass, field
from enum import StrEnum

from dispatcher.domain.conversation import Conversation
from dispatcher.domain.past_conversation import PastConversation
from dispatcher.domain.value_class import value_class


class Hint(StrEnum):
    """What the body of a refusal adds to its status."""

    NONE = "none"
    CLOSED = "closed"
    """The session is closed (source: platform contract, notify)."""
    CHANNEL = "channel"
    """The channel has no proactive messages (source: platform contract, open linked)."""
    ACTIVE = "active"
    """The person may have an open conversation again: a state check is needed."""
    TALKING = "talking"
    """The person has an open conversation, possibly another one than the known one."""


class GrantKind(StrEnum):
    """The kind of grant that a 403's body says is missing."""

    SCOPE = "scope"
    PERMISSION = "permission"
    DIVISION = "division"


@dataclass(frozen=True, slots=True)
class MissingGrant:
    """A grant that the client lacks.

    ``name`` and ``where`` (the admin page on which it is granted) are texts for people. ``name``
    may list alternatives, and is empty if the platform gave no name.
    """

    kind: GrantKind
    name: str
    where: str


class NoAnswerCause(StrEnum):
    """Why a request has no response."""

    NOT_SENT = "not_sent"
    """No byte was sent: refused, DNS, TLS, no connection from the pool."""
    RESET = "reset"
    TIMEOUT = "timeout"


@value_class
class QuotaReading:
    """The platform's count in its current rate window.

    ``count`` of ``allowed`` requests are used. The window ends in ``reset`` seconds, rounded by
    the platform (source: platform contract, rate limit headers).
    """

    count: int
    allowed: int
    reset: float


@value_class
class Answer:
    """An HTTP response.

    ``from_platform`` is true if the body is the platform's JSON, and not that of a proxy.
    ``conversation`` is set by a successful state check, ``past_conversations`` by a look back,
    ``conversations`` by a check of many, ``message_id`` and ``conversation_id`` by a send whose
    response has them. ``address`` is the address in the refusal of a closed session.
    ``retry_after`` is in seconds. ``limit_key`` is the limit that a 429 reports, if it is not the
    token's rate. ``words`` is the platform's message for people. ``missing_kind`` and
    ``missing_grants`` are what a 403 reports as missing. ``newest_record`` is the time of the
    newest record of any conversation that a look back was shown, ``complete_until`` the time up to
    which the platform states its records to be complete; both by its clock, if it was asked.
    """

    status: int
    from_platform: bool = False
    hint: Hint = Hint.NONE
    conversation: Conversation | None = None
    past_conversations: tuple[PastConversation, ...] | None = None
    conversations: tuple[Conversation, ...] | None = None
    message_id: str | None = None
    conversation_id: str | None = None
    address: str | None = field(default=None, repr=False)
    retry_after: float | None = None
    limit_key: str | None = None
    words: str = field(default="", repr=False)
    correlation_id: str = ""
    missing_kind: GrantKind | None = None
    missing_grants: tuple[MissingGrant, ...] = ()
    newest_record: float | None = None
    complete_until: float | None = None


@value_class
class NoAnswer:
    """A request without a response; ``detail`` is the reason, for people.

    ``wrong_address`` is true if what is at the address does not speak the protocol at all.
    """

    cause: NoAnswerCause
    detail: str = ""
    wrong_address: bool = False


Result = Answer | NoAnswer
"""The result of one request."""
