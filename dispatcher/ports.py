"""What the engine needs of the world: small Protocols that state their guarantees."""

from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dispatcher.domain.answer import Reading, Result
from dispatcher.domain.contact import Contact, RejectedRow
from dispatcher.domain.decision import Notify, Open
from dispatcher.domain.events import Event
from dispatcher.domain.progress import NEW, Progress
from dispatcher.domain.status import Reason, Relation, Status, Step


@dataclass(frozen=True, slots=True)
class Position:
    """How far one file was read.

    ``fingerprint`` tells this file from another under the same name, ``offset`` counts bytes
    of its (decompressed) content, ``line`` lines; ``done`` is true once it was read to its end.
    """

    file: str
    fingerprint: str
    offset: int
    line: int
    done: bool


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of the source in their order, and where the source stands behind them.

    ``position`` is None for a source that cannot be read from the middle (standard input).
    ``filtered`` counts rows that the source's filter kept out.
    """

    contacts: Sequence[Contact]
    rejected: Sequence[RejectedRow] = ()
    filtered: int = 0
    position: Position | None = None

    @property
    def rows(self) -> int:
        """All rows of the input that this batch accounts for."""
        return len(self.contacts) + len(self.rejected) + self.filtered


class Source(Protocol):
    """Where contacts are read from."""

    def batches(self, known: Mapping[str, Position]) -> AsyncIterator[Batch]:
        """Yield the rows from where each file was left.

        ``known`` maps fingerprints to positions already in the ledger. Every row is in
        exactly one batch; the position of a batch covers all rows up to its end. Blocking
        reads never block the event loop, and closing the iterator ends them.

        Raises:
            SourceError: the source cannot be read at all.

        """
        ...


class SourceError(Exception):
    """The source cannot be read; the message names it and what to do."""


class LedgerError(Exception):
    """The ledger cannot be used or has failed; the message names the file and what to do."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A contact that a worker holds. ``id`` is the ledger's own number for it."""

    id: int
    contact: Contact
    progress: Progress = NEW


@dataclass(frozen=True, slots=True)
class Admitted:
    """What became of a batch: how many were new, and those claimed in the same write."""

    admitted: int
    duplicates: int
    claims: Sequence[Claim]


@dataclass(frozen=True, slots=True)
class Intent:
    """What is about to be sent, written down before the request leaves.

    ``at`` is seconds since the epoch by the platform's clock.
    """

    id: int
    step: Step
    decision: Notify | Open
    at: float
    progress: Progress


@dataclass(frozen=True, slots=True)
class Settlement:
    """A contact's end. ``relation`` and the ids after it are set where a message was taken.

    ``at`` is seconds since the epoch; ``words`` is the platform's message on a rejection.
    """

    id: int
    status: Status
    reason: Reason
    at: float
    progress: Progress
    relation: Relation | None = None
    conversation_id: str | None = None
    message_id: str | None = None
    external_contact_id: str | None = None
    state_seen: str | None = None
    state_at: float | None = None
    correlation_id: str = ""
    words: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Backlog:
    """Contacts that are not final. Times are seconds since the epoch.

    ``due`` are ready and due now, ``later`` ready but not yet due; ``busy`` are claimed or
    sending. ``oldest_due`` is the earliest due time of a ready contact that is due,
    ``next_due`` the earliest of one that is not.
    """

    due: int
    later: int
    busy: int
    oldest_due: float | None
    next_due: float | None


@dataclass(frozen=True, slots=True)
class Totals:
    """The sums of one campaign over all its runs: they add up to ``rows``.

    ``rows`` = admitted + duplicates + rejected rows + filtered, and the contacts in
    ``by_status`` (keys: status and, for a final one, its reason) are the admitted ones.
    ``rejected`` counts rejected rows by reason.
    """

    rows: int
    admitted: int
    duplicates: int
    filtered: int
    rejected: Mapping[str, int]
    by_status: Mapping[tuple[Status, Reason | None], int]


