"""The platform's API, in one dialect."""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from dispatcher.domain.answer import MissingGrant, QuotaReading, Result
from dispatcher.domain.contact import Contact
from dispatcher.domain.decision import Notify, Open
from dispatcher.domain.errors import DispatcherError, ExitCode
from dispatcher.domain.value_class import value_class

MAX_LOOK_BACK_IDS = 100
"""Maximum number of queries of one look back (source: platform contract, looking back)."""

MAX_STATES_PER_CALL = 100
"""Maximum number of conversations in one state check of many."""
StatesPerCall = int | Literal["auto"]
"""The setting ``platform.states_per_call``; "auto" follows the quota."""


@value_class
class TokenLease:
    """Identifies the token of a request without containing it.

    Tokens are numbered from 1 in the order of their issue. ``age`` is in seconds, at the send.
    """

    number: int
    age: float


@value_class
class Reply:
    """The result of one request, and what its response's headers contain.

    ``seconds`` is the request's duration. ``reading`` is the platform's count in its rate window.
    ``clock`` is by how many seconds the platform's clock (its Date header) is ahead of ours. Both
    are None if the platform does not send them.
    """

    result: Result
    seconds: float
    token: TokenLease
    reading: QuotaReading | None = None
    clock: float | None = None


@dataclass(frozen=True, slots=True)
class LookBackQuery:
    """One query of a look back: for a conversation, or (``continued``) for its continuation.

    A continuation is a linked conversation, or new messages in the same conversation.
    ``external_contact_id`` is the person, if known: a platform that records no links also shows
    the person's other conversations, because a message can be put into another one. Messages
    before ``since`` (seconds since the epoch by the platform's clock) are not needed.
    """

    conversation_id: str
    since: float
    continued: bool = False
    external_contact_id: str | None = None


@dataclass(frozen=True, slots=True)
class WatermarkQuery:
    """Asks up to when the platform's records are complete, beside the queries of a look back.

    ``after`` is the time from which on an answer is new (seconds since the epoch by the platform's
    clock). With ``records`` the newest record of any conversation counts, with ``availability``
    the platform's own statement.
    """

    after: float
    records: bool
    availability: bool


@dataclass(frozen=True, slots=True)
class TokenGrants:
    """What a token grants, according to the platform.

    ``token`` is its number, ``granted`` its scopes. Without ``scopes_known`` the platform did not
    report scopes, or does not limit the token by scopes. ``missing_grants`` are required grants
    that the token certainly lacks. ``required`` and ``about`` (the client's owner, and anything
    unusual) are texts for people.
    """

    token: int
    granted: tuple[str, ...]
    missing_grants: tuple[MissingGrant, ...] = ()
    required: tuple[str, ...] = ()
    about: str = ""
    scopes_known: bool = True

    @property
    def missing_names(self) -> tuple[str, ...]:
        """The names of the missing grants."""
        return tuple(grant.name for grant in self.missing_grants)


class CredentialsError(DispatcherError):
    """The credentials are refused or not usable; the message says what to do."""

    exit_code = ExitCode.PLATFORM


class TokenUnavailableError(DispatcherError):
    """No token can be issued just now: the platform does not answer. Nothing was sent."""

    exit_code = ExitCode.PLATFORM


class WrongAddressError(TokenUnavailableError):
    """Something answers at the address that is not the platform; the message names the setting.

    At the start of a run that is a mistake in the settings. Later it may be a proxy or a page of
    maintenance, and is handled as a platform that does not answer.
    """


class TokenExpiredError(Exception):
    """There is no valid token; nothing was sent. ``Platform.renew(number)`` issues one.

    A call does not wait for the renewal: a halt may begin meanwhile, and then the call's permit
    would be used for a request that must not be made.
    """

    def __init__(self, number: int) -> None:
        super().__init__("the token has expired")
        self.number = number


class Platform(Protocol):
    """The platform's API, in one dialect. It does not retry and follows no redirect.

    Every call may raise `TokenExpiredError`: then no request was made. All other failures are
    values in the `Reply`. `renew` and `verify` may raise `CredentialsError` or
    `TokenUnavailableError`.
    """

    def check(self, conversation_id: str) -> Awaitable[Reply]:
        """Read a conversation's state."""
        ...

    def check_many(self, conversation_ids: Sequence[str]) -> Awaitable[Reply]:
        """Read the states of several conversations from the platform's analytics.

        They may be stale. At most `MAX_STATES_PER_CALL` ids. The answer's ``conversations`` omit
        those that analytics do not have, or do not have completely enough for a send.
        """
        ...

    def notify(self, contact: Contact, decision: Notify) -> Awaitable[Reply]:
        """Send into an open session."""
        ...

    def open(self, contact: Contact, decision: Open) -> Awaitable[Reply]:
        """Open a new conversation, linked to the decision's previous one if there is one."""
        ...

    def look_back(
        self, queries: Sequence[LookBackQuery], watermark: WatermarkQuery | None = None
    ) -> Awaitable[Reply]:
        """Read conversations and their continuations from the platform's analytics.

        ``watermark`` is only for a dialect in which the newest record can be asked for. It is read
        before the conversations, which are then not older than it shows.

        At most `MAX_LOOK_BACK_IDS` queries. The answer's ``past_conversations`` omit what
        analytics do not have yet, and may contain more than was queried.
        """
        ...

    async def renew(self, number: int) -> TokenGrants:
        """Return the grants of a token with a higher number; issue one if there is none.

        Concurrent callers share one renewal.
        """
        ...

    async def verify(self) -> TokenGrants:
        """Return the grants of a token that is issued after this call.

        Callers that wait for a renewal that has not begun yet share it.
        """
        ...
