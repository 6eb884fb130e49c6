"""The API that is called, in one dialect."""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Protocol

from dispatcher.domain.answer import MissingGrant, QuotaReading, Result
from dispatcher.domain.contact import Contact
from dispatcher.domain.decision import Notify, Open

MAX_LOOK_BACK_IDS = 100
"""Ids that one look back may ask for (source: platform contract, looking back)."""

MAX_STATES_PER_CALL = 100
"""Conversations whose states one request may ask for."""


@dataclass(frozen=True, slots=True)
class TokenLease:
    """Which token a request carried, without the token.

    Tokens are numbered from 1 as they are issued; ``age`` is in seconds, at the send.
    """

    number: int
    age: float


@dataclass(frozen=True, slots=True)
class Reply:
    """One request's end, as the platform adapter saw it.

    ``seconds`` is how long it took, ``reading`` the platform's count of its rate window if it
    told, ``clock`` how far the platform's clock (its Date header) is ahead of ours in seconds,
    if it told.
    """

    result: Result
    seconds: float
    token: TokenLease
    reading: QuotaReading | None = None
    clock: float | None = None


@dataclass(frozen=True, slots=True)
class LookBackQuery:
    """One question of a look back: about ``conversation_id``, or what continues it.

    ``continued`` asks for what continues it: in it, where the platform puts a new message into the
    old conversation, or in another one. ``external_contact_id`` is the person, where that is
    known; a platform that tells no links shows the person's conversations, since a message can
    end in another one than it was sent into. What matters is not older than ``since`` (seconds
    since the epoch, by the platform's clock).
    """

    conversation_id: str
    since: float
    continued: bool = False
    external_contact_id: str | None = None


@dataclass(frozen=True, slots=True)
class TokenGrants:
    """What a token grants, as the platform said when it issued it.

    ``token`` is its number, ``granted`` its scopes; without ``told`` the platform did not say
    which, or does not limit it by scopes. ``lacks`` is what the sends or the checks would need
    and surely do not have. ``required`` and ``about`` (whose client it is, and what stands out)
    are texts for people.
    """

    token: int
    granted: tuple[str, ...]
    missing_grants: tuple[MissingGrant, ...] = ()
    required: tuple[str, ...] = ()
    about: str = ""
    scopes_known: bool = True

    @property
    def missing_names(self) -> tuple[str, ...]:
        """The names of what it lacks."""
        return tuple(each.name for each in self.missing_grants)


class CredentialsError(Exception):
    """The credentials are refused or cannot be used; the message says what to do."""


class TokenUnavailableError(Exception):
    """No token can be had just now: the platform does not answer. Nothing was sent."""


class TokenExpiredError(Exception):
    """There is no token that lives; nothing was sent. `Platform.renew` of ``number`` gets one.

    A call does not wait for a token by itself: while it waits, the run may come to a halt, and
    its permit would be spent on a request that nobody wants any more.
    """

    def __init__(self, number: int) -> None:
        super().__init__("the token has expired")
        self.number = number


class Platform(Protocol):
    """The API that is called, in one dialect. It retries nothing and follows no redirect.

    Every call may raise `TokenExpiredError`, and then no request was made. Everything else that
    can go wrong with it is a value in the `Reply`. A renewal may raise `CredentialsError` or
    `TokenUnavailableError`.
    """

    def check(self, conversation_id: str) -> Awaitable[Reply]:
        """Read a conversation's state."""
        ...

    def check_many(self, conversation_ids: Sequence[str]) -> Awaitable[Reply]:
        """Read the states of several conversations in one request, as analytics record them.

        They may be old. At most `STATES_PER_CALL` ids. Whatever is not recorded (yet), or not
        well enough for a send to rest on it, is left out of the answer's ``conversations``.
        """
        ...

    def notify(self, contact: Contact, decision: Notify) -> Awaitable[Reply]:
        """Send into an open session."""
        ...

    def open(self, contact: Contact, decision: Open) -> Awaitable[Reply]:
        """Start a new conversation, linked where the decision names a previous one."""
        ...

    def look_back(self, queries: Sequence[LookBackQuery]) -> Awaitable[Reply]:
        """Read what analytics show of conversations, and of those that continue others.

        At most `LOOK_BACK_IDS` questions. What the platform does not show (yet) is left out of
        the answer's ``history``; more may be shown than was asked for.
        """
        ...

    async def renew(self, number: int) -> TokenGrants:
        """Return what a token with a higher number grants; one is issued if there is none.

        However many callers ask, one renewal serves them all.
        """
        ...

    async def verify(self) -> TokenGrants:
        """Return what a token grants that is issued after this call.

        One renewal serves all that asked before it began.
        """
        ...