class Ledger(Protocol):
    """The durable record of every contact's progress.

    Every method returns once its write is committed and durable. An operation that fails
    rolls back alone; a commit that fails raises `LedgerError` for all and for every later
    call. Cancelling a caller cancels no write.
    """

    async def positions(self) -> Mapping[str, Position]:
        """Return how far each file of the campaign was read, by fingerprint."""
        ...

    async def admit(self, batch: Batch, now: float, claim: int) -> Admitted:
        """Write new contacts, rejected rows and the position in one transaction.

        Up to ``claim`` of the new contacts that are due are claimed in the same write.
        A contact whose (campaign, key) is there already is counted as a duplicate.
        """
        ...

    async def claim(self, limit: int, now: float) -> Sequence[Claim]:
        """Take up to ``limit`` ready contacts that are due, the earliest due first."""
        ...

    async def intend(self, intent: Intent) -> None:
        """Turn a claimed contact into a sending one."""
        ...

    async def retract(self, id: int) -> None:  # noqa: A002 - the ledger's word for it
        """Turn a sending contact back into a claimed one: nothing left after all."""
        ...

    async def settle(self, settlement: Settlement) -> None:
        """Write the final status and the lineage in one transaction; the text is removed."""
        ...

    async def defer(self, id: int, due: float, progress: Progress) -> None:  # noqa: A002 - as above
        """Put a contact back, to be claimed from ``due`` (seconds since the epoch) on."""
        ...

    async def release(self, ids: Sequence[int]) -> None:
        """Put claimed contacts back as they were, due at once."""
        ...

    async def backlog(self, now: float) -> Backlog:
        """Count what is not final."""
        ...

    async def totals(self) -> Totals:
        """Sum the campaign up."""
        ...


@dataclass(frozen=True, slots=True)
class TokenUse:
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
    token: TokenUse
    reading: Reading | None = None
    clock: float | None = None


@dataclass(frozen=True, slots=True)
class Authority:
    """What a token grants, as the platform said when it issued it.

    ``token`` is its number, ``granted`` its scopes, ``missing`` tells what the sends or the
    checks would need and do not have.
    """

    token: int
    granted: tuple[str, ...]
    missing: tuple[str, ...]


class CredentialsError(Exception):
    """The platform refuses the client id and secret; the message says what to do."""


class TokenUnavailableError(Exception):
    """No token can be had just now: the platform does not answer. Nothing was sent."""


class Platform(Protocol):
    """The API that is called, in one dialect. It retries nothing and follows no redirect.

    Every call may raise `CredentialsError` or `TokenUnavailableError`, and then no request
    was made. Everything else that can go wrong is a value in the `Reply`.
    """

    def check(self, conversation_id: str) -> Awaitable[Reply]:
        """Read a conversation's state."""
        ...

    def notify(self, contact: Contact, decision: Notify) -> Awaitable[Reply]:
        """Send into an open session."""
        ...

    def open(self, contact: Contact, decision: Open) -> Awaitable[Reply]:
        """Start a new conversation, linked where the decision names a previous one."""
        ...

    async def renew(self, number: int) -> Authority:
        """Return what a token with a higher number grants; one is issued if there is none.

        However many callers ask, one renewal serves them all.
        """
        ...

    async def verify(self) -> Authority:
        """Return what a token grants that is issued after this call.

        One renewal serves all that asked before it began.
        """
        ...


class Permit(Protocol):
    """The right to make one request now. Exactly one of the methods is called, once."""

    def answered(self, reading: Reading | None) -> None:
        """Tell that the request came to an end, and the platform's count if it told."""
        ...

    def unused(self) -> None:
        """Give the right back: the request was not made."""
        ...


class Pacer(Protocol):
    """Keeps to the quota: permits in the order asked, sends before checks."""

    async def permit(self, step: Step) -> Permit | None:
        """Wait for the right to make one request; None when waiting was broken off."""
        ...

    def hold(self, step: Step | None, seconds: float) -> None:
        """Permit nothing for ``step`` (None: nothing at all) for so long."""
        ...

    def held(self, step: Step) -> float:
        """Seconds for which ``step`` is held from now on; 0 if it is not."""
        ...

    def held_alone(self, step: Step) -> float:
        """Seconds for which ``step`` is held by a limit of its own; 0 if it is not."""
        ...

    def break_off(self, *, checks_only: bool) -> None:
        """Let every waiting caller (or every one that waits for a check) return with None."""
        ...

    @property
    def pace(self) -> float:
        """Requests per second at which permits are given just now."""
        ...

    @property
    def quota_used(self) -> float:
        """Share of the current window's quota that is used, from 0 to 1."""
        ...


class EventSink(Protocol):
    """Where facts go. Never blocks, never raises."""

    def emit(self, event: Event) -> None:
        """Take one fact."""
        ...


class Clock(Protocol):
    """Time, so that tests can make it."""

    def time(self) -> float:
        """Seconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds that never jump."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...
