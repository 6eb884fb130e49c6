"""What came back from the platform for one request, in words that no dialect owns."""

from dataclasses import dataclass, field
from enum import StrEnum

from dispatcher.domain.conversation import Conversation
from dispatcher.domain.past_conversation import PastConversation


class Hint(StrEnum):
    """What a refusal's body says beyond its status, as the dialect reads it."""

    NONE = "none"
    CLOSED = "closed"
    """The session is closed (source: platform contract, notify)."""
    CHANNEL = "channel"
    """The channel has no proactive messages (source: platform contract, open linked)."""
    ACTIVE = "active"
    """The person may be in an open conversation again; only its state can tell."""
    TALKING = "talking"
    """The person is in an open conversation, which may be another than the one that is known."""


class GrantKind(StrEnum):
    """What a 403 says is missing, where its body tells."""

    SCOPE = "scope"
    PERMISSION = "permission"
    DIVISION = "division"


@dataclass(frozen=True, slots=True)
class MissingGrant:
    """One thing that the client has not: its name, and where an administrator grants it.

    Both are texts for people; ``name`` may tell alternatives, and is empty where nobody named it.
    """

    kind: GrantKind
    name: str
    where: str


class NoAnswerCause(StrEnum):
    """Why there is no answer."""

    NOT_SENT = "not_sent"
    """Nothing left: refused, DNS, TLS, no connection from the pool."""
    RESET = "reset"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True)
class QuotaReading:
    """The platform's own count of its rate window.

    ``count`` requests of ``allowed`` are used; the window ends in ``reset`` seconds,
    rounded by the platform (source: platform contract, rate limit headers).
    """

    count: int
    allowed: int
    reset: float


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer that was read to its end, or as far as it came.

    ``from_platform`` is true where the body is the platform's own JSON and not a page of
    something in between. ``conversation`` is set on a state check that succeeded;
    ``history`` on a look back, ``conversations`` on a check of many; ``message_id`` and
    ``conversation_id`` on a send that names them. ``address`` is the one that a closed-session
    refusal tells. ``retry_after`` is in seconds; ``limit_key`` names the limit that a 429 ran
    into, where that is not the token's rate. ``words`` is the platform's message for people;
    ``lack`` what a 403 says is missing, and ``lacking`` the same by name.
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


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """A request without an answer; ``detail`` tells people why."""

    cause: NoAnswerCause
    detail: str = ""


Result = Answer | NoAnswer
"""What one request comes to."""
